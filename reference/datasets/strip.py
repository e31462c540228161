"""Hot-rolled strip steel: SD-saliency-900, NEU-Seg and NEU-DET, which share their images."""

from __future__ import annotations

from pathlib import Path

from reference.datasets.masks import BoxMask, GreyMask, LabelMask
from reference.datasets.sample import Layout, Listing, Sample, Split, number_in, pair_up, pictures

_SD900_CLASSES = {"In": "inclusion", "Pa": "patches", "Sc": "scratches"}
_NEU_CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
# Of a class's 300 images, one contiguous block is held out: neighbours look alike. Two of it show
# surfaces that are in training too, turned: Sc_243 as Sc_221, and Sc_247 as Sc_232. They stay,
# since checkpoints were trained on this split.
_HELD_OUT = range(241, 261)


def _sd900(root: Path) -> Listing:
    def describe(image: Path, mask: Path) -> Sample:
        kind = _SD900_CLASSES.get(image.stem.split("_")[0])
        return Sample(image.stem, image, GreyMask(mask), kind, _sd900_split(number_in(image.stem)))

    masks = pictures(root / "Ground truth")
    return pair_up(pictures(root / "Source Images"), masks, describe)


def _sd900_split(number: int) -> Split:
    """The strict split, CSEPNet's: 40 of every 100 are the test side."""
    if (number - 1) % 100 >= 60:
        return "test"
    return "validation" if number in _HELD_OUT else "train"


def _neu_seg(root: Path) -> Listing:
    """Its test side shares images with SD-saliency-900 and, turned, with its own training side."""

    def describe(image: Path, mask: Path) -> Sample:
        side: Split = "test" if image.parent.name == "test" else "train"
        truth = LabelMask(mask, tuple(_SD900_CLASSES.values()))
        return Sample(f"{image.parent.name}/{image.stem}", image, truth, None, side)

    def side(name: str) -> Listing:
        masks = pictures(root / "annotations" / name)
        return pair_up(pictures(root / "images" / name), masks, describe)

    return side("training") + side("test")


def _neu_det(root: Path) -> Listing:
    """No split is published: the last fifth of each class is held out."""

    def describe(image: Path, boxes: Path) -> Sample:
        kind, _, number = image.stem.rpartition("_")
        split: Split = "validation" if number_in(number) > 240 else "train"
        return Sample(image.stem, image, BoxMask(boxes, _NEU_CLASSES), kind, split, "boxes")

    boxes = sorted((root / "ANNOTATIONS").glob("*.xml"))
    return pair_up(pictures(root / "IMAGES"), boxes, describe)


SD900 = Layout(
    "SD-saliency-900, strip steel (Song et al.)",
    ("Source Images/*.bmp", "Ground truth/*.png"),
    _sd900,
)
NEU_SEG = Layout(
    "NEU-Seg, strip steel (DHW-Master/NEU_Seg)",
    ("images/training/*.jpg", "annotations/training/*.png"),
    _neu_seg,
)
NEU_DET = Layout(
    "NEU-DET, strip steel with boxes (Song and Yan)",
    ("IMAGES/*.jpg", "ANNOTATIONS/*.xml"),
    _neu_det,
)
