"""What came of it: the figures, and why the bundle is refused if it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.adapt.decision import Guarded
from benchmarks.adapt.judging import Count


@dataclass(frozen=True)
class Result:
    """For a script, and for the page."""

    name: str
    better: bool
    objections: tuple[str, ...]
    held_out: Count | None  # None where no bundle came of it that could be held against anything
    learned_from: Count | None
    told: Mapping[str, str]
    bundle: str | None = None  # digest of the new one, if it is better

    def as_json(self, guards: Mapping[str, Guarded]) -> str:
        return json.dumps(
            {**asdict(self), "guard": {name: _figures(each) for name, each in guards.items()}}
        )


def _figures(guard: Guarded) -> dict[str, Any]:
    return {
        "classes": {
            name: {"of": old.n, "found_before": old.found, "found_now": new.found}
            for name, (old, new) in guard.classes().items()
        },
        "a90_95_before": guard.old.a90_95,
        "a90_95_now": guard.new.a90_95,
        "false_calls_before": guard.old.false_calls and guard.old.false_calls.count,
        "false_calls_now": guard.new.false_calls and guard.new.false_calls.count,
    }
