"""From a frame to a verdict: cut, infer, judge; and the main loop that does so for ever."""

from edge.inspect.image_files import Prediction, collect_images, predict
from edge.inspect.inspector import Inspection, Inspector, make_inspector
from edge.inspect.loop import run
from edge.inspect.overlay import draw_overlay
from edge.inspect.quality import exposure_faults, faults
from edge.inspect.region import region_of
from edge.inspect.tiling import Shown, TiledView
from edge.inspect.verdict import Judge, find_defects, reject_stretches

__all__ = [
    "Inspection",
    "Inspector",
    "Judge",
    "Prediction",
    "Shown",
    "TiledView",
    "collect_images",
    "draw_overlay",
    "exposure_faults",
    "faults",
    "find_defects",
    "make_inspector",
    "predict",
    "region_of",
    "reject_stretches",
    "run",
]
