"""The result of a backtest as a page: what would be rejected that was not, and the other way."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from edge.backtest.rows import Row
from edge.backtest.tally import Changes, Tally
from edge.html import facts, section, wide
from edge.html.page import page
from edge.swap import Evidence


def report_page(evidence: Evidence, tally: Tally) -> str:
    """All of it, in one file."""
    kinds = (("class", tally.by_class), ("camera", tally.by_camera), ("day", tally.by_day))
    tables = [_changes(name, changes) for name, changes in kinds if changes]
    return page(
        "backtest",
        headline(evidence),
        [
            section("What changes", _explained(evidence), _verdicts(tally)),
            *_by_people(evidence),
            *tables,
            *_shown(tally),
            *_faults(evidence),
            _of_what(evidence),
        ],
        good=evidence.passed,
        style=_STYLE,
    )


def headline(evidence: Evidence) -> str:
    """The result in one line."""
    if not evidence.compared:
        return f"{evidence.name}: nothing to compare with in {evidence.frames} frames"
    rate = evidence.newly_rejected_per_km or 0.0
    return (
        f"{evidence.name} rejects {evidence.newly_rejected} more and {evidence.no_longer_rejected} "
        f"fewer in {evidence.km:.3f} km ({rate:.3g} new a km)"
    )


def verdict_on(evidence: Evidence) -> str:
    """Whether it passes, and why not."""
    against = []
    if evidence.fault_count:
        against.append(_counted(evidence.fault_count))
    if (most := evidence.most_newly_rejected_per_km) is not None:
        rate = evidence.newly_rejected_per_km
        if rate is None:
            against.append("nothing could be compared: name the old bundle with --against")
        elif rate > most:
            against.append(f"{rate:.3g} new rejects a km, more than {most:g}")
    return "; ".join(against) or "passed"


def _explained(evidence: Evidence) -> str:
    return escape(
        "A reject is rail that is rejected in one piece, however many frames show it; it is new "
        "where it lies more than 50 mm from all that was rejected, and counts once for each metre "
        "that it is long. Kilometres are of the rail that the compared "
        "frames show, each once; a new reject where people say that there is a defect counts "
        f"against no gate. {verdict_on(evidence).capitalize()}."
    )


def _verdicts(tally: Tally) -> str:
    states = ("OK", "NG", "UNKNOWN")
    head = "".join(f'<th class="right">{state} now</th>' for state in states)
    rows = "".join(
        f"<tr><th>{before} before</th>"
        + "".join(f'<td class="right">{tally.states[before, now]}</td>' for now in states)
        + "</tr>\n"
        for before in states
    )
    return wide(f"<table><tr><th>frames</th>{head}</tr>\n{rows}</table>")


def _by_people(evidence: Evidence) -> list[str]:
    if not evidence.reviewed:
        return []
    rows = "".join(
        f'<tr><td>{name}</td><td class="right">{before}</td><td class="right">{now}</td></tr>\n'
        for name, before, now in (
            ("rejected falsely", evidence.false_rejects_before, evidence.false_rejects_now),
            ("missed", evidence.missed_before, evidence.missed_now),
        )
    )
    table = f"<table><tr><th>frames</th><th>before</th><th>now</th></tr>\n{rows}</table>"
    text = f"{evidence.reviewed} frames of which people said whether they show a defect."
    return [section("By people's word", text, wide(table))]


def _changes(name: str, changes: Mapping[str, Changes]) -> str:
    rows = "".join(
        f'<tr><td>{escape(key)}</td><td class="right">{each.newly}</td>'
        f'<td class="right">{each.no_longer}</td></tr>\n'
        for key, each in sorted(changes.items())
    )
    head = f"<tr><th>{name}</th><th>newly rejected</th><th>no longer</th></tr>"
    return section(f"By {name}", "", wide(f"<table>{head}\n{rows}</table>"))


def _shown(tally: Tally) -> list[str]:
    if not tally.shown:
        return []
    text = "Left as it was judged, right as the candidate judges it."
    figures = "".join(map(_figure, tally.shown))
    return [section(f"{len(tally.shown)} pictures", text, f'<div class="frames">{figures}</div>')]


def _figure(row: Row) -> str:
    assert row.picture is not None
    new = ", ".join(row.newly_rejected)
    gone = ", ".join(row.no_longer_rejected)
    said = "; ".join(
        [
            f"{row.archive}: {row.camera} run {row.run} frame {row.frame} at "
            f"{row.start_um / 1e6:.3f} m: {row.old_state}, now {row.new_state}",
            *([] if row.event is None else [f"event {row.event}"]),
            *([f"newly rejected: {new}"] if new else []),
            *([f"no longer rejected: {gone}"] if gone else []),
        ]
    )
    source = f"data:image/jpeg;base64,{b64encode(row.picture).decode()}"
    return f'<figure><img alt="" src="{source}"><figcaption>{escape(said)}</figcaption></figure>\n'


def _faults(evidence: Evidence) -> list[str]:
    if not evidence.fault_count:
        return []
    items = "".join(f"<li>{escape(each)}</li>" for each in evidence.faults)
    text = "These frames are in no figure above. Go on with the same command once they are there."
    return [section(_counted(evidence.fault_count), text, f"<ul>{items}</ul>")]


def _counted(faults: int) -> str:
    return "1 fault of the archive" if faults == 1 else f"{faults} faults of the archive"


def _of_what(evidence: Evidence) -> str:
    known = [
        ("candidate", f"{evidence.name}, sha256 {evidence.bundle}"),
        ("against", evidence.against or "what the archive says, of more than one bundle"),
        *(("archive", each) for each in evidence.archives),
        ("frames", f"{evidence.frames}, of which {evidence.compared} were compared"),
        ("rows", f"sha256 {evidence.digest}"),
        ("made", evidence.at),
    ]
    return facts("What was compared", known)


_STYLE = """
.frames { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
.frames figure { margin: 0; }
.frames img { width: 100%; border: 1px solid var(--line); }
.frames figcaption { font-size: .8rem; color: var(--quiet); overflow-wrap: anywhere; }
"""
