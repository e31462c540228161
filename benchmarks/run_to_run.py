"""How surely a defect is found again in another run, and how surely a scarred roll is named.

    python -m benchmarks.run_to_run                  two runs of a kilometre, matched
    python -m benchmarks.run_to_run --rolls          ten kilometres of strip, with and without rolls

The defects are those of the simulated rail, by its exact truth. What a run makes of them is drawn:
the second counts 0.3% too far and slips now and then, each run misses some, calls some that are
not there, names some otherwise, and measures each a little otherwise. Frames are not rendered.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge.comparison import RollWatch, Seen, Spot, align
from edge.simulation import SimulatedLine
from edge.simulation.line import TrueDefect

_UM_PER_PX = 250
_WHEEL = 0.003
_SLIPS_A_KM = 20
_SLIP_MM = (20.0, 400.0)
_MISSED, _FALSE_A_METRE = 0.05, 0.05
_OTHERWISE, _UNSURE = 0.1, 0.1  # named
_PLACE_MM, _AREA, _EXTENT = 1.0, 0.15, 0.1  # a measurement is off by
_SURFACE_MM = 88.0
_SAME_MM = 20.0


@dataclass(frozen=True)
class Looked:
    """What a run saw, and which true defect each is; None for what is not there."""

    seen: Sequence[Seen]
    truth: Sequence[int | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--km", type=float, help="of rail; 1, or 10 with --rolls")
    parser.add_argument("--seeds", type=int, default=5, help="rails, one after the other")
    parser.add_argument("--rolls", action="store_true", help="look for rolls instead")
    asked = parser.parse_args()
    if asked.rolls:
        look_for_rolls(asked.km or 10, asked.seeds)
    else:
        match_runs(asked.km or 1, asked.seeds)


def match_runs(km: float, seeds: int) -> None:
    both = right = wrong = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        true = defects(seed, km)
        one, two = look(true, rng, wheel=0, slips=0), look(true, rng, _WHEEL, _SLIPS_A_KM * km)
        begun = time.perf_counter()
        pairs = align(one.seen, two.seen)
        took_s = time.perf_counter() - begun
        seen_in_both = {n for n in one.truth if n is not None} & {*two.truth}
        same = [_is_same(true, one.truth[i], two.truth[j]) for i, j in pairs]
        known = [(one.truth[i], two.truth[j]) for i, j in pairs]
        both += len(seen_in_both)
        found = sum(a == b and a is not None for a, b in known)
        right += found
        wrong += same.count(False)
        print(
            f"rail {seed}: {len(seen_in_both)} defects in both runs of {km:g} km, "
            f"{found / len(seen_in_both):.2%} matched; {same.count(False)} pairs further apart "
            f"than {_SAME_MM:g} mm; {took_s:.1f} s"
        )
    print(f"all: {right / both:.2%} of {both} matched, {wrong} pairs wrong")


def _is_same(true: Sequence[TrueDefect], one: int | None, two: int | None) -> bool:
    """Whether both lie within 20 mm of rail, wherever the encoders had them."""
    if one is None or two is None:
        return False
    return abs(_middle_mm(true[one]) - _middle_mm(true[two])) <= _SAME_MM


def defects(seed: int, km: float) -> list[TrueDefect]:
    line = SimulatedLine(
        seed, um_per_px=_UM_PER_PX, width_px=round(_SURFACE_MM * 1000 / _UM_PER_PX)
    )
    return line.true_defects(0, round(km * 1e9 / _UM_PER_PX))


def look(
    true: Sequence[TrueDefect], rng: np.random.Generator, wheel: float, slips: float
) -> Looked:
    """In order along the run's own axis."""
    end_mm = _middle_mm(true[-1])
    at_mm = np.sort(rng.uniform(0, end_mm, round(slips)))
    by_mm = np.cumsum(rng.uniform(*_SLIP_MM, len(at_mm)) * rng.choice([-1, 1], len(at_mm)))

    def counted(mm: float) -> float:
        slipped = np.searchsorted(at_mm, mm)
        return mm * (1 + wheel) + (float(by_mm[slipped - 1]) if slipped else 0.0)

    kinds = sorted({each.kind for each in true})
    found: list[tuple[Seen, int | None]] = [
        (_measured(each, counted(_middle_mm(each)), kinds, rng), number)
        for number, each in enumerate(true)
        if rng.random() >= _MISSED
    ]
    for _ in range(rng.poisson(_FALSE_A_METRE * end_mm / 1000)):
        along_mm, across_mm = counted(rng.uniform(0, end_mm)), rng.uniform(0, _SURFACE_MM)
        area_mm2 = float(rng.lognormal(3, 0.7))
        side_mm = area_mm2**0.5
        false = Seen(along_mm, across_mm, side_mm, side_mm, area_mm2, str(rng.choice(kinds)))
        found.append((false, None))
    found.sort(key=lambda each: each[0].along_mm)
    return Looked([seen for seen, _ in found], [number for _, number in found])


