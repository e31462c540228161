"""What the ledger says of a run or a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge.bridge import Entry, EntryKind, Span, Sum, changes_in, ledger_sums
from edge.reports.asked import Asked
from edge.reports.report import ActuatorSums, Outputs

_MODES = 20  # changes that are told


def outputs_in(
    ledger: Path | None, asked: Asked, since: str | None, until: str | None
) -> Outputs | None:
    """None where no ledger is kept, or it knows nothing of that run."""
    if ledger is None:
        return None
    runs = None if asked.began is None else (asked.began,)
    span = Span(runs, since, until, asked.from_um, asked.to_um)
    sums, changes = ledger_sums(ledger, span), changes_in(ledger, span)
    if asked.began is not None and not sums:
        return None
    names = sorted({each.actuator for each in sums if each.actuator is not None})
    return Outputs(
        actuators={name: _actuator([s for s in sums if s.actuator == name]) for name in names},
        unwritten=_of(sums, EntryKind.UNWRITTEN).count,
        lost=_of(sums, EntryKind.LOST).measure_um,
        modes=tuple(_said(entry) for entry in changes[-_MODES:]),
        mode_changes=len(changes),
    )


def _actuator(sums: Iterable[Sum]) -> ActuatorSums:
    by_kind = {each.kind: each for each in sums}

    def of(kind: EntryKind) -> Sum:
        return by_kind.get(kind) or _of((), kind)

    fired, missed = of(EntryKind.FIRED), of(EntryKind.MISSED)
    ordered, handed_on = of(EntryKind.ORDER).count, of(EntryKind.HANDED_ON).count
    ended = fired.count - fired.unnumbered + missed.count - missed.unnumbered + handed_on
    return ActuatorSums(
        ordered=ordered,
        fired=fired.count,
        missed=missed.count,
        missed_unordered=missed.unnumbered,
        handed_on=handed_on,
        open=max(0, ordered - ended),
        missed_um=missed.measure_um,
        furthest_um=fired.most_um,
        pulses=of(EntryKind.PULSE).count,
        rejected_um=of(EntryKind.PULSE).length_um,
        uninspected_um=of(EntryKind.UNINSPECTED).measure_um,
        late_passes=of(EntryKind.LATE_PASS).count,
        confirmed=of(EntryKind.CONFIRMED).count,
        unconfirmed=of(EntryKind.UNCONFIRMED).count,
    )


def _of(sums: Iterable[Sum], kind: EntryKind) -> Sum:
    """All actuators' together."""
    some = [each for each in sums if each.kind is kind]
    return Sum(
        kind,
        None,
        count=sum(each.count for each in some),
        unnumbered=sum(each.unnumbered for each in some),
        measure_um=sum(each.measure_um for each in some),
        most_um=max((each.most_um for each in some), default=0),
        length_um=sum(each.length_um for each in some),
    )


def _said(entry: Entry) -> str:
    return f"{entry.utc[:19]} {entry.tag}: {entry.reason}"
