"""From a frame to a verdict: cut, infer, judge; and the main loop that does so for ever."""

from edge.inspect.appearance import Look, look_at, usual_of
from edge.inspect.baseline import BINS, Baseline, read_baseline, write_baseline
from edge.inspect.familiarity import Answers, answers_of, figures_of
from edge.inspect.finder import Finder, Found, find
from edge.inspect.gate import gate
from edge.inspect.image_files import (
    ANY_LIGHT,
    PictureInspector,
    Prediction,
    by_bundle,
    by_line,
    collect_images,
    predict,
    refuse_overwriting,
)
from edge.inspect.inspector import Inspection, Inspector, make_inspector
from edge.inspect.loop import run
from edge.inspect.naming import NAMELESS, Naming, naming_of
from edge.inspect.neighbours import Neighbours, neighbours_of
from edge.inspect.overlay import draw_overlay
from edge.inspect.quality import exposure_faults, faults, grey
from edge.inspect.region import region_of
from edge.inspect.side_by_side import Watch, Watching
from edge.inspect.surface import Surface
from edge.inspect.tiling import Shown, TiledView
from edge.inspect.verdict import Judge, as_ruled, reject_stretches

__all__ = [
    "ANY_LIGHT",
    "BINS",
    "NAMELESS",
    "Answers",
    "Baseline",
    "Finder",
    "Found",
    "Inspection",
    "Inspector",
    "Judge",
    "Look",
    "Naming",
    "Neighbours",
    "PictureInspector",
    "Prediction",
    "Shown",
    "Surface",
    "TiledView",
    "Watch",
    "Watching",
    "answers_of",
    "as_ruled",
    "by_bundle",
    "by_line",
    "collect_images",
    "draw_overlay",
    "exposure_faults",
    "faults",
    "figures_of",
    "find",
    "gate",
    "grey",
    "look_at",
    "make_inspector",
    "naming_of",
    "neighbours_of",
    "predict",
    "read_baseline",
    "refuse_overwriting",
    "region_of",
    "reject_stretches",
    "run",
    "usual_of",
    "write_baseline",
]
