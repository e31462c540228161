"""Whether what was packed decides as the FP32 network does."""

from quantize.parity.gate import FIGURES, ParityError, parse_limits
from quantize.parity.golden import Picture, golden_of, golden_pair, narrowed, read_picture
from quantize.parity.parity import Answers, Parity, TorchEngine, ask, compare
from quantize.parity.report import Settled, as_html, as_json
from quantize.parity.subjects import Subject, sha256, simulated

__all__ = [
    "FIGURES",
    "Answers",
    "Parity",
    "ParityError",
    "Picture",
    "Settled",
    "Subject",
    "TorchEngine",
    "as_html",
    "as_json",
    "ask",
    "compare",
    "golden_of",
    "golden_pair",
    "narrowed",
    "parse_limits",
    "read_picture",
    "sha256",
    "simulated",
]
