"""`trackside events`: what a line's event store holds, shown and exported."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.review import Review, SecondLook
    from edge.store import Naming, Wanted
    from edge.store.event import Event

events = typer.Typer(help="Look into a line's event store, and export it.", no_args_is_help=True)

StorePath = Annotated[
    Path, typer.Argument(metavar="STORE", help="A store's folder, or the line file that names it.")
]
States = Annotated[list[str] | None, typer.Option("--state", help="Only these: OK, NG or UNKNOWN.")]
Whys = Annotated[
    list[str] | None,
    typer.Option(
        "--why",
        help="Only those kept for this: NG, UNKNOWN, unsure, unfamiliar, reported or sample.",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="Only those that show such a class, or its code; or `unsure`."),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        help="Only those after this moment, in UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
    ),
]
Camera = Annotated[str | None, typer.Option(help="Only those of this camera.")]
Run = Annotated[int | None, typer.Option(help="Only those of this run, by its number.")]
_RAIL_M = {"min": -1e12, "max": 1e12}  # what fits micrometres in 64 bits
FromM = Annotated[
    float | None, typer.Option(**_RAIL_M, help="Only beyond this place in its run, in metres.")
]
ToM = Annotated[
    float | None, typer.Option(**_RAIL_M, help="Only before this place in its run, in metres.")
]
Unfamiliar = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Only those at least so unfamiliar to the network; 1 is what one good frame in a "
        "hundred reached when the line was commissioned.",
    ),
]
Last = Annotated[int | None, typer.Option(min=1, help="Only so many, the latest.")]
EventOrder = Literal["time", "unsure", "unfamiliar", "disagreement"]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for each.")]
Calls = Annotated[
    list[str] | None,
    typer.Option(
        "--call",
        help="Only those that people call so: defect, sound, class, missed or marked; or `none`, "
        "of which nobody has said anything.",
    ),
]


@events.command("list")
def list_events(
    store: StorePath,
    state: States = None,
    why: Whys = None,
    classes: Classes = None,
    since: Since = None,
    run: Run = None,
    camera: Camera = None,
    from_m: FromM = None,
    to_m: ToM = None,
    call: Calls = None,
    unfamiliar: Unfamiliar = None,
    order: Annotated[
        EventOrder,
        typer.Option(
            help="`time`, or first those most worth a look: `unsure`, `unfamiliar`, or by "
            "`disagreement`, as far as `events look-again` has found any.",
        ),
    ] = "time",
    last: Last = 50,
    as_json: AsJson = False,
) -> None:
    """Print events, a line each, with what people say of them: the latest, or the first in an
    order.
    """
    from edge.review import latest_reviews, second_looks
    from edge.store import describe, read_events, read_losses

    root, naming = store_of(store), _naming(store)
    reviews = latest_reviews(root)
    at_once = last if order == "time" and not call else None
    wanted = wanted_of(
        state=state,
        why=why,
        classes=classes,
        since=since,
        run=run,
        camera=camera,
        from_m=from_m,
        to_m=to_m,
        least_unfamiliar=unfamiliar,
        last=at_once,
    )
    looks = second_looks(root) if as_json or order == "disagreement" else {}
    for event in _ordered(_called(read_events(root, wanted), reviews, call), order, looks, last):
        review, look = (known.get((event.id, event.utc)) for known in (reviews, looks))
        called = naming.named(event.run, event.start_um)
        if as_json:
            known = asdict(event) | {"place": asdict(called) if called else None}
            said = {"review": review and asdict(review), "second_look": look and asdict(look)}
            print(json.dumps(known | said))
        else:
            disagrees = "" if look is None or order != "disagreement" else f" [{look.said}]"
            said_of = "" if review is None else f" [{review.said}]"
            print(describe(event, called.text) + disagrees + said_of)
    for utc, count, reason in read_losses(root):
        print(f"{utc} {count} events could not be entered: {reason}", file=sys.stderr)


@events.command()
def show(
    store: StorePath,
    number: Annotated[int, typer.Argument(metavar="EVENT", help="Its number, as listed.")],
    as_json: AsJson = False,
) -> None:
    """Print all that is known and was ever said of one event, and where its pictures lie."""
    from edge.review import reviews_of
    from edge.store import picture_path, read_event

    root = store_of(store)
    event = read_event(root, number)
    reviews = reviews_of(root, event.id, event.utc)
    called = _naming(store).named(event.run, event.start_um)
    known = asdict(event) | {"place": called.text}
    if as_json:
        known["reviews"] = [asdict(each) for each in reviews]
    else:
        known["reviews"] = [f"{each.at} {each.said}" for each in reviews]
    known["pictures"] = [str(picture_path(root, event.id, name)) for name in event.pictures]
    if as_json:
        print(json.dumps(known))
        return
    for name, value in known.items():
        for line in value if isinstance(value, list | tuple) else [value]:
            print(f"{name:<12} {line.value if isinstance(line, Enum) else line}")


@events.command()
def export(
    store: StorePath,
    kind: Annotated[
        Literal["csv", "parquet", "coco", "cvat", "label-studio"],
        typer.Option("--format", help="A table, or images with masks to be labelled again."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A file; a folder for images.")],
    state: States = None,
    why: Whys = None,
    classes: Classes = None,
    since: Since = None,
    run: Run = None,
    camera: Camera = None,
    from_m: FromM = None,
    to_m: ToM = None,
    call: Calls = None,
    unfamiliar: Unfamiliar = None,
    last: Last = None,
) -> None:
    """Write events to a table, or as images those rejected or unsure, or all of a class or call.

    Masks are what the network saw, as far as people left that standing: of a false reject there is
    none, and what was marked is there.
    """
    from edge.files import check_writable
    from edge.review import corrected, latest_reviews, write_label_studio
    from edge.store import read_events, write_annotated, write_coco, write_csv, write_cvat

    if kind in {"csv", "parquet"}:
        check_writable(out)
    root = store_of(store)
    if kind not in {"csv", "parquet"}:
        why = why or (None if call or classes else ["NG", "UNKNOWN", "unsure"])
    reviews = latest_reviews(root)
    at_once = None if call else last
    wanted = wanted_of(
        state=state,
        why=why,
        classes=classes,
        since=since,
        run=run,
        camera=camera,
        from_m=from_m,
        to_m=to_m,
        least_unfamiliar=unfamiliar,
        last=at_once,
    )
    found = _called(read_events(root, wanted), reviews, call)
    found = found[-last:] if last else found
    if kind == "csv":
        write_csv(found, root, out, _naming(store))
    elif kind == "parquet":
        from edge.store.parquet_table import write_parquet

        write_parquet(found, root, out, _naming(store))
    if kind in {"csv", "parquet"}:
        print(f"{len(found)} events in {out}")
        return
    writers = {"coco": write_coco, "cvat": write_cvat, "label-studio": write_label_studio}
    written, without = write_annotated(found, root, out, writers[kind], corrected(reviews))
    print(f"{written} images in {out}; {without} events have no whole picture")


def _ordered(
    found: list[Event],
    order: EventOrder,
    looks: Mapping[tuple[int, str], SecondLook],
    count: int | None,
) -> list[Event]:
    """By time the latest come last; in any other order the first are those to look at."""
    if order == "time":
        return found[-count:] if count else found

    def least_first(event: Event) -> float:
        if order == "unsure":
            return 2.0 if event.confidence is None else event.confidence
        if order == "unfamiliar":
            return -(event.unfamiliar or 0.0)
        look = looks.get((event.id, event.utc))
        return 0.0 if look is None else -look.disagreement

    return sorted(found, key=lambda event: (least_first(event), -event.id))[:count]


def _called(
    found: list[Event], reviews: Mapping[tuple[int, str], Review], calls: list[str] | None
) -> list[Event]:
    """Those that people call so."""
    from edge.errors import UsageError
    from edge.review import Call

    if not calls:
        return found
    known = [*(each.value for each in Call if each is not Call.WITHDRAWN), "none"]
    if wrong := set(calls) - set(known):
        raise UsageError(f"--call {min(wrong)}: choose from {', '.join(known)}")
    said = {key: each.call.value for key, each in reviews.items()}
    return [event for event in found if said.get((event.id, event.utc), "none") in calls]


def store_of(path: Path) -> Path:
    """Where it lies: what was given, or what the line file that was given names."""
    from edge.errors import ConfigurationError, UsageError
    from edge.line_file import read_line

    if path.is_dir():
        return path
    if not path.exists():
        raise UsageError(f"{path}: no such file: give a store's folder, or a line file")
    store = read_line(path).store
    if store is None:
        raise ConfigurationError(f"{path} keeps no events: give it a `store:` with a `path:`")
    return store.path


def _naming(path: Path) -> Naming:
    from edge.line_file import read_line
    from edge.store import naming_of

    return naming_of(store_of(path), None if path.is_dir() else read_line(path).journal)


def wanted_of(
    *,
    state: list[str] | None = None,
    why: list[str] | None = None,
    classes: list[str] | None = None,
    since: datetime | None = None,
    run: int | None = None,
    camera: str | None = None,
    from_m: float | None = None,
    to_m: float | None = None,
    least_unfamiliar: float | None = None,
    last: int | None = None,
) -> Wanted:
    """What the options ask for; UsageError for what there is none of."""
    from edge.errors import UsageError
    from edge.store import Wanted, Why
    from edge.types import State

    for name, given, known in (("state", state, State), ("why", why, Why)):
        names = [each.value for each in known]
        if wrong := set(given or ()) - set(names):
            raise UsageError(f"--{name} {min(wrong)}: choose from {', '.join(names)}")
    return Wanted(
        states=tuple(state or ()),
        why=tuple(why or ()),
        classes=tuple(classes or ()),
        since_utc=None if since is None else since.replace(tzinfo=timezone.utc).isoformat(),
        run=run,
        camera=camera,
        from_um=None if from_m is None else round(from_m * 1e6),
        to_um=None if to_m is None else round(to_m * 1e6),
        least_unfamiliar=least_unfamiliar,
        last=last,
    )
