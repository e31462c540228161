"""What a run has come to so far: verdict counts, latencies, the last things worth a look."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from edge.inspect import Inspection
from edge.types import State

_LATEST = 2_000  # frames whose times are kept: enough for a p99, and full in minutes


@dataclass
class Tally:
    """Counts every inspection; keeps the latest latencies, and the latest that were not OK."""

    states: Counter[State] = field(default_factory=Counter)
    latencies_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_LATEST))
    infer_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_LATEST))
    latest: Inspection | None = None
    rejected: deque[Inspection] = field(default_factory=lambda: deque(maxlen=16))

    def add(self, inspection: Inspection) -> None:
        self.states[inspection.verdict.state] += 1
        self.latencies_ns.append(inspection.latency_ns)
        if "infer" in inspection.stage_ns:
            self.infer_ns.append(inspection.stage_ns["infer"])
        self.latest = inspection
        if inspection.verdict.state is not State.OK:
            self.rejected.append(inspection)

    @property
    def frames(self) -> int:
        return self.states.total()

    def latency_ms(self) -> dict[str, float]:
        """Percentiles from the light on the sensor to the verdict; empty before the first frame."""
        if not self.latencies_ns:
            return {}
        values = np.asarray(self.latencies_ns) / 1e6
        p50, p90, p99 = np.percentile(values, [50, 90, 99])
        return {
            name: round(float(value), 3)
            for name, value in zip(
                ("p50", "p90", "p99", "max"), (p50, p90, p99, values.max()), strict=True
            )
        }
