"""`trackside fleet`: releases that many boxes take by themselves, ring by ring, from a depot."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge.depot import Report, Standing
    from edge.depot.depot import Depot

    Reports = Callable[[], Mapping[str, Report]]

fleet = typer.Typer(
    help="Have many boxes take bundles, line files and software by themselves, from a depot that "
    "any web server shows.",
    no_args_is_help=True,
)

DepotFolder = Annotated[
    Path, typer.Argument(metavar="DEPOT", help="The depot's folder, which a web server shows.")
]
KeyFolders = Annotated[
    list[Path],
    typer.Option("--keys", help="A folder of private keys, outside DEPOT; may be given again."),
]
Number = Annotated[int | None, typer.Argument(help="Which release; the newest if left out.")]
Broker = Annotated[
    str | None, typer.Option(metavar="HOST[:PORT]", help="The broker that boxes report to.")
]
Topic = Annotated[str, typer.Option(help="The lines' topics, with + for each one's own part.")]
User = Annotated[
    str | None, typer.Option(help="Whom the broker knows; its password is in MQTT_PASSWORD.")
]
Ca = Annotated[
    Path | None, typer.Option(help="Who may vouch for the broker, as PEM; encrypts the connection.")
]
Page = Annotated[Path | None, typer.Option(help="Write the board, a page of the whole fleet.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object only.")]
TOPIC = "plant/+"


@fleet.command()
def init(
    depot: DepotFolder,
    keys: KeyFolders,
    canary: Annotated[
        list[str], typer.Option(help="A box of the first ring, by name; may be given again.")
    ],
    ring: Annotated[
        list[str], typer.Option(help="A further ring, as a share of all boxes; the last is 100%.")
    ] = ["10%", "100%"],  # noqa: B006, typer copies it
    max_failures: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of a ring that may refuse a release.")
    ] = 0.1,
    root_keys: Annotated[
        str, typer.Option(metavar="N/M", help="N of M keys must sign who may sign what.")
    ] = "2/3",
    targets_keys: Annotated[
        str, typer.Option(metavar="N/M", help="N of M keys must sign what is published.")
    ] = "1/1",
    fresh_days: Annotated[
        float,
        typer.Option(min=0.001, max=365, help="After so long without news boxes believe nothing."),
    ] = 7,
) -> None:
    """Make a depot with keys of its own, and print the root that boxes are to trust.

    Of the keys, those of `root` and `targets` belong on something that lies in a drawer. The file
    root.json in the depot is carried to each box by hand, and named there as `root:` of `fleet:`.
    """
    from hashlib import sha256

    from edge.depot.depot import Depot, keys_of, rings_of

    made = Depot(depot, keys)
    made.create(
        rings_of(canary, ring),
        keys_of(root_keys, targets_keys),
        max_failures=max_failures,
        fresh_days=fresh_days,
        now=_now(),
    )
    print(f"{made.root_path}  sha256 {sha256(made.root_path.read_bytes()).hexdigest()}")


@fleet.command()
def publish(
    depot: DepotFolder,
    keys: KeyFolders,
    bundle: Annotated[
        str | None, typer.Option(help="A *.bundle; that of the release before if left out.")
    ] = None,
    line: Annotated[
        list[str],
        typer.Option(
            metavar="[BOX=]FILE", help="A box's line file, or every box's; may be given again."
        ),
    ] = [],  # noqa: B006, typer copies it
    package: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE.deb",
            help="The software of one version, for one kind of box; may be given again.",
        ),
    ] = [],  # noqa: B006, typer copies it
    own_lines: Annotated[
        bool, typer.Option("--own-lines", help="Boxes go back to line files of their own.")
    ] = False,
    accept_difference: Annotated[
        bool,
        typer.Option(
            "--accept-difference",
            help="The bundle judges otherwise than the one before, and somebody has seen that it "
            "is right. Your name goes into each box's ledger.",
        ),
    ] = False,
) -> None:
    """Sign a release and send it to the first ring; it holds what the one before did, and more."""
    from edge.cli.bundle_commands import who
    from edge.depot.depot import Depot, lines_of
    from edge.network import resolve_bundle

    release = Depot(depot, keys).publish(
        bundle=None if bundle is None else Path(resolve_bundle(bundle)),
        lines=lines_of(line),
        packages=package,
        own_lines=own_lines,
        accepted_by=who() if accept_difference else None,
        now=_now(),
    )
    print(f"release {release.number} goes out to the first ring")


@fleet.command()
def promote(
    depot: DepotFolder,
    keys: KeyFolders,
    number: Number = None,
    broker: Broker = None,
    topic: Topic = TOPIC,
    user: User = None,
    ca: Ca = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Whatever the boxes report, or do not.")
    ] = False,
) -> None:
    """Send a release one ring further; refused unless the boxes that have it report well."""
    from edge.depot import standing_of
    from edge.depot.depot import Depot
    from edge.errors import TracksideError

    opened = Depot(depot, keys)
    release = opened.release(number)
    if not anyway:
        with _reports(broker, topic, user, ca) as reports:
            standing = standing_of(opened.rollout, release, reports())
        if standing.verdict in {"held", "failing"}:
            boxes = {**standing.failed, **standing.waiting}
            why = "; ".join(f"{box}: {why}" for box, why in list(boxes.items())[:3])
            raise TracksideError(f"{standing}: {why or 'no box of it is known'}")
    release = opened.promote(release.number, _now())
    print(f"release {release.number} goes out to {opened.rollout.rings[release.ring].name}")


@fleet.command()
def revoke(
    depot: DepotFolder,
    keys: KeyFolders,
    number: Annotated[int, typer.Argument(help="Which release.")],
    why: Annotated[str, typer.Option(help="What is said of it.")] = "revoked at the desk",
    only_stop: Annotated[
        bool, typer.Option("--only-stop", help="It goes no further; boxes that run it keep it.")
    ] = False,
) -> None:
    """Take a release back: boxes that run it go back to the newest one that still goes out."""
    from edge.depot.depot import Depot

    release = Depot(depot, keys).end(number, "stopped" if only_stop else "revoked", why, _now())
    print(f"release {release.number} is {release.state}")


@fleet.command()
def renew(depot: DepotFolder, keys: KeyFolders) -> None:
    """Say anew that there is nothing newer; boxes believe nothing that was not said for days."""
    from edge.depot.depot import Depot

    opened = Depot(depot, keys)
    opened.renew(_now())
    print(f"boxes believe it until {opened.expiries()['timestamp']:%Y-%m-%d %H:%M} UTC")


@fleet.command("replace-keys")
def replace_keys(
    depot: DepotFolder,
    keys: KeyFolders,
    role: Annotated[str, typer.Argument(help="root, targets, rollout, snapshot or timestamp.")],
) -> None:
    """Make new keys for a role, whose old ones boxes believe no longer, for what got lost."""
    from edge.depot.depot import Depot
    from edge.depot.tuf_repository import ROLES
    from edge.errors import UsageError

    if role not in ROLES:
        raise UsageError(f"no role is called {role}: choose from {', '.join(ROLES)}")
    Depot(depot, keys).replace_keys(role, _now())
    print(f"the keys of {role} are others now")


@fleet.command()
def status(
    depot: DepotFolder,
    broker: Broker = None,
    topic: Topic = TOPIC,
    user: User = None,
    ca: Ca = None,
    page: Page = None,
    as_json: AsJson = False,
) -> None:
    """Say how far each release has come, and what the boxes say of it."""
    from edge.depot import standing_of
    from edge.depot.depot import Depot

    opened = Depot(depot)
    with _reports(broker, topic, user, ca) as reports:
        known = reports()
    rollout = opened.rollout
    standings = [standing_of(rollout, each, known) for each in rollout.releases]
    _write_board(page, opened, standings, known)
    if as_json:
        print(json.dumps([_as_json(each) for each in standings]))
        return
    for standing in standings:
        print(standing)
        for box, why in {**standing.failed, **standing.waiting}.items():
            print(f"  {box}: {why}")
    print(f"boxes believe it until {opened.expiries()['timestamp']:%Y-%m-%d %H:%M} UTC")


@fleet.command()
def watch(
    depot: DepotFolder,
    keys: KeyFolders,
    broker: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Where boxes report.")],
    topic: Topic = TOPIC,
    user: User = None,
    ca: Ca = None,
    soak_min: Annotated[
        float, typer.Option(min=0, help="A ring must have been well for so long.")
    ] = 60,
    every_s: Annotated[float, typer.Option(min=0.1, help="Between two looks.")] = 10,
    page: Page = None,
) -> None:
    """Send releases on by themselves as rings turn out well, stop those that fail, renew the rest.

    It needs the keys of rollout, snapshot and timestamp alone: it can send out what was published,
    or stop it, and nothing else.
    """
    import logging
    import time
    from datetime import timedelta

    from edge.cli.logs import log_to_stderr
    from edge.depot.depot import Depot
    from edge.depot.watch import Watch
    from edge.errors import DepotError

    log_to_stderr(as_json=False, verbose=False)
    opened = Depot(depot, keys)
    watching = Watch(opened, timedelta(minutes=soak_min))
    with _reports(broker, topic, user, ca) as reports:
        while True:
            known = reports()
            try:
                _write_board(page, opened, watching.look(known, _now()), known)
            except (DepotError, OSError) as error:  # who does not watch any more stops nothing
                logging.getLogger("trackside").error("%s: tried again in %g s", error, every_s)
            time.sleep(every_s)


@contextmanager
def _reports(
    broker: str | None, topic: str, user: str | None, ca: Path | None
) -> Iterator[Reports]:
    """None of any box where there is no broker."""
    if broker is None:
        yield dict
        return
    from edge.depot.mqtt_reports import mqtt_reports
    from edge.errors import UsageError

    host, _, port = broker.partition(":")
    if not host or (port and not re.fullmatch(r"[0-9]{1,5}", port)):
        raise UsageError(f"--broker {broker}: give HOST or HOST:PORT")
    password = os.environ.get("MQTT_PASSWORD")
    default = 1883 if ca is None else 8883
    with mqtt_reports(
        host,
        int(port or default),
        topic,
        username=user,
        password=password,
        ca=None if ca is None else str(ca),
    ) as kept:
        yield kept.reports


def _now() -> datetime:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc)


def _write_board(
    page: Path | None, depot: Depot, standings: list[Standing], reports: Mapping[str, Report]
) -> None:
    if page is not None:
        from edge.depot import board
        from edge.files import write_whole

        write_whole(page, board(standings, reports, depot.expiries(), _now()))


def _as_json(standing: Standing) -> dict[str, object]:
    return {
        **standing.release.model_dump(mode="json"),
        "ring": standing.ring,
        "verdict": standing.verdict,
        "well": list(standing.well),
        "waiting": dict(standing.waiting),
        "failed": dict(standing.failed),
    }
