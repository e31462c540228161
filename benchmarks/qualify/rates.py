"""Exact intervals for what is counted, and how well repeated verdicts agree; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaincinv


@dataclass(frozen=True, slots=True)
class Rate:
    """So many to the unit, at least and at most, each side at half of what confidence leaves."""

    count: int
    over: float
    rate: float
    at_least: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the same things judged again: the share of equal verdicts, and kappa beyond chance."""

    things: int
    passes: int
    equal: float  # of things whose verdicts are all the same
    kappa: float | None  # None where every verdict is the same: chance alone explains that too


def poisson(count: int, over: float, confidence: float = 0.95) -> Rate:
    """A Poisson rate by Garwood's exact interval; `over` is a length or a time."""
    if count < 0 or over <= 0:
        raise ValueError(f"{count} in {over:g} is no rate: count from 0 over more than 0")
    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    high = float(gammaincinv(count + 1, 1 - tail))
    return Rate(count, over, count / over, low / over, high / over)


def poisson_at_most(count: int, over: float, confidence: float = 0.95) -> float:
    """The one-sided bound: the rate is below it at this confidence."""
    return float(gammaincinv(count + 1, confidence)) / over


def share_at_least(found: int, of: int, confidence: float = 0.95) -> float:
    """The one-sided bound of a share (Clopper and Pearson)."""
    return float(betaincinv(found, of - found + 1, 1 - confidence)) if found else 0.0


def share_at_most(found: int, of: int, confidence: float = 0.95) -> float:
    """The other one-sided bound of a share (Clopper and Pearson)."""
    return 1 - share_at_least(of - found, of, confidence)


def agreement(verdicts: Sequence[Sequence[str]]) -> Agreement:
    """Fleiss' kappa of things, each judged by the same number of passes, two or more."""
    passes = len(verdicts[0]) if verdicts else 0
    if passes < 2 or any(len(each) != passes for each in verdicts):
        raise ValueError("give two verdicts or more of each thing, and as many of every one")
    kinds = sorted({verdict for each in verdicts for verdict in each})
    counts: NDArray[np.int64] = np.array(
        [[list(v).count(kind) for kind in kinds] for v in verdicts]
    )
    alike = (counts * (counts - 1)).sum(1) / (passes * (passes - 1))
    by_chance = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    equal = float((counts.max(1) == passes).mean())
    kappa = None if by_chance == 1 else (float(alike.mean()) - by_chance) / (1 - by_chance)
    return Agreement(len(verdicts), passes, equal, kappa)
