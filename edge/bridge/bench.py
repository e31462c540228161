"""A line's bridge on the bench: its outputs are driven by hand, and must own up to it."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge.bridge.bridge import Bridge, SensorNews, open_bridge
from edge.clock import clock_ns
from edge.errors import TrialFailed
from edge.line_file import Confirm, LineSettings
from firmware_bridge.core import Change, Confirmed, News
from firmware_bridge.types import Event, Mode, Pulse

CAUSE = "reject test"
HELD_S = 0.5  # long enough to be seen and heard
NEWS_S = 2  # a machine on which news takes longer cannot reject in time


@contextmanager
def open_bench(config: LineSettings, held_s: float = HELD_S) -> Iterator[Bench]:
    """The bridge of a line on which nothing is inspected; each trial is held for so long.

    TracksideError where a wire cannot be claimed.
    """
    heard: queue.SimpleQueue[News | SensorNews] = queue.SimpleQueue()
    with open_bridge(config, heard.put, trial=True) as bridge:
        time.sleep(held_s)  # until the actuators have come to rest
        yield Bench(bridge, heard, {actuator.name for actuator in config.reject.actuators}, held_s)


class Bench:
    """An open bridge, all that is told of it, and the actuators it has."""

    def __init__(
        self,
        bridge: Bridge,
        told: queue.SimpleQueue[News | SensorNews],
        actuators: set[str],
        held_s: float,
    ) -> None:
        self._bridge = bridge
        self._told = told
        self._kept: list[News | SensorNews] = []  # news that came before anybody asked for it
        self._actuators = actuators
        self._held_s = held_s

    def override(self, mode: Mode) -> str:
        """Have the outputs do this for a while; each actuator must own up to a pulse."""
        asked_ns = clock_ns()
        self._bridge.desk.hold(CAUSE, mode, "the outputs are tried")
        driven_ns = self._news(Change).at_ns
        time.sleep(self._held_s)
        self._bridge.check()
        self._bridge.desk.release(CAUSE, "the trial is over")
        pulsed: set[str] = set()
        while pulsed < self._actuators:
            pulsed.add(self._news(Pulse).actuator)
        soon_ms = (driven_ns - asked_ns) / 1e6
        return f"driven after {soon_ms:.1f} ms, for {self._held_s * 1000:.0f} ms"

    def confirmed_ms(self, confirm: Confirm) -> float | None:
        """How soon the sensor saw it; None if it did not."""
        patience_s = (confirm.within_ms + confirm.settle_ms) / 1000 + NEWS_S
        news = self._hear(lambda told: isinstance(told, SensorNews), patience_s)
        assert isinstance(news, SensorNews)
        of = news.confirmation
        return of.after_ns / 1e6 if isinstance(of, Confirmed) else None

    def _news(self, kind: type[Event | Change]) -> News:
        news = self._hear(
            lambda told: isinstance(told, News) and isinstance(told.event, kind), NEWS_S
        )
        assert isinstance(news, News)
        return news

    def _hear(
        self, wanted: Callable[[News | SensorNews], bool], patience_s: float
    ) -> News | SensorNews:
        """The first of what is told that is wanted; the rest is kept."""
        for told in self._kept:
            if wanted(told):
                self._kept.remove(told)
                return told
        try:
            while not wanted(told := self._told.get(timeout=patience_s)):
                self._kept.append(told)
        except queue.Empty:
            raise TrialFailed(
                f"nothing was heard of it for {patience_s:g} s: check the encoder, which gives the "
                "outputs their time, and the load on this machine"
            ) from None
        return told
