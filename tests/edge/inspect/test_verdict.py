"""What is decided of a frame: defects in millimetres, the rules, and when nobody can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle, InputSpec, Limits, Manifest, OutputSpec
from edge.engines import Answer
from edge.inspect import Inspector, Judge, find, reject_stretches
from edge.inspect.seams import Seams
from edge.line_file import MinArea, Quality, Rules
from edge.network import Network
from edge.types import Frame, Image, LostFrame, Mask, State, Stretch, Tensor

LIMITS = Limits(min_area_mm2=1, min_extent_mm=2)
ANY_DEFECT = Rules(reject_if=MinArea(min_area_mm2=1))
SECOND_NS = 1_000_000_000


def a_frame(image: Image | None = None, index: int = 0) -> Frame:
    if image is None:
        grain = np.random.default_rng(index).integers(0, 40, (80, 60))
        image = (np.linspace(60, 150, 60) + grain).astype(np.uint8)
    start_um = index * 40_000
    return Frame(index, image, 0, Stretch(start_um, start_um + 40_000), across_um=500)


def a_mask(*boxes: tuple[slice, slice]) -> Mask:
    logits = np.full((80, 60), -4, np.float32)
    for box in boxes:
        logits[box] = 2
    return Mask(logits, threshold=0.5)


def test_a_defect_is_measured_in_millimetres_at_its_place_on_the_rail() -> None:
    frame = a_frame(index=3)  # 0.5 mm a pixel both ways
    (defect,) = find(frame, a_mask(np.s_[10:30, 20:24]), LIMITS).defects
    assert defect.stretch == Stretch(120_000 + 5_000, 120_000 + 15_000)
    assert (defect.length_mm, defect.width_mm, defect.area_mm2) == (10, 2, 20)
    assert (defect.left_um, defect.right_um) == (10_000, 12_000)
    assert defect.score == pytest.approx(1 / (1 + np.exp(-2)))
    assert defect.box_px == (20, 10, 4, 20)


def test_pieces_that_touch_only_at_a_corner_are_one_defect() -> None:
    mask = a_mask(np.s_[10:20, 10:20], np.s_[20:30, 20:30])
    assert len(find(a_frame(), mask, LIMITS).defects) == 1


def test_what_is_smaller_than_the_bundle_is_good_for_is_no_defect() -> None:
    speck, thin = np.s_[5:7, 5:6], np.s_[40:41, 10:13]  # 0.5 mm2; 0.75 mm2, 1.5 mm
    assert find(a_frame(), a_mask(speck, thin), LIMITS).defects == []


def test_a_long_piece_across_the_rail_is_large_enough() -> None:
    crack = np.s_[40:41, 10:20]  # half a millimetre along, five across
    assert len(find(a_frame(), a_mask(crack), LIMITS).defects) == 1


def test_each_defect_that_the_rules_reject_becomes_one_stretch() -> None:
    frame, rules = a_frame(), Rules(reject_if=MinArea(min_area_mm2=10))
    mask = a_mask(np.s_[2:12, 2:12], np.s_[30:32, 2:6], np.s_[60:80, 40:60])
    verdict = Judge(rules).judge(frame, find(frame, mask, LIMITS).defects)
    assert verdict.state is State.NG
    assert reject_stretches(verdict) == (Stretch(1_000, 6_000), Stretch(30_000, 40_000))
    assert [small.stretch for small in verdict.let_by] == [Stretch(15_000, 16_000)]


def test_a_frame_without_a_counting_defect_is_ok_and_rejects_nothing() -> None:
    verdict = Judge(ANY_DEFECT).judge(a_frame(), [])
    assert (verdict.state, verdict.reasons, reject_stretches(verdict)) == (State.OK, (), ())


def test_too_many_harmless_defects_in_a_metre_are_ng_until_the_metre_has_passed() -> None:
    rules = Rules(reject_if=MinArea(min_area_mm2=1000), max_per_metre=3)
    judge, seams, one = Judge(rules), Seams(), a_mask(np.s_[10:20, 10:20])
    defective = {0, 1, 2, 3, 40}  # a frame is 40 mm, a metre 25 of them
    states = []
    for index in range(42):
        frame = a_frame(index=index)
        found = seams.follow(frame, one if index in defective else a_mask(), LIMITS)
        states.append(judge.judge(frame, found).state)
    assert [n for n, state in enumerate(states) if state is State.NG] == [3]


class FixedEngine:
    """Answers every tensor with the same logit."""

    name = "fixed"
    takes_pixels = False
    blocks_at_once = 0

    def __init__(self, logit: float) -> None:
        self.logit, self.calls = logit, 0

    def infer(self, tensor: Tensor) -> Answer:
        self.calls += 1
        return Answer(np.full((1, 1, 40, 30), self.logit, np.float32))

    def infer_all(self, tensors: Sequence[Tensor]) -> list[Answer]:
        return [self.infer(tensor) for tensor in tensors]

    def close(self) -> None: ...


def an_inspector(engine: FixedEngine, now_ns: int = 0) -> Inspector:
    spec = InputSpec(
        height=80, width=60, channels=1, mean=[0], scale=[1], resize="linear", um_per_px=500
    )
    output = OutputSpec(height=80, width=60, kind="logits")
    manifest = Manifest.model_construct(input=spec, output=output, threshold=0.5, limits=LIMITS)
    bundle = Bundle(Path("fixed.bundle"), manifest, "ab" * 32, {})
    return Inspector(Network(bundle, engine), ANY_DEFECT, Quality(), clock_ns=lambda: now_ns)


GREY = np.full((80, 60), 128, np.uint8)
SURFACE = a_frame().image
NOISE = np.random.default_rng(0).integers(60, 190, (80, 60)).astype(np.uint8)
WITHOUT_A_LOOK = {
    "dark": a_frame(SURFACE // 16),
    "bright": a_frame(248 + SURFACE // 32),
    "saturated": a_frame(np.where(SURFACE > 120, 255, 90).astype(np.uint8)),
    "blurred": a_frame(GREY),
    "noise": a_frame(NOISE),
    "stale": replace(a_frame(), captured_ns=-2 * SECOND_NS),
    "unplugged": LostFrame(0, 0, Stretch(0, 40_000), "unplugged"),
}


@pytest.mark.parametrize("reason", WITHOUT_A_LOOK)
def test_a_frame_that_cannot_show_a_defect_is_unknown_and_rejected_whole(reason: str) -> None:
    engine = FixedEngine(-5)
    inspection = an_inspector(engine).inspect(WITHOUT_A_LOOK[reason])
    assert inspection.verdict.state is State.UNKNOWN
    assert any(given.startswith(reason) for given in inspection.verdict.reasons)
    assert reject_stretches(inspection.verdict) == (Stretch(0, 40_000),)
    assert engine.calls == 0


def test_an_engine_that_answers_with_no_number_makes_the_frame_unknown() -> None:
    verdict = an_inspector(FixedEngine(float("nan"))).inspect(a_frame()).verdict
    assert verdict.state is State.UNKNOWN
    assert reject_stretches(verdict) == (Stretch(0, 40_000),)


def test_a_good_frame_is_ok_or_ng_by_the_network_alone() -> None:
    assert an_inspector(FixedEngine(-5)).inspect(a_frame()).verdict.state is State.OK
    assert an_inspector(FixedEngine(5)).inspect(a_frame()).verdict.state is State.NG


def test_a_frame_of_the_wrong_kind_is_unknown_rather_than_guessed_at() -> None:
    wrong = a_frame(np.zeros((80, 60), np.uint8))
    wrong = replace(wrong, image=(SURFACE / 255).astype(np.float32))  # type: ignore[arg-type]
    inspection = an_inspector(FixedEngine(-5)).inspect(wrong)
    assert inspection.verdict.state is State.UNKNOWN
