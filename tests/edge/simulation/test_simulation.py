"""The simulated line is the same for the same seed, and knows exactly where its defects are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.inspect.rail_head import head_centre
from edge.simulation import SURFACES, SimulatedLine, SurfaceKind
from edge.simulation.blemishes import DEFECTS, DISTRACTORS
from edge.simulation.dataset import write_dataset

CROWDED = SimulatedLine(3, defects_per_metre=10, distractors_per_metre=5)
TRACK = SimulatedLine(3, "track", 480, defects_per_metre=10, distractors_per_metre=8)


@settings(max_examples=20)
@given(start=st.integers(0, 5000), rows=st.integers(1, 300), cut=st.integers(0, 299))
def test_two_windows_of_the_rail_meet_without_a_seam(start: int, rows: int, cut: int) -> None:
    cut %= rows
    for line in (CROWDED, TRACK):
        whole = line.render(start, rows)
        below = line.render(start + cut, rows - cut)
        for image, part in zip(whole, below, strict=True):
            assert np.array_equal(image[cut:], part)


@pytest.mark.parametrize("surface", SURFACES)
def test_the_same_seed_is_the_same_rail_and_another_seed_is_another(surface: SurfaceKind) -> None:
    image, _ = SimulatedLine(5, surface).render(100, 64)
    again, _ = SimulatedLine(5, surface).render(100, 64)
    other, _ = SimulatedLine(6, surface).render(100, 64)
    assert np.array_equal(image, again)
    assert not np.array_equal(image, other)


def test_the_truth_is_where_the_mask_is() -> None:
    _, mask = CROWDED.render(0, 8000)
    truth = CROWDED.true_defects(0, 8000)
    assert len(truth) > 10
    rows = np.zeros(8000, bool)
    for defect in truth:
        start, end = (um // 250 for um in (defect.stretch.start_um, defect.stretch.end_um))
        assert mask[start].any() and mask[end - 1].any()
        rows[start:end] = True
    # What the mask shows outside the truth belongs to a defect that is only partly in the window.
    partly = np.flatnonzero(mask.any(1) & ~rows)
    assert all(row < 400 or row > 7600 for row in partly)


def test_track_is_a_bright_head_in_the_dark_with_all_that_has_a_name_on_it() -> None:
    image, labels = TRACK.render(0, 16_000)
    names = ("damage", "d_crush", "d_scratch", "d_dent", "d_slant", "gap", "dirt")
    assert TRACK.classes == names
    assert set(np.unique(labels)) == set(range(len(names) + 1))
    assert image[:, :80].mean() < 10 < image[:, 150:330].mean()
    assert not labels[:, :80].any() and not labels[:, -80:].any()
    assert abs(head_centre(image, 280) - 240) < 12
    gap = labels == 1 + names.index("gap")
    assert gap.sum(1).max() == 280  # across the whole head
    kinds = {defect.kind for defect in TRACK.true_defects(0, 16_000)}
    assert kinds == set(names[:5])  # a joint and dirt are none
    other = SimulatedLine(4, "track", 480).render(0, 400)[0]
    assert not np.array_equal(other, image[:400])


def test_a_lone_defect_has_the_area_of_its_mask() -> None:
    line = SimulatedLine(11, defects_per_metre=0.5, distractors_per_metre=0)
    defect = line.true_defects(0, 40_000)[0]
    start, end = defect.stretch.start_um // 250, defect.stretch.end_um // 250
    _, mask = line.render(start, end - start)
    assert np.count_nonzero(mask) * 0.25**2 == pytest.approx(defect.area_mm2)
    assert np.ptp(np.flatnonzero(mask.any(0))) + 1 == pytest.approx(defect.width_mm * 4)


@pytest.mark.parametrize("kind", [*DEFECTS, *DISTRACTORS])
def test_every_blemish_shows_and_only_defects_are_masked(kind: str) -> None:
    paint = (DEFECTS | DISTRACTORS)[kind](np.random.default_rng(0), 4.0)
    assert paint.coverage.shape == paint.shade.shape
    assert 0.4 < paint.coverage.max() <= 1
    assert np.abs(paint.coverage * paint.shade).max() > 5
    if kind in DEFECTS:
        rim = [paint.mask[0], paint.mask[-1], paint.mask[:, 0], paint.mask[:, -1]]
        assert paint.mask.any() and not np.concatenate(rim).any()


def test_a_rail_without_defects_has_an_empty_mask() -> None:
    line = SimulatedLine(1, defects_per_metre=0, distractors_per_metre=20)
    assert not line.render(0, 4000)[1].any()
    assert line.true_defects(0, 4000) == []


def test_paint_lies_under_all_else_and_moves_none_of_it() -> None:
    painted = replace(CROWDED, paint_per_metre=6)
    (bare, labels), (image, same) = (line.render(0, 4000) for line in (CROWDED, painted))
    assert np.array_equal(labels, same)
    assert painted.true_defects(0, 4000) == CROWDED.true_defects(0, 4000)
    marks = painted.true_paint(0, 4000)
    assert marks and CROWDED.true_paint(0, 4000) == []
    changed = np.flatnonzero((image != bare).any(axis=1))
    rows = [mark.stretch.start_um // 250 for mark in marks]
    assert all(np.abs(changed - row).min() <= 2 for row in rows)
    assert all(30 < mark.contrast < 90 for mark in marks)


def test_grease_on_track_is_sound_and_moves_nothing_else() -> None:
    greasy = replace(TRACK, grease_per_metre=8)
    (bare, labels), (image, same) = (line.render(0, 4000) for line in (TRACK, greasy))
    assert np.array_equal(labels, same)
    assert (image <= bare).all() and (image < bare).mean() > 0.01
    bright = bare > 60
    assert 0.55 < (image[bright] / bare[bright]).min() < 0.9, "a film, through which rail is seen"


def test_a_data_set_holds_frames_of_many_surfaces_with_binary_masks(tmp_path: Path) -> None:
    written = write_dataset(tmp_path, CROWDED, frames=6, lines=3, height_px=96)
    assert list(written) == [0, 1, 2, 3, 4, 5]
    rows = [json.loads(row) for row in (tmp_path / "frames.jsonl").read_text().splitlines()]
    assert [(row["seed"], row["start_row"]) for row in rows] == [
        (3, 0), (4, 0), (5, 0), (3, 96), (4, 96), (5, 96),
    ]  # fmt: skip
    for row in rows:
        image = cv2.imread(str(tmp_path / "images" / row["image"]), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(tmp_path / "masks" / row["image"]), cv2.IMREAD_UNCHANGED)
        assert image is not None and image.shape == (96, 352)
        assert mask is not None and mask.shape == (96, 352)
        assert set(np.unique(mask)) <= {0, 255}
        assert bool(mask.any()) == bool(row["kinds"])


def test_a_data_set_of_track_tells_its_classes_apart(tmp_path: Path) -> None:
    line = SimulatedLine(7, "track", 128, 500, 20, 10)
    assert list(write_dataset(tmp_path, line, frames=6, lines=3, height_px=128)) == list(range(6))
    classes = json.loads((tmp_path / "classes.json").read_text())
    rows = [json.loads(row) for row in (tmp_path / "frames.jsonl").read_text().splitlines()]
    for row in rows:
        labels = cv2.imread(str(tmp_path / "labels" / row["image"]), cv2.IMREAD_GRAYSCALE)
        mask = cv2.imread(str(tmp_path / "masks" / row["image"]), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(labels > 0, mask > 0)
        assert row["kinds"] == [classes[n - 1] for n in np.unique(labels) if n]
    assert len({kind for row in rows for kind in row["kinds"]}) > 3
