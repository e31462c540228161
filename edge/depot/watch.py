"""The desk's watch: each release goes on once its ring is well, and stops once it fails."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from edge.depot.depot import Depot
from edge.depot.standing import Report, Standing, standing_of

_WORST_NAMED = 3  # boxes whose reasons are told

log = logging.getLogger("trackside")


class Watch:
    """Of one depot. A ring must have been well for so long without a break before the next."""

    def __init__(self, depot: Depot, soak: timedelta) -> None:
        self._depot, self._soak = depot, soak
        self._well_since: dict[tuple[int, int], datetime] = {}  # by release and ring

    def look(self, reports: Mapping[str, Report], now: datetime) -> list[Standing]:
        """Do what is due, and say how every release that is under way stands."""
        self._renew(now)
        rollout = self._depot.rollout
        standings = []
        for release in rollout.releases:
            standing = standing_of(rollout, release, reports)
            key = (release.number, release.ring)
            if standing.verdict == "failing":
                log.warning("%s", standing)
                self._depot.end(release.number, "stopped", failures(standing), now)
            elif standing.verdict == "well":
                since = self._well_since.setdefault(key, now)
                if now - since >= self._soak:
                    log.info("%s: it goes on", standing)
                    self._depot.promote(release.number, now)
            else:
                self._well_since.pop(key, None)
            standings.append(standing)
        return standings

    def _renew(self, now: datetime) -> None:
        """In good time: boxes must hear that there is nothing newer before they doubt it."""
        expiries = self._depot.expiries()
        half = timedelta(days=self._depot.rollout.fresh_days) / 2
        if min(expiries["timestamp"], expiries["snapshot"]) - now < half:
            self._depot.renew(now)


def failures(standing: Standing) -> str:
    """Why it is stopped, in a line."""
    named = [f"{box}: {why}" for box, why in list(standing.failed.items())[:_WORST_NAMED]]
    more = len(standing.failed) - len(named)
    return "; ".join([*named, f"and {more} more"] if more else named)
