"""What INT8 is made for: an engine of the box each, with its way to quantize."""

from quantize.targets.accuracy import Accuracy
from quantize.targets.calibrate import (
    Calibration,
    Candidate,
    choose,
    fitting,
    of_pairs,
    read_folder,
)
from quantize.targets.layers import LayerNoise, measure, resolve, worst
from quantize.targets.target import Files, Fp32Onnx, Material, Target, open_target, parse_targets

__all__ = [
    "Accuracy",
    "Calibration",
    "Candidate",
    "Files",
    "Fp32Onnx",
    "LayerNoise",
    "Material",
    "Target",
    "choose",
    "fitting",
    "measure",
    "of_pairs",
    "open_target",
    "parse_targets",
    "read_folder",
    "resolve",
    "worst",
]
