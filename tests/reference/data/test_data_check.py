"""The check of a data set: it finds what is broken and what is shared, and nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import ConfigurationError, UsageError
from edge.files.image_file import write_image
from edge.store.annotations import Labelled, Piece, write_coco
from edge.types import Image
from reference.data import KINDS, judge, look, read
from reference.data.duplicates import find_twins, fingerprint
from reference.data_commands import check
from reference.datasets import list_samples, recognise
from reference.recipe import read_sources, refuse_too_few, told_of
from stands.datasets_on_disk import SIDE, WRITERS, picture, plain, real_data, write
from stands.tiny_recipe import recipe_with


def run(
    capsys: pytest.CaptureFixture[str], root: Path, *, least: int = 1, **options: Any
) -> tuple[int, dict[str, Any]]:
    """The command's exit code and JSON."""
    with pytest.raises(SystemExit) as ended:
        check(root, as_json=True, least=least, **options)
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("layout", WRITERS)
def test_nothing_is_wrong_with_a_sound_set_of_any_layout(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITERS[layout](tmp_path)
    exit_code, report = run(capsys, tmp_path)
    assert (exit_code, report["layout"], report["findings"]) == (0, layout, [])


def test_everything_broken_is_found_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        image, mask = picture(number)
        write(tmp_path / "images" / f"{number:02}.png", image)
        write(tmp_path / "masks" / f"{number:02}.png", mask)
    image, mask = picture(30)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "images" / "00.png").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "masks" / "01.png").write_bytes(b"")
    (tmp_path / "masks" / "02.png").unlink()
    (tmp_path / "images" / "03.png").unlink()
    write(tmp_path / "masks" / "04.png", mask[:50])
    write(tmp_path / "masks" / "05.png", mask // 255)
    write(tmp_path / "masks" / "06.png", cv2.GaussianBlur(mask, (0, 0), 2))
    write(tmp_path / "images" / "07.png", np.tile(picture(31)[0], (3, 1)))
    write(tmp_path / "masks" / "07.png", np.tile(mask, (3, 1)))
    write(tmp_path / "images" / "08.png", picture(9)[0])
    exit_code, report = run(capsys, tmp_path)
    assert exit_code == 1
    names = [[Path(file).name for file in f["files"]] for f in report["findings"]]
    found = {
        (f["kind"], f["wrong"], *files) for f, files in zip(report["findings"], names, strict=True)
    }
    assert found == {
        ("unreadable", True, "00.png"),
        ("unreadable", True, "01.png"),
        ("no_mask", True, "02.png"),
        ("no_image", True, "03.png"),
        ("size_mismatch", True, "04.png", "04.png"),
        ("dark_mask", True, "05.png"),
        ("grey_mask", True, "06.png"),
        ("odd_size", False, "07.png"),
        ("twin", False, "08.png", "09.png"),
    }


def test_a_class_that_its_mask_denies_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITERS["magnetic_tile"](tmp_path)
    write(tmp_path / "MT_Blowhole" / "Imgs" / "exp1_num_853.png", picture(1, defect=False)[1])
    write(tmp_path / "MT_Free" / "Imgs" / "exp1_num_824.png", picture(1)[1])
    exit_code, report = run(capsys, tmp_path)
    assert exit_code == 1
    assert [f["kind"] for f in report["findings"]] == ["empty_mask", "marked_free"]


POLYGON = [[8, 8, 24, 8, 24, 24]]
SHORT = {"size": [32, 32], "counts": [512, 512]}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"segmentation": [[8, 8, 24, 8]]}, "three corners or more"),
        ({"segmentation": [[]]}, "three corners or more"),
        ({"segmentation": [[8, 8, 24, 8, 24, float("nan")]]}, "far outside the 64 x 64 pixels"),
        ({"segmentation": [[8, 8, 24, 8, 24, 1e12]]}, "far outside the 64 x 64 pixels"),
        ({"bbox": []}, "neither a segmentation nor the four numbers of a bbox"),
        ({"bbox": None}, "neither a segmentation nor the four numbers of a bbox"),
        ({"segmentation": SHORT}, r"run lengths of \[32, 32\]"),
        ({"segmentation": {"size": [SIDE, SIDE], "counts": ""}}, "run lengths of"),
        ({"segmentation": {"size": [SIDE, SIDE], "counts": [9999]}}, "Invalid RLE"),
        ({"segmentation": {"counts": [9]}}, "size"),
        ({"height": None, "segmentation": POLYGON}, "NoneType"),
    ],
)
def test_one_broken_annotation_is_a_finding_that_names_its_image(
    changes: dict[str, Any], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITERS["coco"](tmp_path)
    path = tmp_path / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    document["annotations"][2].update(changes)
    document["images"][2].update(changes)  # where its height is
    path.write_text(json.dumps(document))
    exit_code, report = run(capsys, tmp_path)
    assert exit_code == 1
    [finding] = report["findings"]
    assert (finding["kind"], finding["files"]) == ("unreadable", [str(path)])
    assert re.search(rf"of train_2\.jpg: .*{why}", finding["detail"])


def test_a_box_that_is_no_number_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITERS["neu_det"](tmp_path)
    path = tmp_path / "ANNOTATIONS" / "crazing_1.xml"
    path.write_text(path.read_text().replace("<xmin>5", "<xmin>left"))
    exit_code, report = run(capsys, tmp_path)
    found = [(finding["kind"], finding["files"]) for finding in report["findings"]]
    assert (exit_code, found) == (1, [("unreadable", [str(path)])])


CHANGES = {
    "as it is": lambda image: image,
    "turned": np.rot90,
    "upside down": lambda image: image[::-1],
    "mirrored and turned": lambda image: np.rot90(image[:, ::-1]),
    "transposed": lambda image: image.T,
    "compressed": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 60])[1], 0),
    "darker": lambda image: (image * 0.6 + 10).astype(np.uint8),
    "smaller": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "shifted": lambda image: np.roll(image, 5, axis=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_surface_on_two_sides_is_a_leak_however_it_was_changed(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = np.ascontiguousarray(CHANGES[change](textured(3)))
    images = {"train/images/3": textured(3), "train/images/4": textured(4), "test/images/c": copy}
    for name, image in images.items():
        write(tmp_path / f"{name}.png", image)
        write(tmp_path / f"{name.replace('images', 'masks')}.png", np.zeros_like(image))
    exit_code, report = run(capsys, tmp_path)
    leaks = [f for f in report["findings"] if f["kind"] == "leak"]
    assert exit_code == 1
    names = [{Path(file).name for file in leak["files"]} for leak in leaks]
    assert names == [{"3.png", "c.png"}]


def test_surfaces_that_only_look_alike_are_no_twins() -> None:
    prints = [fingerprint(textured(seed)) for seed in range(200)]
    assert find_twins(prints, ["train"] * 200) == []
    assert find_twins(prints[:1], ["train"]) == []
    black = fingerprint(np.zeros((SIDE, SIDE), np.uint8))
    assert [(t.first, t.second) for t in find_twins([black, prints[0], black], ["train"] * 3)] == [
        (0, 2)
    ]


def test_a_surface_seen_dozens_of_times_on_each_side_is_still_a_leak() -> None:
    one = textured(1)
    prints = [fingerprint(np.roll(one, shift, axis=0)) for shift in range(30)]
    sides = ["train"] * 15 + ["test"] * 15
    found = {sides[t.first] == sides[t.second] for t in find_twins(prints, sides)}
    assert found == {True, False}


def textured(seed: int) -> Image:
    """Rolled steel of one kind, under one lamp."""
    grain: NDArray[Any] = np.random.default_rng(seed).normal(0, 1, (160, 160))
    rolled = cv2.GaussianBlur(grain, (0, 0), sigmaX=2, sigmaY=8)
    lamp = np.linspace(-40, 40, 160)
    return np.asarray(np.clip(128 + 12 * rolled / rolled.std() + lamp, 0, 255), np.uint8)


def test_the_picture_shows_what_was_found_or_the_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain(tmp_path / "data")
    run(capsys, tmp_path / "data", picture=tmp_path / "sound.png")
    (tmp_path / "data" / "train" / "images" / "0.png").write_bytes(b"")
    run(capsys, tmp_path / "data", picture=tmp_path / "broken.png")
    sound, broken = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("sound", "broken"))
    assert sound is not None and sound.std() > 20
    assert broken is not None and broken.shape == sound.shape
    assert not np.array_equal(sound, broken)


@pytest.mark.parametrize("name", ["found.foo", "found.pgm", "found"])
def test_a_picture_is_written_by_a_suffix_that_is_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"end the picture's name in \.bmp, .*\.png, "):
        write_image(tmp_path / name, np.zeros((9, 9, 3), np.uint8))
    assert not (tmp_path / name).exists()


