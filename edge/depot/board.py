"""The board: a page of the whole fleet, which box runs what, and how far each release has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

from edge.depot.standing import Report, Standing
from edge.html import facts, section, wide
from edge.html.page import page

_STYLE = ".no { color: var(--bad); }\n"
_BAD = {"failing", "stopped"}


def board(
    standings: Sequence[Standing],
    reports: Mapping[str, Report],
    expiries: Mapping[str, datetime],
    now: datetime,
) -> str:
    """Newest release first; boxes that are not well before the others."""
    newest = standings[-1] if standings else None
    said = "nothing was published yet" if newest is None else str(newest)
    good = newest is None or newest.verdict not in _BAD
    parts = [
        section(
            "Releases",
            "",
            wide(_table(("", "ring", "", "well", "why"), map(_release, reversed(standings)))),
        ),
        section(
            "Boxes",
            "As each had its broker keep it.",
            wide(_table(("", "runs", "wants", "", "Trackside", "bundle", "said"), _boxes(reports))),
        ),
        facts(
            "What boxes believe, and until when",
            [(role, f"{until:%Y-%m-%d %H:%M} UTC") for role, until in expiries.items()],
        ),
        facts("This page", [("made", f"{now:%Y-%m-%d %H:%M:%S} UTC")]),
    ]
    return page("fleet", said, parts, good=good, style=_STYLE)


def _release(standing: Standing) -> list[str]:
    release = standing.release
    why = release.why or "; ".join(
        f"{b}: {w}" for b, w in [*standing.failed.items(), *standing.waiting.items()][:3]
    )
    return [
        str(release.number),
        standing.ring,
        standing.verdict,
        f"{len(standing.well)} of {standing.boxes}",
        why,
    ]


def _boxes(reports: Mapping[str, Report]) -> list[list[str]]:
    return [
        _box(reports[box]) for box in sorted(reports, key=lambda box: (_is_well(reports[box]), box))
    ]


def _is_well(report: Report) -> bool:
    said = report.said
    return report.online and said.runs == said.wants and not said.complaints and not said.trouble


def _box(report: Report) -> list[str]:
    said = report.said
    refused = [f"release {each.release} refused: {each.why}" for each in said.refused]
    words = [*([] if said.trouble is None else [said.trouble]), *said.complaints, *refused[-1:]]
    doing = said.doing if said.doing != "nothing" else "well" if _is_well(report) else "not well"
    return [
        said.box,
        "" if said.runs is None else str(said.runs),
        "" if said.wants is None else str(said.wants),
        doing if report.online else "not there",
        said.version,
        (said.bundle or "")[:12],
        "; ".join(words),
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}</table>"
