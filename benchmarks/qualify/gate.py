"""A certificate as a gate: what must hold of it, and what does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge.certificate import Certificate
from edge.errors import UsageError

_PER_M = {"m": 1.0, "km": 1000.0}


@dataclass(frozen=True, slots=True)
class Gate:
    """Each is held against the 95% bound, not the estimate; None is not asked for."""

    max_a90: float | None = None
    max_false_calls_per_km: float | None = None


def false_calls_per_km(text: str) -> float:
    """Of `N/km` or `N/m`."""
    matched = re.fullmatch(r"(\d+(?:\.\d*)?(?:e-?\d+)?)/(km|m)", text.strip())
    if matched is None:
        raise UsageError(f"--max-false-calls {text} is no rate: write 2/km or 0.01/m")
    return float(matched[1]) * 1000 / _PER_M[matched[2]]


def failures(certificate: Certificate, gate: Gate) -> Iterator[str]:
    """Why it does not pass; nothing where it does."""
    unit = certificate.main().unit
    if gate.max_a90 is not None:
        if certificate.a90_95 is None:
            yield f"a90/95 cannot be told: {certificate.why}"
        elif certificate.a90_95 > gate.max_a90:
            yield f"a90/95 is {certificate.a90_95:.3g}, more than {gate.max_a90:g} ({unit})"
    if gate.max_false_calls_per_km is not None:
        rate = certificate.false_calls
        if rate is None:
            yield "false calls were not counted: this source shows no sound surface by the metre"
        elif rate.per_km_bound_95 > gate.max_false_calls_per_km:
            yield (
                f"false calls are only shown to be below {rate.per_km_bound_95:.3g} a km at 95%, "
                f"and {gate.max_false_calls_per_km:g} are asked for"
            )
