"""Each data set, laid out as distributed, becomes pairs with the right mask, class and split."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.simulation import SimulatedLine
from reference.data import Pair, Source, batch, look, read
from reference.data.pairs import DataError
from reference.datasets import LAYOUTS, list_samples, recognise
from stands.datasets_on_disk import SIDE, WRITERS, picture, real_data, write

# What the miniatures of `datasets_on_disk` say: name -> class, split, and pixels of defect.
SQUARE = 16 * 16
TRUTH = {
    "sd900": {
        "In_1": ("inclusion", "train", SQUARE),
        "In_61": ("inclusion", "test", SQUARE),
        "Pa_241": ("patches", "validation", SQUARE),
        "Sc_259": ("scratches", "validation", SQUARE),
        "Sc_2": ("scratches", "train", SQUARE),
    },
    "neu_seg": {
        "training/000201": ("inclusion", "train", SQUARE + 4),
        "training/000202": ("patches", "train", SQUARE + 4),
        "test/000201": ("scratches", "test", SQUARE + 4),
    },
    "neu_det": {
        "crazing_1": ("crazing", "train", 16 * 32),
        "rolled-in_scale_300": ("rolled-in_scale", "validation", 16 * 32),
    },
    "nrsd": {
        "s0000505b_0_0": ("man-made", "train", SQUARE),
        "s0000600b_1_0": ("man-made", "validation", SQUARE),
        "real_1": ("natural", "test", SQUARE),
        "single_1": ("man-made", "test", SQUARE),
    },
    "rsdds": {
        "type-i/rail_1": ("type-i", "train", SQUARE),
        "type-i/rail_5": ("type-i", "validation", SQUARE),
        "type-ii/rail_1": ("type-ii", "train", SQUARE),
        "type-ii/rail_5": ("type-ii", "validation", SQUARE),
    },
    "magnetic_tile": {
        "exp1_num_853": ("blowhole", "train", SQUARE),
        "exp3_num_110000": ("blowhole", "validation", SQUARE),
        "exp6_num_108812": ("blowhole", "test", SQUARE),
        "exp1_num_824": ("free", "train", 0),
        "exp2_num_260000": ("free", "validation", 0),
    },
    "kolektor": {
        "kos01/Part0": ("defect", "train", SQUARE),
        "kos01/Part1": ("free", "train", 0),
        "kos05/Part0": ("defect", "validation", SQUARE),
    },
    "crackforest": {
        "001": ("crack", "train", SQUARE),
        "005": ("crack", "validation", SQUARE),
    },
    "orssd": {
        "train/0001": ("defect", "train", SQUARE),
        "test/0001": ("defect", "test", SQUARE),
    },
    "rail_defect": {  # the gap's box as far as the strip round the head shows it
        "1028010100005": ("gap", "train", 40 * 372),
        "1501200200007": ("d_dent", "validation", 34 * 24),
    },
    "coco": {
        "train/train_0": ("dent", "train", SQUARE),
        "train/train_1": ("scratch", "train", 4 * SIDE),
        "train/train_2": ("dent", "train", 8 * 6),
        "train/train_3": ("free", "train", 0),
        "validation/val_0": ("dent", "validation", SQUARE),
        "validation/val_1": ("scratch", "validation", 4 * SIDE),
        "validation/val_2": ("dent", "validation", 8 * 6),
        "validation/val_3": ("free", "validation", 0),
    },
    "by_class": {
        "train/good/000": ("free", "train", 0),
        "train/dent/001": ("dent", "train", SQUARE),
        "test/good/000": ("free", "train", 0),
        "test/dent/000": ("dent", "train", SQUARE),
    },
    "label_studio": {
        "square": ("dent", "train", SQUARE),
        "brushed": ("dent", "train", 16 * 10),
        "boxed": ("dent", "train", 16 * 8),
        "sound": ("free", "train", 0),
    },
    "cvat": {
        "square": ("dent", "train", SQUARE),
        "brushed": ("dent", "train", 16 * 10),
        "boxed": ("dent", "train", 16 * 8),
        "sound": ("free", "train", 0),
    },
    "plain": {
        "train/0": ("defect", "train", SQUARE),
        "train/1": ("defect", "train", SQUARE),
        "val/2": ("defect", "validation", SQUARE),
        "test/3": ("defect", "test", SQUARE),
        "train/good/sound": ("free", "train", 0),
    },
}


def test_every_layout_has_a_miniature_but_the_one_that_is_a_view_of_another() -> None:
    assert LAYOUTS.keys() - WRITERS.keys() == {"kolektor_windows"}


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_is_recognised_and_read_as_distributed(layout: str, tmp_path: Path) -> None:
    WRITERS[layout](tmp_path)
    assert recognise(tmp_path) == layout
    pairs = read(tmp_path, layout)
    for pair in pairs:
        width = 384 if layout == "rail_defect" else SIDE  # the strip round the head
        assert pair.image.shape == pair.mask.shape == (SIDE, width)
        assert pair.image.dtype == pair.mask.dtype == np.uint8
        assert set(np.unique(pair.mask)) <= {0, 1}
        assert (pair.class_name == "free") == (not pair.mask.any())
    assert len({pair.name for pair in pairs}) == len(pairs)
    if layout in TRUTH:
        found = {p.name: (p.class_name, p.split, int(p.mask.sum())) for p in pairs}
        assert found == TRUTH[layout]


def choices(labels: Sequence[str]) -> str:
    """A Label Studio task of one picture, of which it is only said what it shows."""
    said = {"type": "choices", "value": {"choices": labels}, "from_name": "surface"}
    annotation = {"was_cancelled": False, "result": [said]}
    return json.dumps([{"id": 1, "data": {"image": "/a.png"}, "annotations": [annotation]}])


def tags(labels: Sequence[str]) -> str:
    said = "".join(f'<tag label="{label}"/>' for label in labels)
    size = f'width="{SIDE}" height="{SIDE}"'
    return f'<annotations><image id="0" name="a.png" {size}>{said}</image></annotations>'


@pytest.mark.parametrize(
    ("layout", "file", "written"),
    [("label_studio", "project.json", choices), ("cvat", "annotations.xml", tags)],
)
def test_a_label_of_a_whole_picture_is_no_word_of_its_being_sound(
    layout: str, file: str, written: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    write(tmp_path / "a.png", picture(0)[0])
    for labels, strength, class_name in (
        (["crack"], "class", "crack"),
        (["dent", "OK"], "class", "dent"),
        (["Good"], "mask", "free"),
        ([], "mask", "free"),
    ):
        (tmp_path / file).write_text(written(labels))
        (pair,) = read(tmp_path, layout)
        assert (pair.strength, pair.class_name) == (strength, class_name)
        assert not pair.mask.any()
        (seen,) = look(list_samples(tmp_path, layout).samples)
        assert not seen.findings and seen.classes == {class_name}


def sides(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """What is trained on, and what is held out."""
    training = [pair for pair in pairs if pair.split == "train"]
    return training, [pair for pair in pairs if pair.split == "validation"]


def test_a_simulated_frames_class_is_what_it_shows(tmp_path: Path) -> None:
    WRITERS["simulated"](tmp_path)
    kinds = Counter(pair.class_name for pair in read(tmp_path, "simulated"))
    assert len(kinds) > 2
    assert {"free"} < set(kinds)


def test_colour_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    WRITERS["orssd"](tmp_path)
    assert {pair.image.shape for pair in read(tmp_path, "orssd", colour=True)} == {(SIDE, SIDE, 3)}


def test_the_test_side_is_on_neither_side_of_training(tmp_path: Path) -> None:
    WRITERS["magnetic_tile"](tmp_path)
    training, held_out = sides(read(tmp_path, "magnetic_tile"))
    assert [p.name for p in training] == ["exp1_num_853", "exp1_num_824"]
    assert [p.name for p in held_out] == ["exp3_num_110000", "exp2_num_260000"]


def test_a_folder_that_is_none_says_what_it_lacks(tmp_path: Path) -> None:
    WRITERS["plain"](tmp_path)
    with pytest.raises(DataError, match=r"holds no MT_\*/Imgs/\*\.jpg"):
        read(tmp_path, "magnetic_tile")
    with pytest.raises(DataError, match="choose one of sd900"):
        read(tmp_path, "imagenet")
    with pytest.raises(DataError, match="is no folder"):
        read(tmp_path / "nowhere", "plain")
    with pytest.raises(DataError, match="name the folders one of images"):
        read(tmp_path / "train" / "images", "plain")


def test_a_missing_or_mismatched_mask_is_named(tmp_path: Path) -> None:
    image, mask = picture(1)
    write(tmp_path / "images" / "a.png", image)
    write(tmp_path / "masks" / "b.png", mask)
    with pytest.raises(DataError, match=r"lacks masks for 1 images: images/a\.png"):
        read(tmp_path, "plain")
    write(tmp_path / "masks" / "a.png", mask[:-1])
    with pytest.raises(DataError, match=r"a\.png is \(64, 64\) but its mask is \(63, 64\)"):
        read(tmp_path, "plain")
    (tmp_path / "masks" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png is not a whole image"):
        read(tmp_path, "plain")


@pytest.mark.parametrize(
    ("layout", "broken", "content"),
    [
        ("crackforest", "groundTruth/001.mat", b"MATLAB"),
        ("neu_det", "ANNOTATIONS/crazing_1.xml", b"<annotation>"),
        ("neu_det", "ANNOTATIONS/crazing_1.xml", b"<a><object><name>rust</name></object></a>"),
        ("neu_det", "ANNOTATIONS/crazing_1.xml", b'<?xml version="1.0" encoding="none"?><a/>'),
        ("coco", "annotations/instances_val.json", b"{"),
        ("coco", "annotations/instances_val.json", b"\xff\xfe"),
        (
            "coco",
            "annotations/instances_val.json",
            b'{"images": [], "annotations": [], "categories": [7]}',
        ),
        (
            "coco",
            "annotations/instances_val.json",
            b'{"images": [{}], "annotations": [], "categories": []}',
        ),
        ("simulated", "frames.jsonl", b'{"image": "0.png", "ki'),
        ("simulated", "frames.jsonl", b'{"image": "0.png"}'),
        ("simulated", "frames.jsonl", b"\xff"),
        ("magnetic_tile", "MT_Free/Imgs/exp1_num_824.png", b""),
    ],
)
def test_a_broken_truth_is_an_error_of_ours_that_names_it(
    layout: str, broken: str, content: bytes, tmp_path: Path
) -> None:
    WRITERS[layout](tmp_path)
    (tmp_path / broken).write_bytes(content)
    with pytest.raises(DataError, match=Path(broken).name):
        read(tmp_path, layout)


@pytest.mark.parametrize("weight", [0, -1, "much", float("inf"), float("nan"), None])
def test_a_picture_weighs_what_its_coco_file_says(weight: Any, tmp_path: Path) -> None:
    WRITERS["coco"](tmp_path)
    path = tmp_path / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    document["images"][0]["weight"] = 3
    path.write_text(json.dumps(document))
    weighed, *others = (pair for pair in read(tmp_path, "coco") if pair.split == "train")
    assert (weighed.weight, {pair.weight for pair in others}) == (3.0, {1.0})
    source = Source([weighed], 1, (1.0, 1.0), weight=0.5)
    marks = batch([source], seed=0, iteration=0, crop=SIDE).marks
    assert marks is not None and marks.weights == [1.5]
    document["images"][0]["weight"] = weight
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="write a number above 0, or none"):
        read(tmp_path, "coco")


def test_the_real_sd900_is_read_and_split() -> None:
    pairs = read(real_data("SD-saliency-900"), "sd900")
    training, held_out = sides(pairs)
    assert (len(training), len(held_out)) == (480, 60)
    assert Counter(p.class_name for p in held_out) == dict.fromkeys(
        ("inclusion", "patches", "scratches"), 20
    )
    assert all(p.image.shape == p.mask.shape == (200, 200) and p.mask.any() for p in pairs)


def test_no_tile_of_the_real_magnetic_tiles_is_on_both_sides() -> None:
    training, held_out = sides(read(real_data("Magnetic-tile"), "magnetic_tile"))
    assert len(training) > 5 * len(held_out) > 0
    assert Counter(p.class_name for p in held_out).keys() == {p.class_name for p in training}
    assert not any(p.mask.any() for p in training + held_out if p.class_name == "free")
    # The exposures of one tile are numbered a few dozen apart.
    train, held = (np.array([_number(p) for p in side]) for side in (training, held_out))
    assert np.abs(train[:, None] - held[None, :]).min() > 1500


def _number(pair: Pair) -> int:
    return int(pair.name.split("_")[-1])


def test_a_batch_is_a_function_of_seed_and_iteration_and_covers_every_image() -> None:
    pairs = [Pair(str(n), *_simulated(n)) for n in range(10)]
    sources = [Source(pairs, 5, (1.0, 1.0))]
    first = batch(sources, seed=1, iteration=7, crop=SIDE)
    again = batch(sources, seed=1, iteration=7, crop=SIDE)
    other = batch(sources, seed=1, iteration=8, crop=SIDE)
    assert all(np.array_equal(a, b) for a, b in zip(first[:3], again[:3], strict=True))
    assert not np.array_equal(first[0], other[0])
    # Two batches of five are one epoch of ten: each mask's area appears once.
    seen = np.concatenate([batch(sources, seed=1, iteration=i, crop=SIDE)[1] for i in (0, 1)])
    assert sorted(seen.sum((1, 2))) == sorted(int(p.mask.sum()) for p in pairs)


def test_the_batch_stream_is_the_one_that_checkpoints_were_trained_on() -> None:
    """A run that is resumed must go on with the batches it would have had."""
    pairs = [Pair(str(n), *_simulated(n)) for n in range(6)]
    sources = [Source(pairs, 4, (1.4, 2.1)), Source(pairs[:3], 2, (0.75, 1.2))]
    images, masks = batch(sources, seed=1, iteration=3, crop=SIDE)[:2]
    recorded = "5e9be0f744979b503a6a3e13a8de5be816bb83c0c8df6011623c9c49b24789ab"
    assert hashlib.sha256(masks.tobytes()).hexdigest() == recorded
    # Light is worked out in floating point, which differs between processors by a grey level.
    assert images.mean((1, 2)) == pytest.approx(
        [148.85, 161.32, 122.66, 118.47, 169.40, 183.35], abs=0.05
    )
    assert images.std((1, 2)) == pytest.approx([16.43, 9.87, 23.86, 28.89, 21.14, 12.36], abs=0.05)


def _simulated(number: int) -> tuple[np.ndarray, np.ndarray]:
    image, labels = SimulatedLine(2, width_px=SIDE, defects_per_metre=20).render(
        SIDE * number, SIDE
    )
    return image, (labels > 0).astype(np.uint8)


def test_kolektors_defects_are_cut_into_windows_along_the_picture(tmp_path: Path) -> None:
    picture, mask = np.zeros((1240, 500), np.uint8), np.zeros((1240, 500), np.uint8)
    picture[760:780], mask[760:780, 100:200] = 200, 255
    for part, labels in enumerate((mask, mask * 0)):
        write(tmp_path / "kos01" / f"Part{part}.jpg", picture)
        write(tmp_path / "kos01" / f"Part{part}_label.bmp", labels)
    pairs = read(tmp_path, "kolektor_windows")
    assert [pair.name for pair in pairs] == [f"kos01/Part0/{top}" for top in (0, 500, 740)]
    assert [pair.mask.shape for pair in pairs] == [(500, 500)] * 3
    assert [pair.class_name for pair in pairs] == ["free", "defect", "defect"]
    assert [int(np.flatnonzero(pair.mask.any(axis=1))[0]) for pair in pairs[1:]] == [260, 20]
