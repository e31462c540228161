"""Plain folders of images and masks, as people keep their own, and those of the simulated line."""

from __future__ import annotations

import json
from pathlib import Path

from reference.datasets.masks import DataError, GreyMask
from reference.datasets.sample import FREE, Layout, Listing, Sample, Split, pair_up, pictures

IMAGE_FOLDERS = ("images", "imgs", "image", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "gt")
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


def _plain(root: Path) -> Listing:
    """`images` and `masks`, each alone or by split: `train/images` or `images/train`."""
    listing = Listing(())
    for prefix, images, masks, split in _plain_folders(root):
        listing += _pairs(images, masks, split, prefix)
    if not listing.samples and not listing.images_alone:
        raise DataError(
            f"{root} holds no images beside masks: name the folders one of "
            f"{', '.join(IMAGE_FOLDERS)} and one of {', '.join(MASK_FOLDERS)}"
        )
    return listing


def _plain_folders(root: Path) -> list[tuple[str, Path, Path, Split]]:
    """Where images and masks lie, what distinguishes equal names, and the split they are of."""
    found: list[tuple[str, Path, Path, Split]] = []
    for base in (root, *_by_split(root)):
        images, masks = _named(base, IMAGE_FOLDERS), _named(base, MASK_FOLDERS)
        if not images or not masks:
            continue
        split = SPLIT_FOLDERS.get(base.name.lower(), "train") if base != root else "train"
        found.append(("" if base == root else f"{base.name}/", images, masks, split))
        for part, side in _by_split(images).items():
            found.append((f"{part.name}/", part, masks / part.name, side))
    return found


def _named(base: Path, names: tuple[str, ...]) -> Path | None:
    folders = {p.name.lower(): p for p in sorted(base.iterdir()) if p.is_dir()}
    return next((folders[name] for name in names if name in folders), None)


def _by_split(base: Path) -> dict[Path, Split]:
    folders = [p for p in sorted(base.iterdir()) if p.is_dir()]
    return {p: SPLIT_FOLDERS[p.name.lower()] for p in folders if p.name.lower() in SPLIT_FOLDERS}


def _pairs(images: Path, masks: Path, split: Split, prefix: str) -> Listing:
    def describe(image: Path, mask: Path) -> Sample:
        return Sample(f"{prefix}{image.stem}", image, GreyMask(mask), None, split)

    return pair_up(pictures(images), pictures(masks), describe)


def _simulated(root: Path) -> Listing:
    """What `trackside simulate` writes: the kinds of defect are in `frames.jsonl`."""
    kinds_of = dict(_frame(line) for line in (root / "frames.jsonl").read_text().splitlines())

    def describe(image: Path, mask: Path) -> Sample:
        kinds = kinds_of.get(image.name, ())
        kind = {0: FREE, 1: "".join(kinds)}.get(len(kinds), "several")
        return Sample(image.stem, image, GreyMask(mask), kind)

    return pair_up(pictures(root / "images"), pictures(root / "masks"), describe)


def _frame(line: str) -> tuple[str, tuple[str, ...]]:
    row = json.loads(line)
    return row["image"], tuple(row["kinds"])


PLAIN = Layout("images and masks", (), _plain)
SIMULATED = Layout(
    "the simulated line, by `trackside simulate`",
    ("frames.jsonl", "images/*.png", "masks/*.png"),
    _simulated,
)
