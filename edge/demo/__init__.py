"""The simulated line, inspected and rejected for real, then held against what was truly there."""

from edge.demo.demo import DEMO_LINE, DemoResult, run_demo
from edge.demo.report import write_report
from edge.demo.words import counted, headline, what_happened

__all__ = [
    "DEMO_LINE",
    "DemoResult",
    "counted",
    "headline",
    "run_demo",
    "what_happened",
    "write_report",
]