def _measured(
    of: TrueDefect, along_mm: float, kinds: Sequence[str], rng: np.random.Generator
) -> Seen:
    kind: str | None = str(rng.choice(kinds)) if rng.random() < _OTHERWISE else of.kind
    if rng.random() < _UNSURE:
        kind = None
    return Seen(
        along_mm=along_mm + rng.normal(0, _PLACE_MM),
        across_mm=of.left_um / 1000 + of.width_mm / 2 + rng.normal(0, _PLACE_MM),
        length_mm=of.stretch.length_mm * rng.lognormal(0, _EXTENT),
        width_mm=of.width_mm * rng.lognormal(0, _EXTENT),
        area_mm2=of.area_mm2 * rng.lognormal(0, _AREA),
        class_name=kind,
    )


def _middle_mm(of: TrueDefect) -> float:
    return (of.stretch.start_um + of.stretch.end_um) / 2000


def look_for_rolls(km: float, seeds: int) -> None:
    """Rolls of 100 mm to 2 m, each a kilometre of its own; one mark in twenty is missed."""
    false, named, early, rolls, off = 0, 0, 0, 0, list[float]()
    for seed in range(seeds):
        rng = np.random.default_rng(1000 + seed)
        sound = list(_spots(look(defects(seed, km), rng, 0, _SLIPS_A_KM * km)))
        alone = RollWatch()
        alarms = [mark for spot in sound if (mark := alone.see(spot)) is not None]
        false += len(alarms)
        print(f"strip {seed}: {len(alarms)} false alarms in {km:g} km with {len(sound)} defects")
        for number in range(round(km)):
            diameter_mm = float(np.exp(rng.uniform(np.log(100), np.log(2000))))
            marks = list(_marks(diameter_mm, 1e9 * number, rng))
            near = [s for s in sound if 1e9 * number <= s.along_um < 1e9 * (number + 1)]
            watch, rolls = RollWatch(), rolls + 1
            for spot in sorted([*near, *marks], key=lambda each: each.along_um):
                mark = watch.see(spot)
                if mark is not None and abs(mark.diameter_mm / diameter_mm - 1) < 0.02:
                    turns = (mark.last_um - marks[0].along_um) / (diameter_mm * np.pi * 1000)
                    named, early = named + 1, early + (turns <= 5.2)
                    off.append(abs(mark.diameter_mm / diameter_mm - 1))
                    break
    print(
        f"all: {false} false alarms in {km * seeds:g} km; {named} of {rolls} rolls named, {early} "
        f"within five turns, their diameters to {np.percentile(off, 95):.2%} (p95)"
    )


def _spots(looked: Looked) -> Iterator[Spot]:
    for seen in looked.seen:
        yield Spot(round(seen.along_mm * 1000), round(seen.across_mm * 1000), seen.area_mm2)


def _marks(diameter_mm: float, start_um: float, rng: np.random.Generator) -> Iterator[Spot]:
    """Of a scar, over thirty turns or the kilometre; the first five are all there, or named later
    for the one that is missed.
    """
    spacing_um, across_um = diameter_mm * np.pi * 1000, rng.uniform(5_000, 83_000)
    area_mm2 = float(rng.lognormal(3, 0.5))
    first_um = start_um + rng.uniform(0, spacing_um) + 1e6
    for turn in range(min(30, int(9e8 / spacing_um))):
        if turn and rng.random() < _MISSED:
            continue
        along_um = first_um + turn * spacing_um * (1 + rng.normal(0, 0.0002))
        yield Spot(
            round(along_um + rng.normal(0, 500)),
            round(across_um + rng.normal(0, 500)),
            area_mm2 * float(rng.lognormal(0, _AREA)),
        )


if __name__ == "__main__":
    main()
