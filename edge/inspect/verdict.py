"""From defects to what is decided: OK or NG by the line's rules, and what must leave the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge.bundle import Manifest
from edge.line_file import Rules
from edge.types import Defect, Frame, LostFrame, State, Stretch, Verdict, unite

_METRE_UM = 1_000_000


def as_ruled(manifest: Manifest, rules: Rules) -> Manifest:
    """The manifest, with the line's own threshold where it has one."""
    if rules.threshold is None:
        return manifest
    return manifest.model_copy(update={"threshold": rules.threshold})


@dataclass
class Judge:
    """Applies the rules frame by frame; remembers the last metre: what it held, what left it."""

    rules: Rules
    _recent_um: dict[int, int] = field(default_factory=dict)  # number -> end_um
    _rejected: list[Stretch] = field(default_factory=list)

    def judge(
        self, frame: Frame, defects: Sequence[Defect], reported: Sequence[Defect] = ()
    ) -> Verdict:
        """OK or NG; the verdict's defects are those that make it NG, whatever is reported."""
        counting = tuple(d for d in defects if self.rules.reject_if.matches(d))
        reasons = tuple(map(reason_of, counting))
        for each in reported:  # it may have passed for a defect before
            self._recent_um.pop(each.number, None)
        crowd = self._count_last_metre(frame, defects)
        if self.rules.max_per_metre is not None and crowd > self.rules.max_per_metre:
            counting = tuple(defects)
            reasons = (*reasons, f"{crowd} defects in the last metre")
        state = State.NG if counting else State.OK
        reasons = reasons if counting else ()
        return Verdict(
            state,
            frame.index,
            frame.stretch,
            counting,
            reasons,
            self._reject(frame, counting),
            tuple(reported),
            tuple(defect for defect in defects if defect not in counting),
        )

    def distrust(self, verdict: Verdict, unfamiliar: str) -> Verdict:
        """Of a frame like which the network has answered to no good rail: nobody knows what its
        answer is worth. OK becomes UNKNOWN; what is NG stays so, over its whole length.
        """
        whole = verdict.stretch
        rest = tuple(whole.without(self._rejected))
        self._rejected = unite([*self._rejected, whole])
        is_ng = verdict.state is State.NG
        return replace(
            verdict,
            state=State.NG if is_ng else State.UNKNOWN,
            reasons=(*verdict.reasons, f"unfamiliar to the network: {unfamiliar}"),
            rejects=(*verdict.rejects, *rest) if is_ng else (),
        )

    def _count_last_metre(self, frame: Frame, defects: Sequence[Defect]) -> int:
        for defect in defects:
            for number in defect.absorbed:
                self._recent_um.pop(number, None)
            self._recent_um[defect.number] = defect.stretch.end_um
        since_um = frame.stretch.end_um - _METRE_UM
        self._recent_um = {n: end_um for n, end_um in self._recent_um.items() if end_um > since_um}
        return len(self._recent_um)

    def _reject(self, frame: Frame, defects: tuple[Defect, ...]) -> tuple[Stretch, ...]:
        """Each defect but for what a verdict before has rejected.

        Ordered twice, rail that has long been rejected would count as missed.
        """
        rejects = [
            stretch for defect in defects for stretch in defect.stretch.without(self._rejected)
        ]
        since_um = frame.stretch.start_um - _METRE_UM
        united = unite([*self._rejected, *rejects])
        self._rejected = [stretch for stretch in united if stretch.end_um > since_um]
        return tuple(rejects)


def reason_of(defect: Defect) -> str:
    """Why a defect is one to reject."""
    size = f"{defect.area_mm2:.0f} mm2, {defect.length_mm:.0f} mm long, score {defect.score:.2f}"
    return f"{defect.said}: {size}" if defect.said else size


def unknown(seen: Frame | LostFrame, reasons: tuple[str, ...]) -> Verdict:
    """The verdict on a stretch that nobody could look at."""
    return Verdict(State.UNKNOWN, seen.index, seen.stretch, reasons=reasons)


def reject_stretches(verdict: Verdict) -> tuple[Stretch, ...]:
    """What must leave the line: what an NG frame adds to it, the whole of an UNKNOWN one."""
    return (verdict.stretch,) if verdict.state is State.UNKNOWN else verdict.rejects
