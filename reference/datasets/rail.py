"""Rails: NRSD-MN and RSDDs, both with JPEG masks."""

from __future__ import annotations

from pathlib import Path

from reference.datasets.masks import GreyMask
from reference.datasets.sample import Layout, Listing, Sample, Split, number_in, pair_up, pictures

_MADE, _NATURAL = "man-made", "natural"


def _nrsd(root: Path) -> Listing:
    """MCnet's folders: both sides of training, and one test folder for each kind of defect."""
    made = _nrsd_side(root, "training", "train") + _nrsd_side(root, "validation", "validation")
    for folder in sorted((root / "test").glob("*/images")):
        kind = _NATURAL if folder.parent.name == "real" else _MADE
        made += _nrsd_pairs(folder, folder.parent / "annotations", kind, "test")
    return made


def _nrsd_side(root: Path, name: str, split: Split) -> Listing:
    return _nrsd_pairs(root / "images" / name, root / "annotations" / name, _MADE, split)


def _nrsd_pairs(images: Path, masks: Path, kind: str, split: Split) -> Listing:
    def describe(image: Path, mask: Path) -> Sample:
        return Sample(image.stem, image, GreyMask(mask), kind, split)

    return pair_up(pictures(images), pictures(masks), describe)


def _rsdds(root: Path) -> Listing:
    """No split is published: every fifth image is held out."""

    def describe(image: Path, mask: Path) -> Sample:
        kind = image.parent.parent.name.split()[0].lower()  # type-i, of express rail, or type-ii
        split: Split = "validation" if number_in(image.stem) % 5 == 0 else "train"
        return Sample(f"{kind}/{image.stem}", image, GreyMask(mask), kind, split)

    listing = Listing(())
    for folder in sorted(root.glob("Type-I* RSDDs dataset")):
        images = pictures(folder / "Rail surface images")
        listing += pair_up(images, pictures(folder / "GroundTruth"), describe)
    return listing


NRSD = Layout(
    "NRSD-MN, no-service rail (Zhang et al.)",
    ("images/training/*.png", "annotations/training/*.jpg"),
    _nrsd,
)
RSDDS = Layout(
    "RSDDs, type I express and type II heavy-haul rail (Gan et al.)",
    ("Type-I* RSDDs dataset/Rail surface images/*", "Type-I* RSDDs dataset/GroundTruth/*"),
    _rsdds,
)
