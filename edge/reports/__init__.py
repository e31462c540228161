"""What a shift, a run or a coil came to: one report, as page, paper, table and JSON."""

from edge.reports.asked import Asked, Sources, a_name, a_run, a_time, run_of, sources_of
from edge.reports.document import document
from edge.reports.gathering import Gathered, gather
from edge.reports.report import Report, report_schema
from edge.reports.timetable import prepare, writing_reports
from edge.reports.writing import Format, content, write

__all__ = [
    "Asked",
    "Format",
    "Gathered",
    "Report",
    "Sources",
    "a_name",
    "a_run",
    "a_time",
    "content",
    "document",
    "gather",
    "prepare",
    "report_schema",
    "run_of",
    "sources_of",
    "write",
    "writing_reports",
]
