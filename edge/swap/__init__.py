"""Another bundle for a line that runs: asked for, tried beside the old one, taken or refused."""

from edge.swap.evidence import Backtested, Evidence, read_evidence
from edge.swap.folder import Decision, Progress, Request, left_out, open_in_force
from edge.swap.request import activate, answers, decision_of, in_force_now, roll_back
from edge.swap.swapper import POLL_S, Swapper, SwapStatus, swapping

__all__ = [
    "POLL_S",
    "Backtested",
    "Decision",
    "Evidence",
    "Progress",
    "Request",
    "SwapStatus",
    "Swapper",
    "activate",
    "answers",
    "decision_of",
    "in_force_now",
    "left_out",
    "open_in_force",
    "read_evidence",
    "roll_back",
    "swapping",
]
