"""Who found what: the specimens of one study, and the certificate that is made of them."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version

import numpy as np

from benchmarks.qualify.hit_miss import HitMiss, Specimens, curve, hit_miss
from benchmarks.qualify.rates import agreement, poisson, poisson_at_most
from benchmarks.qualify.signal_response import signal_response
from benchmarks.qualify.specimens_needed import specimens_needed
from edge.box import Box
from edge.certificate import (
    Answer,
    Bin,
    Certificate,
    CurvePoint,
    Judgement,
    Measure,
    Needed,
    Picture,
    Rate,
    Repeatability,
    SignalResponse,
)
from edge.certificate.certificate import Origin

UNITS = {"area_mm2": "mm2", "contrast": "grey levels", "size": "as the table has it"}
MOST_PICTURES = 12  # of misses, and of false calls
_BINS = 10


@dataclass(frozen=True, slots=True)
class Specimen:
    """One true defect, and whether each pass found it."""

    kind: str | None
    sizes: Mapping[str, float]  # by measure
    found: tuple[bool, ...]  # by pass
    signal: float | None = None
    where: str = ""
    png: bytes | None = None
    named: str | None = None  # what it was called by the first pass, if that found it


@dataclass(frozen=True, slots=True)
class FalseCall:
    """What was rejected where nothing is."""

    where: str
    png: bytes | None = None


@dataclass(frozen=True)
class Study:
    """Everything that a certificate is made of."""

    origin: Origin
    population: str
    of: Judgement | None
    specimens: Sequence[Specimen]
    measure: str
    data: Mapping[str, str]
    false_calls: Sequence[FalseCall] = ()
    inspected_m: float | None = None  # of surface where false calls were counted, in every pass
    decision: float | None = None  # of the signal
    signal: str = ""  # what it is
    left_out: Mapping[str, int] = field(default_factory=dict)
    limits: Sequence[str] = ()


def certify(study: Study, *, wished: float | None = None) -> Certificate:
    """All that the study says, and nothing that it does not."""
    names = list(study.specimens[0].sizes) if study.specimens else [study.measure]
    measures = tuple(_measure(study, name) for name in names)
    top = next(each.of_all for each in measures if each.name == study.measure)
    return Certificate(
        format=1,
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        version=version("trackside"),
        machine=Box().name(),
        source=study.origin,
        population=study.population,
        of=study.of,
        data=dict(study.data),
        measure=study.measure,
        n=top.n,
        a50=top.a50,
        a90=top.a90,
        a90_95=top.a90_95,
        why=top.why,
        measures=measures,
        signal_response=_signal_response(study),
        false_calls=_rate(study),
        named=_named(study),
        repeatability=_repeatability(study),
        needed=None if wished is None else _needed(study, wished),
        left_out={why: count for why, count in study.left_out.items() if count},
        misses=_pictures(
            (f"{each.kind or 'defect'}, {_sizes(each)}, {each.where}", each.png)
            for each in sorted(study.specimens, key=lambda each: -each.sizes[study.measure])
            if not each.found[0]
        ),
        false_call_pictures=_pictures((each.where, each.png) for each in study.false_calls),
        limits=(*study.limits, *top.remarks),
    )


def _measure(study: Study, name: str) -> Measure:
    kinds = Counter(each.kind for each in study.specimens if each.kind is not None)
    return Measure(
        name=name,
        unit=UNITS.get(name, "mm"),
        of_all=_answer(study.specimens, name, with_curve=True),
        by_class={
            kind: _answer([each for each in study.specimens if each.kind == kind], name)
            for kind in sorted(kinds)
        },
    )


def _hit_miss(specimens: Sequence[Specimen], name: str) -> tuple[HitMiss, Specimens]:
    """By the first pass: others of the same specimens are no further ones."""
    asked = Specimens.of([each.sizes[name] for each in specimens], [e.found[0] for e in specimens])
    return hit_miss(asked), asked


def _answer(specimens: Sequence[Specimen], name: str, *, with_curve: bool = False) -> Answer:
    found, asked = _hit_miss(specimens, name)
    if not with_curve:
        return Answer(**asdict(found))
    points = curve(asked, found.scale) if found.scale is not None else ()
    return Answer(
        **asdict(found),
        curve=tuple(CurvePoint(**asdict(point)) for point in points),
        bins=_bins(asked),
    )


def _bins(specimens: Specimens) -> tuple[Bin, ...]:
    """Ten of them, with as many specimens each."""
    order = np.argsort(specimens.sizes, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return tuple(
        Bin(
            low=float(specimens.sizes[part[0]]),
            high=float(specimens.sizes[part[-1]]),
            n=len(part),
            found=int(specimens.found[part].sum()),
        )
        for part in parts
    )


def _signal_response(study: Study) -> SignalResponse | None:
    seen = [each for each in study.specimens if each.signal is not None]
    if study.decision is None or not seen:
        return None
    sizes = [each.sizes[study.measure] for each in seen]
    signals = [each.signal for each in seen if each.signal is not None]
    fits = [
        signal_response(sizes, signals, study.decision, scale=scale)
        for scale in ("log size", "size")
    ]
    best = min(fits, key=lambda fit: np.inf if fit.scatter is None else fit.scatter)
    return SignalResponse(
        n=best.n,
        decision=study.decision,
        signal=study.signal,
        scale=best.scale,
        slope=best.slope,
        scatter=best.scatter,
        a50=best.a50,
        a90=best.a90,
        a90_95=best.a90_95,
        why=best.why,
    )


def _rate(study: Study) -> Rate | None:
    if not study.inspected_m:
        return None
    count, per_km = len(study.false_calls), poisson(len(study.false_calls), study.inspected_m / 1e3)
    return Rate(
        count=count,
        inspected_m=study.inspected_m,
        per_m=per_km.rate / 1000,
        per_km=per_km.rate,
        per_km_at_least=per_km.at_least,
        per_km_at_most=per_km.at_most,
        per_km_bound_95=poisson_at_most(count, study.inspected_m / 1e3),
    )


def _repeatability(study: Study) -> Repeatability | None:
    verdicts = [["found" if hit else "missed" for hit in each.found] for each in study.specimens]
    if not verdicts or len(verdicts[0]) < 2:
        return None
    agreed = agreement(verdicts)
    return Repeatability(
        specimens=agreed.things, passes=agreed.passes, equal=agreed.equal, kappa=agreed.kappa
    )


def _named(study: Study) -> dict[str, dict[str, int]]:
    called: dict[str, Counter[str]] = {}
    for each in study.specimens:
        if each.kind is not None and each.named is not None:
            called.setdefault(each.kind, Counter())[each.named] += 1
    return {kind: dict(called[kind].most_common()) for kind in sorted(called)}


def _needed(study: Study, wished: float) -> Needed:
    answer, _ = _hit_miss(study.specimens, study.measure)
    return Needed(**asdict(specimens_needed(answer, wished)))


def _pictures(shown: Iterable[tuple[str, bytes | None]]) -> tuple[Picture, ...]:
    kept = [(title, png) for title, png in shown if png is not None]
    return tuple(
        Picture(title=title, png=base64.b64encode(png).decode())
        for title, png in kept[:MOST_PICTURES]
    )


def _sizes(specimen: Specimen) -> str:
    return ", ".join(
        f"{value:.3g} {UNITS.get(name, 'mm')} {name.split('_')[0]}"
        for name, value in specimen.sizes.items()
    )
