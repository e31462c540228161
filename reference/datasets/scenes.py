"""Beyond steel: CrackForest's roads, and ORSSD and EORSSD, taken from the air."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reference.datasets.masks import GreyMask, MatlabMask
from reference.datasets.sample import Layout, Listing, Sample, Split, number_in, pair_up, pictures

_CRACKFOREST_LAST = 118  # 201 to 208 and 301 to 329 were published without a truth


def _crackforest(root: Path) -> Listing:
    """No split is published: every fifth image is held out."""

    def describe(image: Path, truth: Path) -> Sample:
        split: Split = "validation" if number_in(image.stem) % 5 == 0 else "train"
        return Sample(image.stem, image, MatlabMask(truth), "crack", split)

    images = pictures(root / "image")
    with_truth = [p for p in images if number_in(p.stem) <= _CRACKFOREST_LAST]
    listing = pair_up(with_truth, sorted((root / "groundTruth").glob("*.mat")), describe)
    return replace(listing, set_aside=tuple(sorted(set(images) - set(with_truth))))


def _orssd(root: Path) -> Listing:
    """ORSSD and EORSSD lie alike, and the one is part of the other."""

    def side(split: Split) -> Listing:
        def describe(image: Path, mask: Path) -> Sample:
            return Sample(f"{split}/{image.stem}", image, GreyMask(mask), None, split)

        masks = pictures(root / f"{split}-labels")
        return pair_up(pictures(root / f"{split}-images"), masks, describe)

    return side("train") + side("test")


CRACKFOREST = Layout(
    "CrackForest, road cracks (Shi et al.)",
    ("image/*.jpg", "groundTruth/*.mat"),
    _crackforest,
)
ORSSD = Layout(
    "ORSSD or EORSSD, optical remote sensing (Li et al., Zhang et al.)",
    ("train-images/*.jpg", "train-labels/*.png"),
    _orssd,
)
