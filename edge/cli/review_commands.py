"""`trackside events call`, `miss-rate`, `import` and `look-again`: what is said of events since."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.cli.commands import EngineName
from edge.cli.event_commands import Camera, Since, StorePath, store_of, wanted_of

By = Annotated[str | None, typer.Option(help="Who says so; you, if left out.")]


def call_event(
    store: StorePath,
    number: Annotated[int, typer.Argument(metavar="EVENT", help="Its number, as listed.")],
    call: Annotated[
        Literal["defect", "sound", "class", "withdrawn"],
        typer.Argument(
            metavar="CALL",
            help="`defect`: it is as the line has it; `sound`: a false reject; `class`: a defect "
            "of another --class; `withdrawn`: take back what was said.",
        ),
    ],
    class_name: Annotated[str | None, typer.Option("--class", help="Which it truly is.")] = None,
    by: By = None,
) -> None:
    """Say what an event truly is, as the live page's Review view does; the last word counts."""
    from edge.errors import UsageError
    from edge.review import Call, Review, add_reviews
    from edge.store import read_event

    if (call == "class") != (class_name is not None):
        raise UsageError("give --class with `class`, and with nothing else")
    root = store_of(store)
    event = read_event(root, number)
    review = Review(event.id, event.utc, _now(), by or _me(), "command", Call(call), class_name)
    add_reviews(root, [review])
    print(f"event {event.id}: {review.said}")


def show_miss_rate(
    store: StorePath,
    since: Since = None,
    camera: Camera = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Say how much the line misses, by the frames that it let by and kept at random.

    They are reviewed like any other event (`events list --why sample --call none`): the more of
    them, the narrower the interval in which the truth lies.
    """
    from edge.review import latest_reviews, miss_rate
    from edge.store import read_events

    root = store_of(store)
    wanted = wanted_of(why=["sample"], since=since, camera=camera)
    rate = miss_rate(read_events(root, wanted), latest_reviews(root))
    print(json.dumps(asdict(rate) | {"share": rate.share}) if as_json else rate.said)


def import_events(
    store: StorePath,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What the program exported.")],
    kind: Annotated[
        Literal["coco", "cvat", "label-studio"], typer.Option("--format", help="Whose it is.")
    ],
    by: By = None,
) -> None:
    """Take in what was marked by a labelling program, in pictures that `export` gave it.

    What cannot be taken, of an unknown event or of another size, is named and counted; all else is
    entered, and the exit code is 1.
    """
    from edge.review import take_in

    taken = take_in(store_of(store), path, kind, by=by or _me(), at=_now())
    _end(f"{taken.events} events are marked", taken.faults, "could not be taken")


def look_at_events_again(
    line: Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The line that keeps them.")],
    engine: Annotated[
        EngineName | None, typer.Option(help="Another engine than the line's, which looks too.")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the latest.")] = None,
) -> None:
    """Have the bundle in force look at kept frames a second time: mirrored, beside what the frame
    before showed of the same rail, and on another engine.

    Where the answers are apart somebody should look: `events list --order disagreement`, and the
    Review view. Only what was not looked at again yet is; a line on the same box goes before it.
    """
    from rich.progress import Progress

    from edge.line_file import read_line
    from edge.network import engine_by_name
    from edge.second_look import look_again

    other = None if engine is None else engine_by_name(engine)
    with Progress(disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("events", total=None)
        looked = look_again(
            read_line(line),
            other,
            last,
            lambda done, of: bar.update(task, completed=done, total=of),
        )
    _end(f"{looked.events} events are looked at again", looked.faults, "could not be")


def _end(done: str, faults: Sequence[str], left_out: str) -> None:
    """Say what was done, and name and count what could not be: that is exit code 1."""
    for fault in faults:
        print(f"trackside: {fault}", file=sys.stderr)
    print(f"{done}; {len(faults)} {left_out}" if faults else done)
    if faults:
        sys.exit(1)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _me() -> str:
    import getpass

    return getpass.getuser()
