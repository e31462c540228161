"""A line as its page watches it, without a line."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from edge.checks import Check
from edge.health import Facts, Health
from edge.web.feed import Feed
from edge.web.page_state import PageState
from edge.web.watched_line import WatchedLine
from stands.inspections import NONE
from stands.line_files import CAMERA

FACTS = Facts(line="rail-1", bundle="net", bundle_digest="ab" * 32)
HEALTH = Health(lambda *_: 10**9, lambda: NONE, {CAMERA: None}, facts=lambda: FACTS)


def a_watched_line(refusal: list[str | None], acknowledged: list[str]) -> WatchedLine:
    return WatchedLine(
        health=HEALTH.at,
        actuators=[("valve", 800.0)],
        across_mm={CAMERA: None},
        deadline_ns=lambda *_: 10**9,
        place_um=lambda: None,
        called=lambda _: None,
        outcomes=lambda: (),
        refusal=lambda: refusal[-1],
        acknowledge=acknowledged.append,
        self_check=lambda: [Check("network", True, "fine")],
        guarded=False,
        clock_ns=time.monotonic_ns,
    )


def a_page_state(feed: Feed, line: WatchedLine | None = None) -> PageState:
    return PageState(line or a_watched_line([None], []), feed, lambda: datetime.now(timezone.utc))
