"""The statistics of `trackside qualify`, against printed examples and slow ways to the same."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pod_coverage import LEAST, MOST, Cell, study
from benchmarks.qualify.hit_miss import Specimens, curve, hit_miss
from benchmarks.qualify.logit import Logit, deviate
from benchmarks.qualify.rates import agreement, poisson, poisson_at_most, share_at_least
from benchmarks.qualify.signal_response import signal_response
from benchmarks.qualify.specimens_needed import specimens_needed
from edge.types import logit

# Temperatures (F) of 23 launches of the space shuttle, and those with damaged O-rings (Dalal,
# Fowlkes and Hoadley, JASA 1989, table 1).
SHUTTLE = [
    53,
    57,
    58,
    63,
    66,
    67,
    67,
    67,
    68,
    69,
    70,
    70,
    70,
    70,
    72,
    73,
    75,
    75,
    76,
    76,
    78,
    79,
    81,
]
DAMAGED = {0, 1, 2, 3, 10, 11, 16}
# Beetles after five hours of carbon disulphide: log10 of the dose, how many, how many died (Bliss,
# Ann. Appl. Biol. 1935).
BEETLES = [
    *((1.6907, 59, 6), (1.7242, 60, 13), (1.7552, 62, 18), (1.7842, 56, 28)),
    *((1.8113, 63, 52), (1.8369, 59, 53), (1.8610, 62, 61), (1.8839, 60, 60)),
]
# Ten patients, each put into one of five classes by fourteen psychiatrists (Fleiss, 1971).
FLEISS = [
    *((0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1)),
    *((7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7)),
]


def test_the_curve_is_that_of_printed_examples() -> None:
    cold = Logit(-np.array(SHUTTLE, float), np.array([i in DAMAGED for i in range(len(SHUTTLE))]))
    assert cold.likeliest == pytest.approx((15.0429, 0.2322), abs=5e-5)
    doses = np.repeat([dose for dose, _, _ in BEETLES], [n for _, n, _ in BEETLES])
    died = np.concatenate([np.arange(n) < dead for _, n, dead in BEETLES])
    beetles = Logit(doses, died)
    assert beetles.likeliest == pytest.approx((-60.717, 34.270), abs=5e-4)
    assert beetles.place(0.5) == pytest.approx(1.7717, abs=5e-5)


def test_a_bound_is_that_of_a_slow_search_over_every_curve() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.uniform(0.5, 6, 400)
    found = rng.random(400) < 1 / (1 + (2 / sizes) ** 4)
    x = np.log(sizes)
    bound = Logit(x, found).bound(0.9, deviate(0.95))
    # Firth's likelihood on a grid of a90 and slope, and the largest a90 within the deviance: with
    # so many specimens on the flank the adjustment is small.
    places, slopes = np.linspace(0.9, 1.6, 140), np.linspace(2, 7, 80)
    eta = logit(0.9) + slopes[None, :, None] * (x - places[:, None, None])
    p = 1 / (1 + np.exp(-eta))
    w = p * (1 - p)
    spread = (w * x**2).sum(-1) * w.sum(-1) - (w * x).sum(-1) ** 2
    value = np.log(np.where(found, p, 1 - p)).sum(-1) + 0.5 * np.log(spread)
    profile = value.max(1)
    slow = places[2 * (profile.max() - profile) <= deviate(0.95) ** 2][-1]
    assert bound is not None
    assert abs(bound - slow) < 0.03


@pytest.mark.parametrize(
    ("slope", "separated"), [(4.0, False), (60.0, True)], ids=["a flat truth", "a steep truth"]
)
def test_the_bound_covers_the_true_a90_as_often_as_it_says(slope: float, separated: bool) -> None:
    result = study(Cell("even, 0.5 to 6 mm", 60, slope, "log size", studies=300, seed=3))
    assert LEAST <= result.share <= MOST
    assert (result.separated > 150) == separated


@pytest.mark.parametrize(
    ("sizes", "found", "why"),
    [
        ([1, 2, 3], [0, 1, 1], "3 specimens are too few"),
        (list(range(1, 41)), [1] * 40, "all 40 were found"),
        (list(range(1, 41)), [0] * 40, "none of 40 was found"),
        ([3] * 40, [0, 1] * 20, "all 40 measure 3"),
        (list(range(1, 41)), [1] * 20 + [0] * 20, "larger ones were not found more often"),
    ],
    ids=["too few", "all found", "none found", "sizes alike", "the smaller are found"],
)
def test_what_specimens_cannot_say_is_not_said(
    sizes: list[float], found: list[bool], why: str
) -> None:
    answer = hit_miss(Specimens.of(sizes, found))
    assert (answer.a90, answer.a90_95) == (None, None)
    assert answer.why.startswith(why)


def test_chance_gives_no_bound_and_says_where_to_add() -> None:
    rng = np.random.default_rng(2)
    answer = hit_miss(Specimens.of(rng.uniform(1, 4, 20), rng.random(20) < 0.6))
    assert answer.a90_95 is None
    assert "add specimens" in answer.why


def test_no_bound_ends_in_a_gap_that_nobody_looked_into() -> None:
    sizes = np.repeat([1.0, 2.0, 3.0, 4.0], 30)
    answer = hit_miss(Specimens.of(sizes, sizes > 2.5))
    assert answer.separated
    assert answer.a90_95 == pytest.approx(3.0)


def test_the_curve_rises_within_its_band() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.uniform(0.5, 6, 120)
    for steepness in (4, 200):
        found = rng.random(120) < 1 / (1 + (2 / sizes) ** steepness)
        points = curve(Specimens.of(sizes, found), "log size")
        for column in ("at_least", "size", "at_most"):
            values = [value for p in points if (value := getattr(p, column)) is not None]
            assert values == sorted(values)
        at_90 = next(point for point in points if point.share == 0.9)
        assert at_90.at_least < at_90.size < at_90.at_most  # type: ignore[operator]


def test_counts_have_their_exact_intervals() -> None:
    none, ten = poisson(0, 1), poisson(10, 1)
    assert (none.at_least, none.at_most) == pytest.approx((0, 3.6889), abs=5e-5)
    assert (ten.at_least, ten.at_most) == pytest.approx((4.7954, 18.3904), abs=5e-5)
    assert poisson_at_most(0, 1) == pytest.approx(2.9957, abs=5e-5)
    assert share_at_least(29, 29) == pytest.approx(0.05 ** (1 / 29))


def test_kappa_is_fleiss_own() -> None:
    verdicts = [
        [str(kind) for kind, count in enumerate(row) for _ in range(count)] for row in FLEISS
    ]
    agreed = agreement(verdicts)
    assert agreed.kappa == pytest.approx(0.210, abs=5e-4)
    assert agreed.equal == 0.1
    assert agreement([["a", "a"], ["a", "a"]]).kappa is None


def test_the_signal_gives_the_same_a90_from_fewer_specimens() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.uniform(0.5, 6, 4000)
    signals = 2 * np.log(sizes) + rng.normal(0, 0.5, 4000)
    a90 = float(np.exp((1 + 0.5 * 1.2816) / 2))
    answer = signal_response(sizes, signals, 1.0, floor=-0.5)
    assert answer.censored > 100
    assert answer.a90 == pytest.approx(a90, rel=0.02)
    bounds = [
        signal_response(sizes[part], signals[part], 1.0).a90_95
        for part in np.array_split(np.arange(4000), 50)
    ]
    assert 44 <= sum(bound >= a90 for bound in bounds if bound is not None) <= 50


def test_a_signal_that_bends_is_no_answer() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.uniform(0.5, 6, 300)
    signals = np.tanh(2 * np.log(sizes)) + rng.normal(0, 0.1, 300)
    answer = signal_response(sizes, signals, 0.5)
    assert answer.a90_95 is None
    assert answer.why.startswith("the signal bends with size")


def test_as_many_specimens_as_it_says_are_enough() -> None:
    def answer(n: int, seed: int) -> float:
        rng = np.random.default_rng(seed)
        sizes = rng.uniform(0.5, 6, n)
        found = rng.random(n) < 1 / (1 + (2 / sizes) ** 6)
        return hit_miss(Specimens.of(sizes, found)).a90_95 or np.inf

    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.5, 6, 200)
    first = hit_miss(Specimens.of(sizes, rng.random(200) < 1 / (1 + (2 / sizes) ** 6)))
    assert first.a90 is not None
    wished = first.a90 * 1.08
    needed = specimens_needed(first, wished)
    assert needed.specimens is not None
    truth = 2 * 9 ** (1 / 6)
    bounds = [answer(needed.specimens, seed) for seed in range(1, 30)]
    assert np.median(bounds) == pytest.approx(wished * truth / first.a90, rel=0.03)
    assert specimens_needed(first, first.a90 * 0.9).specimens is None