def findings_in(root: Path) -> Counter[str]:
    listing = list_samples(root, recognise(root))
    return Counter(finding.kind for finding in judge(listing, list(look(listing.samples))))


def test_the_real_sd900_has_two_surfaces_on_both_sides() -> None:
    assert findings_in(real_data("SD-saliency-900")) == {"leak": 2, "twin": 2}


def test_the_real_magnetic_tiles_share_none_between_their_sides() -> None:
    found = findings_in(real_data("Magnetic-tile"))
    assert found["leak"] == 0
    assert found["empty_mask"] == 4
    assert found["grey_mask"] > 300


def test_what_a_store_exports_is_checked_and_trained_on_with_the_same_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, mask = picture(1)
    named = np.where(mask > 0, 1, 0).astype(bool)
    piece = Piece("crush", (0, 0, SIDE, SIDE), named)
    seen = SimpleNamespace(label="crush", code="227")
    event = SimpleNamespace(id=7, utc="2026-01-01T00:00:00+00:00", found=(seen,))
    write(tmp_path / "images" / "000000007.png", image)
    write_coco([Labelled(event, "000000007.png", SIDE, SIDE, (piece,))], tmp_path)  # type: ignore[arg-type]
    exit_code, report = run(capsys, tmp_path)
    assert (exit_code, report["layout"], report["findings"]) == (0, "coco", [])
    [pair] = read(tmp_path, "coco")
    assert report["classes"] == dict.fromkeys(pair.shown, 1) == {"crush": 1}
    assert (pair.mask.astype(bool) == named).all()


