"""A report as files: each whole, or none of it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Literal

from edge.extras import require
from edge.files import write_whole
from edge.reports.document import document
from edge.reports.gathering import Gathered
from edge.reports.html_page import as_page
from edge.reports.table import as_csv

Format = Literal["html", "pdf", "csv", "json"]


def content(of: Gathered, form: Format) -> str | bytes:
    """NotInstalled for paper without fpdf2."""
    match form:
        case "html":
            return as_page(document(of.report))
        case "pdf":
            require("fpdf")
            paper: bytes = import_module("edge.reports.fpdf_paper").as_pdf(document(of.report))
            return paper
        case "csv":
            return as_csv(of.things, of.naming)
        case "json":
            return f"{of.report.model_dump_json(indent=1)}\n"


def write(of: Gathered, files: Iterable[tuple[Format, Path]]) -> None:
    """All is made before anything is written."""
    for path, made in [(path, content(of, form)) for form, path in files]:
        write_whole(path, made)
