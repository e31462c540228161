"""Spools, emptied as a courier empties them."""

from __future__ import annotations

from collections.abc import Iterator

from edge.telemetry.spool import Message, Spool


def drained(spool: Spool) -> Iterator[Message]:
    while (found := spool.oldest()) is not None:
        yield found[1]
        spool.remove(found[0])
