"""The live page of one line, opened: what it may see and do, and the process that shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from edge.assembly import Line
from edge.box import Box
from edge.bridge import Missed, bridge_errors_as_ours
from edge.checks import Check, check_disks, check_heat, check_memory, tried
from edge.clock import clock_ns
from edge.errors import TracksideError
from edge.health import Health, deadline_of
from edge.inspect import Inspection
from edge.line_file import LineSettings, WebSettings
from edge.network import Network, rehearse
from edge.places import Named
from edge.serving import Served, serving
from edge.types import Stretch
from edge.web.access import PACKAGES, Access
from edge.web.answers import Answers
from edge.web.feed import Feed
from edge.web.page_state import PageState
from edge.web.pictures import LiveFrame
from edge.web.watched_line import OrderOutcome, WatchedLine

_LEAST_FRAME_NS = 200_000_000  # between two pictures

log = logging.getLogger("trackside")


@contextmanager
def live_page(
    line: Line, health: Health, named: Callable[[int], Named]
) -> Iterator[Callable[[Inspection], None]]:
    """Give out what shows an inspection; it only leaves it where the page takes it from."""
    settings = line.config.web
    assert settings is not None
    watched, feed = _watched(line, health, named), Feed()
    page = PageState(watched, feed, lambda: datetime.now(timezone.utc))
    store = None if line.config.store is None else line.config.store.path
    classes = line.bundle.manifest.classes
    with serving(served_page(settings, watched, page, store, classes)) as port:
        log.info("live page at %s://%s:%d/", settings.scheme, settings.host, port)
        yield feed.publish


def served_page(
    settings: WebSettings,
    line: WatchedLine,
    page: PageState,
    store: Path | None = None,
    classes: Sequence[str] = (),
) -> Served:
    """What the page's process is told, and what it may ask; which store it shows for review."""
    # So many cameras may be looked at at once that each is drawn more seldom.
    least_ns = _LEAST_FRAME_NS * max(1, len(line.across_mm))
    frames = {name: LiveFrame(least_ns, line.clock_ns) for name in line.across_mm}
    answers = Answers(line, page, frames)
    return Served(
        address=settings.address("web"),
        needs=PACKAGES,
        app="edge.web.pages:page_app",
        settings={
            "access": asdict(Access.of(settings)),
            "cameras": list(line.across_mm),
            "store": None if store is None else str(store.absolute()),
            "classes": list(classes),
        },
        answers=answers.quick,
        slow=answers.slow,
    )


def _watched(line: Line, health: Health, named: Callable[[int], Named]) -> WatchedLine:
    return WatchedLine(
        health=health.at,
        place_um=partial(_place_um, line),
        called=lambda position_um: named(position_um).text,
        outcomes=partial(_outcomes, line),
        actuators=[(each.name, each.offset_mm) for each in line.config.reject.actuators],
        across_mm={name: each.across_mm for name, each in line.config.cameras.items()},
        deadline_ns=deadline_of(line.config),
        refusal=partial(_refusal, line),
        acknowledge=partial(_acknowledge, line),
        self_check=partial(_self_check, line, health),
        guarded=line.config.web is not None and line.config.web.token is not None,
        keeps_events=line.config.store is not None,
        clock_ns=clock_ns,
    )


def _place_um(line: Line) -> int | None:
    try:
        with bridge_errors_as_ours():
            return line.bridge.where().position_um
    except TracksideError:  # the line is about to end with this error
        return None


def _outcomes(line: Line) -> tuple[OrderOutcome, ...]:
    return tuple(
        OrderOutcome(
            Stretch(outcome.order.start_um, outcome.order.end_um),
            outcome.reason.value if isinstance(outcome, Missed) else None,
        )
        for outcome in line.bridge.desk.newest
    )


def _refusal(line: Line) -> str | None:
    assert line.config.web is not None
    controls = line.config.web.controls
    if controls == "never":
        return "this line's file frees no buttons: its web.controls names the key that would"
    if controls == "always" or line.bridge.inputs.is_active(controls):
        return None
    return f"turn the key: {controls} is off"


def _acknowledge(line: Line, who: str) -> None:
    with bridge_errors_as_ours():
        line.bridge.desk.acknowledge(f"acknowledged on the live page, from {who}")
    log.info("acknowledged on the live page, from %s", who)


def _self_check(line: Line, health: Health) -> list[Check]:
    network = line.network

    def bridge() -> str:
        with bridge_errors_as_ours():
            line.bridge.check()
            at_m = line.bridge.where().position_um / 1e6
        return f"orders are fired, inputs are read, and the rail is at {at_m:.2f} m"

    troubles = health.at(clock_ns()).keeping.troubles
    return list(self_check(line.config, network, bridge, troubles, Box()))


def self_check(
    config: LineSettings,
    network: Network,
    bridge: Callable[[], str],
    troubles: Mapping[str, str],
    box: Box,
) -> Iterator[Check]:
    """What can be tried of a line while it runs, moving no output and taking no frame from it.

    The network in force is opened once more, from the same file and with the same settings, in a
    process of its own at a low priority: whatever becomes of that process, the line goes on.
    `bridge` says how outputs, inputs and encoder are, or raises.
    """
    yield tried("network", lambda: _opened_again(config, network))
    yield tried("rejects", bridge)
    for name, kept in (("store", config.store), ("ledger", config.reject.ledger)):
        if kept is not None:
            yield Check(name, name not in troubles, troubles.get(name, "is written"))
    yield check_memory(box)
    yield check_heat(box)
    yield from check_disks(config.kept_files)


def _opened_again(config: LineSettings, network: Network) -> Check:
    opened = rehearse(config.engine, network.bundle, config.bundle_key)
    found = f"{opened.bundle} opened once more: {opened.engine} reproduces the golden pair"
    return Check("network", True, found)
