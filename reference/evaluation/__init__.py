"""How well maps show the defects of their masks: metrics, summaries, reports."""

from reference.evaluation.evaluate import (
    Answer,
    Case,
    Look,
    Said,
    answered,
    cases_of,
    evaluate,
    score_cases,
    scoring_processes,
)
from reference.evaluation.map_folders import cases_of_folders, cases_of_maps
from reference.evaluation.metrics import ImageScores, Scoring, score
from reference.evaluation.named import ClassTable, NamedPixels
from reference.evaluation.protocol import LINE, PROTOCOLS, Protocol, eight_bits, protocol_of
from reference.evaluation.report import HEADINGS, Evaluation, headings, shown, write_report
from reference.evaluation.summary import by_class, by_size, summarise

__all__ = [
    "HEADINGS",
    "LINE",
    "PROTOCOLS",
    "Answer",
    "Case",
    "ClassTable",
    "Evaluation",
    "ImageScores",
    "Look",
    "NamedPixels",
    "Protocol",
    "Said",
    "Scoring",
    "answered",
    "by_class",
    "by_size",
    "cases_of",
    "cases_of_folders",
    "cases_of_maps",
    "eight_bits",
    "evaluate",
    "headings",
    "protocol_of",
    "score",
    "score_cases",
    "scoring_processes",
    "shown",
    "summarise",
    "write_report",
]
