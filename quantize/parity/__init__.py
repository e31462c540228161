"""Whether what was packed decides as the FP32 network does."""

from quantize.parity.gate import FIGURES, ParityError, parse_limits
from quantize.parity.golden import golden_of, golden_pair
from quantize.parity.parity import Answers, Parity, TorchEngine, ask, compare
from quantize.parity.report import Settled, as_html, as_json
from quantize.parity.subjects import Subject, sha256, simulated

__all__ = [
    "FIGURES",
    "Answers",
    "Parity",
    "ParityError",
    "Settled",
    "Subject",
    "TorchEngine",
    "as_html",
    "as_json",
    "ask",
    "compare",
    "golden_of",
    "golden_pair",
    "parse_limits",
    "sha256",
    "simulated",
]
