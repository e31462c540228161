"""What is unlike all that the network answered to good rail: told, and never an excuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import Bundle, InputSpec, Limits, Manifest, OutputSpec
from edge.engines import Answer
from edge.inspect import (
    Baseline,
    Inspection,
    Inspector,
    figures_of,
    look_at,
    reject_stretches,
    usual_of,
)
from edge.inspect import answers_of as fitted
from edge.inspect.familiarity import Answers, Figures
from edge.line_file import MinArea, NativeSettings, Quality, Rules
from edge.network import Network, load_network
from edge.simulation import SimulatedLine
from edge.types import Frame, Mask, Names, State, Stretch, Tensor, unite

SIZE, ROWS, COLUMNS, FRAME_UM = 352, 80, 60, 40_000
DIGEST = "ab" * 32
Map = NDArray[np.float32]


# --- the figure ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(NativeSettings(), "strip")


def seen(network: Network, line: SimulatedLine, frames: Sequence[int]) -> list[Figures]:
    images = (line.render(SIZE * number, SIZE)[0] for number in frames)
    return [figures_of(network.see(image), None) for image in images]


def test_paint_is_unfamiliar_and_few_good_frames_are(network: Network) -> None:
    """The whole of it: one good frame in a hundred reaches 1."""
    good = SimulatedLine(4, defects_per_metre=0)
    painted = SimulatedLine(4, defects_per_metre=0, paint_per_metre=8)
    answers, apart = fitted(seen(network, good, range(200)))
    assert sum(each > 1 for each in apart) == 2
    usual = [answers.unfamiliar(each) for each in seen(network, good, range(500, 600))]
    marked = [
        number
        for number in range(500, 600)
        if painted.true_paint(SIZE * number, SIZE * (number + 1))
    ]
    odd = [answers.unfamiliar(each) for each in seen(network, painted, marked)]
    assert len(odd) > 20
    assert max(usual) < min(odd)


def test_what_lies_outside_of_the_region_says_nothing() -> None:
    names = Names(np.full((3, 5, 4), 1 / 3, np.float32), ("a", "b", "c"))
    logits = np.full((ROWS, COLUMNS), -4, np.float32)
    logits[:, :30] = np.random.default_rng(0).normal(-4, 1, (ROWS, 30))
    inside = np.zeros((ROWS, COLUMNS), np.uint8)
    inside[:, :30] = 255
    one = figures_of(Mask(logits, 0.5, names), inside)
    logits = logits.copy()
    logits[:, 30:] = 20
    shares = names.shares.copy()
    shares[:, :, 2:] = np.array([1, 0, 0], np.float32)[:, None, None]
    other = Mask(logits, 0.5, Names(shares, names.classes))
    assert np.array_equal(one, figures_of(other, inside))
    assert not np.array_equal(one, figures_of(other, None))


def test_answers_are_the_same_after_a_file(network: Network) -> None:
    figures = seen(network, SimulatedLine(4), range(8))
    answers, _ = fitted(figures)
    again = Answers.model_validate_json(answers.model_dump_json())
    assert again.unfamiliar(figures[0]) == answers.unfamiliar(figures[0])


# --- the rule ------------------------------------------------------------------------------------


class Scripted:
    """Answers each frame with the next map."""

    name = "scripted"
    takes_pixels = False
    blocks_at_once = 0

    def __init__(self, maps: Sequence[Map]) -> None:
        self._maps = iter(maps)

    def infer(self, tensor: Tensor) -> Answer:
        return Answer(next(self._maps)[None, None])

    def infer_all(self, tensors: Sequence[Tensor]) -> list[Answer]:
        return [self.infer(tensor) for tensor in tensors]

    def close(self) -> None: ...


def quiet(index: int, level: float = -4) -> Map:
    """Good rail; at another level, rail that answers otherwise."""
    grain = np.random.default_rng(index).normal(level, 0.2, (ROWS, COLUMNS))
    return grain.astype(np.float32)


IMAGE = (
    np.linspace(60, 150, COLUMNS) + np.random.default_rng(0).integers(0, 40, (ROWS, COLUMNS))
).astype(np.uint8)
ANSWERS, _ = fitted([figures_of(Mask(quiet(index), 0.5), None) for index in range(40)])
BASELINE = Baseline.model_construct(
    bundle=DIGEST, usual=usual_of(2 * [look_at(IMAGE)]), answers=ANSWERS
)


def run(maps: Sequence[Map], most: float | None, digest: str = DIGEST) -> list[Inspection]:
    spec = InputSpec(
        height=ROWS, width=COLUMNS, channels=1, mean=[0], scale=[1], resize="linear", um_per_px=500
    )
    limits = Limits(min_area_mm2=4, min_extent_mm=2)
    output = OutputSpec(height=ROWS, width=COLUMNS, kind="logits")
    manifest = Manifest.model_construct(input=spec, output=output, threshold=0.5, limits=limits)
    inspector = Inspector(
        Network(Bundle(Path("scripted.bundle"), manifest, digest, {}), Scripted(maps)),
        Rules(reject_if=MinArea(min_area_mm2=10), max_per_metre=3),
        Quality(max_unfamiliar=most),
        clock_ns=lambda: 0,
        baseline=BASELINE,
    )
    frames = (
        Frame(index, IMAGE, 0, Stretch(index * FRAME_UM, (index + 1) * FRAME_UM), 500)
        for index in range(len(maps))
    )
    return [inspector.inspect(frame) for frame in frames]


def rejected(seen: Sequence[Inspection]) -> list[Stretch]:
    return unite(stretch for each in seen for stretch in reject_stretches(each.verdict))


def test_a_frame_that_is_too_unfamiliar_is_unknown_and_says_how_much() -> None:
    usual, odd = run([quiet(99), quiet(0, level=-2)], most=2)
    assert usual.verdict.state is State.OK
    assert usual.unfamiliar is not None and usual.unfamiliar < 1.5
    assert odd.verdict.state is State.UNKNOWN
    assert odd.verdict.reasons == (f"unfamiliar to the network: {odd.unfamiliar:.1f}, more than 2",)
    assert [each.verdict.state for each in run([quiet(0, level=-2)], most=None)] == [State.OK]


def test_another_bundle_says_nothing_of_what_is_familiar_to_the_first() -> None:
    [odd] = run([quiet(0, level=-2)], most=2, digest="cd" * 32)
    assert (odd.unfamiliar, odd.verdict.state) == (None, State.OK)


LEVELS = st.lists(st.sampled_from([-4.0, -4.0, -2.5, -1.0]), min_size=2, max_size=6)
AT_A_SEAM = st.builds(
    lambda frame, ahead: frame * ROWS - ahead, st.integers(1, 5), st.integers(1, 6)
)
MARKS = st.lists(
    st.tuples(AT_A_SEAM | st.integers(0, 6 * ROWS), st.integers(0, 50), st.integers(3, 12)),
    max_size=6,
)


@settings(max_examples=200)
@given(LEVELS, MARKS, st.sampled_from([1.0, 2.0, 8.0]))
def test_what_is_unfamiliar_excuses_nothing(
    levels: list[float], marks: list[tuple[int, int, int]], most: float
) -> None:
    """With the rule all is rejected that is without it, frame by frame, and what is odd besides:
    also of a defect that is too small on either side of a seam, and large enough over it.
    """
    strip = np.vstack([quiet(index, level) for index, level in enumerate(levels)])
    for top, left, side in marks:
        strip[top : top + side, left : left + side] = 3
    maps = np.split(strip, len(levels))
    free, ruled = run(maps, None), run(maps, most)
    for count, (one, other) in enumerate(zip(free, ruled, strict=True), start=1):
        kept = rejected(ruled[:count])
        assert not [rest for each in rejected(free[:count]) for rest in each.without(kept)]
        assert one.unfamiliar == other.unfamiliar
        is_odd = other.unfamiliar is not None and other.unfamiliar > most
        if one.verdict.state is State.NG:
            assert other.verdict.state is State.NG
        else:
            assert other.verdict.state is (State.UNKNOWN if is_odd else State.OK)
        if is_odd:
            assert not list(other.verdict.stretch.without(kept))
            assert other.verdict.reasons[-1].startswith("unfamiliar to the network")
