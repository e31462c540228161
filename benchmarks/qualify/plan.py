"""How much of the simulated rail a study takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """As the command line has it."""

    defects: int
    smallest: float
    passes: int
    processes: int
