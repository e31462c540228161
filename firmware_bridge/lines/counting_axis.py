"""The axis of a counter that counts on while no program reads it, a PLC's above all."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from firmware_bridge.core.counting import absolute_count
from firmware_bridge.ledger import Known, Place, boot, since_boot_ns
from firmware_bridge.types import SECOND_NS

_SLACK_NS = SECOND_NS // 10  # a reading may be so much older than the time that is known of it


@dataclass(frozen=True)
class CountingAxis:
    """Places on it are counts, however often the counter has rolled over, times their length.

    `name` is of all that a count's meaning rests on. A counting that was broken is never taken for
    the same: by the time since the run before was heard of, the rail must have been able to come
    from where it was, the counter must not have been able to go round, and it must not show what a
    counter would that began anew at 0 meanwhile. One that begins anew elsewhere is not found out.
    """

    name: str
    bits: int
    nm_per_count: int
    fastest_um_s: int

    def place(self, raw: int, before: Known | None) -> Place:
        """Where the rail lies for which the counter shows `raw` now."""
        count = None if before is None else self._continued(raw, before)
        if before is None or count is None:
            return Place(f"{self.name} {secrets.token_hex(8)}", self._um(raw))
        return Place(before.place.axis, self._um(count))

    def _continued(self, raw: int, before: Known) -> int | None:
        """The count, rollovers and all; None where the counting may have been broken."""
        if not before.place.axis.startswith(f"{self.name} ") or before.boot != boot():
            return None
        gone_ns = since_boot_ns() - before.at_ns + _SLACK_NS
        reach = self.fastest_um_s * gone_ns // SECOND_NS * 1000 // abs(self.nm_per_count) + 1
        rolls_over = 1 << self.bits
        since_zero = min(raw, rolls_over - raw)
        if 2 * reach >= rolls_over or since_zero <= reach:
            return None
        last_um = before.place.origin_um + before.position_um
        last = last_um * 1000 // self.nm_per_count
        count = absolute_count(raw, last, self.bits)
        return count if abs(count - last) <= reach else None

    def _um(self, count: int) -> int:
        return count * self.nm_per_count // 1000