@pytest.mark.parametrize(
    ("spoilt", "kind"),
    [
        (lambda mask: mask // 255, "no_defect"),  # saved as 0 and 1
        (lambda mask: mask * 0, "no_defect"),
        (lambda mask: 255 - mask, "inverted"),
    ],
)
def test_masks_that_teach_nothing_are_found_and_not_trained_on(
    spoilt: Callable[[Image], Image],
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(6):
        image, mask = picture(number)
        write(tmp_path / "images" / f"{number}.png", image)
        write(tmp_path / "masks" / f"{number}.png", spoilt(mask))
    exit_code, report = run(capsys, tmp_path)
    assert exit_code == 1
    assert kind in {finding["kind"] for finding in report["findings"]}
    section = {"layout": "plain", "path": ".", "share": 1}
    recipe = recipe_with(data=[section])
    with pytest.raises(ConfigurationError, match=re.escape(KINDS[kind])):
        read_sources(recipe, tmp_path)


def own_set(root: Path, count: int = 12) -> None:
    for number in range(count):
        image, mask = picture(number)
        write(root / "images" / f"{number:02}.png", image)
        write(root / "masks" / f"{number:02}.png", mask)


def kinds(report: dict[str, Any]) -> list[tuple[str, bool, str]]:
    return [(f["kind"], f["wrong"], Path(f["files"][0]).name) for f in report["findings"]]


def test_folders_that_are_not_read_are_named_and_those_of_sound_pictures_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_set(tmp_path)
    for number, place in enumerate(("good/train", "good/val", "holdout", "scratch/new")):
        write(tmp_path / place / "1.png", picture(30 + number, defect=False)[0])
    exit_code, report = run(capsys, tmp_path, least=10)
    assert (exit_code, report["taken_for"]) == (0, {"with a mask": 12, "sound, without a mask": 2})
    assert report["splits"] == {"train": 13, "validation": 1}
    assert kinds(report) == [("left_out", False, "holdout"), ("left_out", False, "new")]
    [said] = told_of(recipe_with(data=[{"layout": "plain", "path": "."}]), tmp_path)
    assert said.endswith(
        ": 12 with a mask, 2 sound, without a mask; NOT READ: holdout (1), scratch/new (1)"
    )


def test_masks_saved_as_jpeg_are_remarked_and_too_few_pictures_are_wrong_and_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_set(tmp_path, 3)
    mask = tmp_path / "masks" / "00.png"
    write(mask.with_suffix(".jpg"), picture(0)[1])
    mask.unlink()
    exit_code, report = run(capsys, tmp_path, least=10)
    assert (exit_code, kinds(report)) == (
        1,
        [("lossy_mask", False, "00.jpg"), ("too_few", True, "images")],
    )
    recipe = recipe_with(data=[{"layout": "plain", "path": "."}], least_defective=10)
    sources, _ = read_sources(recipe, tmp_path)
    with pytest.raises(ConfigurationError, match=r"3 images to train on show a defect.*label 10"):
        refuse_too_few(sources, recipe)


def test_a_mask_among_others_that_is_too_dark_to_count_is_not_trained_on_as_sound(
    tmp_path: Path,
) -> None:
    own_set(tmp_path)
    masks = sorted((tmp_path / "masks").iterdir())
    write(masks[3], picture(3)[1] // 255)
    section = {"layout": "plain", "path": "."}
    with pytest.raises(ConfigurationError, match=r"1 masks .* of 03's is 1: .*`marked_from: 1`"):
        read_sources(recipe_with(data=[section]), tmp_path)
    for number, mask in enumerate(masks):
        write(mask, picture(number)[1] // 255)
    [source], _ = read_sources(
        recipe_with(data=[section | {"marked_from": 1, "hold_out": "none"}]), tmp_path
    )
    assert [pair.mask.sum() for pair in source.pairs] == [256] * 12
