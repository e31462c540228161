"""How well maps show the defects of their masks: metrics, summaries, reports."""

from reference.evaluation.evaluate import (
    Answer,
    Case,
    Predictor,
    answered,
    cases_of,
    score_cases,
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
    "NamedPixels",
    "Predictor",
    "Protocol",
    "Scoring",
    "answered",
    "by_class",
    "by_size",
    "cases_of",
    "cases_of_folders",
    "cases_of_maps",
    "eight_bits",
    "headings",
    "protocol_of",
    "score",
    "score_cases",
    "shown",
    "summarise",
    "write_report",
]
