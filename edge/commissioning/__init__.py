"""What is tried before a line is trusted: doctor, check, commission, reject-test."""

from edge.commissioning.check import check_line
from edge.commissioning.doctor import examine
from edge.commissioning.reject_trial import operator_for, record, summary, try_rejects

__all__ = [
    "check_line",
    "examine",
    "operator_for",
    "record",
    "summary",
    "try_rejects",
]
