"""Plain folders of images and masks, as people keep their own, and those of the simulated line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from reference.datasets.masks import DataError, GreyMask, LabelMask
from reference.datasets.sample import FREE, Layout, Listing, Sample, Split, pair_up, pictures

IMAGE_FOLDERS = ("images", "imgs", "image", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "gt")
FREE_FOLDERS = ("good", "free", "ok")  # images without a defect, which need no masks
SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "tr": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "testset": "test",
}
_BESIDE = ("_mask", "_label")  # how a mask is called that lies beside its image


def _plain(root: Path) -> Listing:
    """`images`, `masks` and perhaps `good`, alone or by split: `train/images` or `images/train`.

    Or images and masks in one folder, told by their names: `x.jpg` and `x_mask.png`.
    """
    listing = Listing(())
    bases: dict[Path, Split] = {root: "train", **_by_split(root)}
    for base, split in bases.items():
        prefix = "" if base == root else f"{base.name}/"
        images, masks = _named(base, IMAGE_FOLDERS), _named(base, MASK_FOLDERS)
        if images and masks:
            listing += _pairs(images, masks, split, prefix)
            for part, side in _by_split(images).items():
                listing += _pairs(part, masks / part.name, side, f"{part.name}/")
        else:
            listing += _beside(base, split, prefix)
        if sound := _named(base, FREE_FOLDERS):
            listing += _sound(sound, split, f"{prefix}{sound.name}/")
            for part, side in _by_split(sound).items():
                listing += _sound(part, side, f"{prefix}{sound.name}/{part.name}/")
    if not listing.samples and not listing.images_alone:
        raise DataError(
            f"{root} holds no images beside masks: name the folders one of "
            f"{', '.join(IMAGE_FOLDERS)} and one of {', '.join(MASK_FOLDERS)}, or lay x_mask.png "
            "beside x.jpg; `trackside data layouts` lists what else is known"
        )
    return listing


def _named(base: Path, names: tuple[str, ...]) -> Path | None:
    folders = {p.name.lower(): p for p in sorted(base.iterdir()) if p.is_dir()}
    return next((folders[name] for name in names if name in folders), None)


def _by_split(base: Path) -> dict[Path, Split]:
    folders = [p for p in sorted(base.iterdir()) if p.is_dir()]
    return {p: SPLIT_FOLDERS[p.name.lower()] for p in folders if p.name.lower() in SPLIT_FOLDERS}


def _pairs(images: Path, masks: Path, split: Split, prefix: str) -> Listing:
    def describe(image: Path, mask: Path) -> Sample:
        return Sample(f"{prefix}{image.stem}", image, GreyMask(mask, own=True), None, split)

    return pair_up(pictures(images), pictures(masks), describe)


def _beside(folder: Path, split: Split, prefix: str) -> Listing:
    """Of one folder's pictures the pairs; none where no mask is among them."""

    def describe(image: Path, mask: Path) -> Sample:
        return Sample(f"{prefix}{image.stem}", image, GreyMask(mask, own=True), None, split)

    found = pictures(folder)
    masks = [path for path in found if path.stem.lower().endswith(_BESIDE)]
    images = [path for path in found if path not in masks]
    return pair_up(images, masks, describe) if masks else Listing(())


def _sound(folder: Path, split: Split, prefix: str) -> Listing:
    samples = (Sample(f"{prefix}{p.stem}", p, None, FREE, split) for p in pictures(folder))
    return Listing(tuple(samples))


def _by_class(root: Path) -> Listing:
    """`train/good`, and under `test` a folder for each class, its masks in `ground_truth`.

    Its sides are for who learns from sound pictures alone: here all are to split.
    """
    listing = Listing(())
    unused = {mask for folder in (root / "ground_truth").glob("*") for mask in pictures(folder)}
    for side in ("train", "test"):
        for folder in sorted(p for p in (root / side).glob("*") if p.is_dir()):
            if folder.name.lower() in FREE_FOLDERS:
                listing += _sound(folder, "train", f"{side}/{folder.name}/")
            else:
                masks = pictures(root / "ground_truth" / folder.name)
                found = _of_class(folder, masks)
                unused -= {s.mask.path for s in found.samples if s.mask}
                listing += replace(found, masks_alone=())  # of the other side, it may be
    return listing + Listing((), masks_alone=tuple(sorted(unused)))


def _of_class(folder: Path, masks: list[Path]) -> Listing:
    prefix = f"{folder.parent.name}/{folder.name}/"

    def describe(image: Path, mask: Path) -> Sample:
        truth = GreyMask(mask, own=True)
        return Sample(f"{prefix}{image.stem}", image, truth, folder.name)

    return pair_up(pictures(folder), masks, describe)


def _simulated(root: Path) -> Listing:
    """What `trackside simulate` writes: the kinds of defect are in `frames.jsonl`."""
    kinds_of = _kinds_of(root / "frames.jsonl")
    classes = _classes(root / "classes.json")

    def describe(image: Path, mask: Path) -> Sample:
        kinds = kinds_of.get(image.name, ())
        kind = {0: FREE, 1: "".join(kinds)}.get(len(kinds), "several")
        named = root / "labels" / mask.name
        truth = LabelMask(named, classes) if classes else GreyMask(mask)
        return Sample(image.stem, image, truth, kind)

    masks = pictures(root / "masks")
    listing = pair_up(pictures(root / "images"), masks, describe)
    return replace(listing, set_aside=tuple(masks)) if classes else listing


def _classes(path: Path) -> tuple[str, ...]:
    """The names of the labels; none of what an older release simulated."""
    try:
        return (
            tuple(map(str, json.loads(path.read_text(encoding="utf-8")))) if path.exists() else ()
        )
    except ValueError as error:
        raise DataError(f"{path} is broken, {error}: simulate the set again") from error


def _kinds_of(path: Path) -> dict[str, list[str]]:
    """The kinds of defect in each image, by its file's name."""
    kinds_of: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            row = json.loads(line)
            kinds_of[row["image"]] = [str(kind) for kind in row["kinds"]]
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"{path}:{number} is broken, {error}: simulate the set again"
            ) from error
    return kinds_of


PLAIN = Layout(
    "your own: images/, masks/, and good/ for images without a defect, by split or not", (), _plain
)
BY_CLASS = Layout(
    "your own by class, as MVTec AD: train/good, test/CLASS, ground_truth/CLASS",
    ("test/*/*", "ground_truth/*/*"),
    _by_class,
)
SIMULATED = Layout(
    "the simulated line, by `trackside simulate`",
    ("frames.jsonl", "images/*.png", "masks/*.png"),
    _simulated,
)
