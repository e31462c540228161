"""A bundle tried on an archive, as its lines would have run it, before it runs anywhere.

It wants the extra `backtest`: `trackside backtest` loads it, and nothing else does.
"""

from edge.backtest.listing import ByLine
from edge.backtest.page import headline, verdict_on
from edge.backtest.run import Asked, InThisProcess, OpenWorkers, Progress, backtest

__all__ = [
    "Asked",
    "ByLine",
    "InThisProcess",
    "OpenWorkers",
    "Progress",
    "backtest",
    "headline",
    "verdict_on",
]
