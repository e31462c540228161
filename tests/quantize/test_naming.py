"""Whether INT8 calls what it finds by its name, and by the one that FP32 gives it."""

from __future__ import annotations

import numpy as np

from edge.types import Defect, Mask, State, Stretch, Verdict
from quantize.parity import Subject
from quantize.parity.naming import compare_names
from reference.data import Pair

CLASSES = ("crush", "joint")
SIZE = 20
LEFT, RIGHT = (2, 2, 5, 5), (12, 2, 5, 5)


def a_defect(box_px: tuple[int, int, int, int], class_name: str | None) -> Defect:
    return Defect(Stretch(0, 1), 0, 1, 1.0, 0.9, box_px, class_name, 0.8)


def seen(*defects: Defect, reported: tuple[Defect, ...] = ()) -> tuple[Mask, Verdict]:
    logits = np.full((SIZE, SIZE), -5, np.float32)
    for defect in (*defects, *reported):
        x, y, width, height = defect.box_px
        logits[y : y + height, x : x + width] = 5
    return Mask(logits, 0.5), Verdict(State.NG, 0, Stretch(0, 1), defects, reported=reported)


def a_subject() -> Subject:
    """A crush on the left, a joint on the right."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[2:7, 2:7], labels[2:7, 12:17] = 1, 2
    image = np.zeros((SIZE, SIZE), np.uint8)
    mask = (labels > 0).astype(np.uint8)
    return Subject(Pair("one", image, mask, labels=labels, classes=CLASSES), "validation")


def test_names_are_held_against_the_truth_and_against_fp32() -> None:
    wanted = seen(a_defect(LEFT, "crush"), reported=(a_defect(RIGHT, "joint"),))
    got = seen(a_defect((3, 2, 5, 5), None), reported=(a_defect(RIGHT, "joint"),))
    names = compare_names([a_subject()], [wanted], [got])
    assert (names.found, names.right, names.matched) == (2, 1, 2)
    assert names.right_share == 0.5  # an unsure one is not called right
    [flip] = names.flips
    assert (flip.box_px, flip.wanted, flip.got) == ((3, 2, 5, 5), "crush", None)


def test_what_lies_on_nothing_that_has_a_name_is_neither_right_nor_wrong() -> None:
    beside = a_defect((2, 10, 5, 5), "crush")
    names = compare_names([a_subject()], [seen()], [seen(beside)])
    assert (names.found, names.matched, names.right_share) == (0, 0, 1.0)
