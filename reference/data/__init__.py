"""Images and masks in memory: read, checked, augmented, and cut into batches."""

from reference.data.augment import AS_ON_THE_LINE, Augmentation, ordered
from reference.data.check import KINDS, DataReport, judge, look
from reference.data.contact_sheet import Tile, outlined, sheet
from reference.data.pairs import Batch, Pair, Source, batch, read
from reference.data.picture import picture_of

__all__ = [
    "AS_ON_THE_LINE",
    "KINDS",
    "Augmentation",
    "Batch",
    "DataReport",
    "Pair",
    "Source",
    "Tile",
    "batch",
    "judge",
    "look",
    "ordered",
    "outlined",
    "picture_of",
    "read",
    "sheet",
]
