"""A soak as a JSON record, a table on the terminal, and a section for RESULTS.md."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bench.machine import Probe
from benchmarks.soak.evidence import Evidence
from benchmarks.soak.judgement import Judgement
from edge.box import Box

_PACKAGES = ("trackside", "numpy", "opencv-python-headless", "paho-mqtt", "prometheus-client")
_SAMPLES = 5  # one in so many is put into the record


def record(
    judgement: Judgement, evidence: Evidence, *, command: str, seed: int, minutes: float
) -> dict[str, Any]:
    """All of it, without the evidence itself."""
    probe = Probe()
    return {
        "format": 1,
        "command": command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "cpu": Box().name(),
            "processors": len(os.sched_getaffinity(0)),
            "system": f"{platform.platform()}, Python {platform.python_version()}",
            "versions": {name: version(name) for name in _PACKAGES},
            "load_average": probe.reading().load_average,
        },
        "seed": seed,
        "minutes": minutes,
        "holds": judgement.holds,
        "findings": [asdict(finding) for finding in judgement.findings],
        "figures": judgement.figures,
        "samples": [  # seconds, resident MB, open files, threads
            [
                round((sample.at_ns - evidence.began_ns) / 1e9),
                round(sample.resident_bytes / 1e6, 2),
                sample.files,
                sample.threads,
            ]
            for sample in evidence.samples[::_SAMPLES]
        ],
        "faults": [
            {
                "fault": episode.fault,
                "detail": episode.detail,
                "begun_s": round((episode.begun_ns - evidence.began_ns) / 1e9, 1),
                "lasted_s": None
                if episode.ended_ns is None
                else round((episode.ended_ns - episode.begun_ns) / 1e9, 1),
                "recovery_s": episode.recovery_s,
            }
            for episode in evidence.episodes
        ],
    }


def show(kept: Mapping[str, Any], console: Console) -> None:
    """What held, and the figures, for people."""
    table = Table("invariant", "", "found", title=f"A soak of {kept['minutes']:g} minutes")
    for finding in kept["findings"]:
        said = "\n".join([finding["said"], *finding["against"]])
        table.add_row(finding["name"], "holds" if finding["holds"] else "FAILS", said)
    console.print(table)
    for title, rows in _tables(kept):
        table = Table(*rows[0], title=title)
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)


def markdown(kept: Mapping[str, Any]) -> str:
    """A section for RESULTS.md."""
    return "\n".join(_section(kept)) + "\n"


def _section(kept: Mapping[str, Any]) -> Iterator[str]:
    machine = kept["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    faults = Counter(episode["fault"] for episode in kept["faults"])
    yield f"## {machine['cpu']}, {kept['date'][:10]}: {kept['minutes']:g} minutes of faults"
    yield ""
    yield f"- processors: {machine['processors']}; {machine['system']}"
    yield f"- versions: {versions}"
    yield f"- faults: {', '.join(f'{n} {name}' for name, n in sorted(faults.items())) or 'none'}"
    yield f"- command: {kept['command']}"
    yield from ("", "What must hold:", "")
    yield from _lines([["invariant", "", "found"], *map(_found, kept["findings"])])
    for title, rows in _tables(kept):
        yield from ("", f"{title}:", "")
        yield from _lines(rows)


def _found(finding: Mapping[str, Any]) -> list[str]:
    held = "holds" if finding["holds"] else "**fails**"
    return [finding["name"], held, "; ".join([finding["said"], *finding["against"]])]


def _tables(kept: Mapping[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    figures = kept["figures"]
    for which, stages in figures["latency_ms"].items():
        if stages:
            names = list(next(iter(stages.values())))
            rows = [["", *names]]
            rows += [
                [stage, *(f"{of[name]:.2f}" for name in names)] for stage, of in stages.items()
            ]
            yield f"Milliseconds a frame, {which}", rows
    rows = [["fault", "times", "median s", "max s"]]
    rows += [
        [fault, f"{of['times']}", f"{of['median']:.1f}", f"{of['max']:.1f}"]
        for fault, of in figures["recovery_s"].items()
    ]
    if len(rows) > 1:
        yield "From the end of a fault until all was well again", rows
    late = figures["deadlines_missed"]
    yield (
        "Besides",
        [
            ["", ""],
            ["deadlines missed", ", ".join(f"{count} {when}" for when, count in late.items())],
            ["processor", f"{figures['processor_share']:.0%} of one core"],
            ["resident memory, MB, by the minute", ", ".join(map(str, figures["memory_mb"]))],
            ["Python's blocks, by the minute", ", ".join(map(str, figures["blocks"]))],
            ["bundles that took over", f"{figures['takeovers']}"],
            ["metrics read", f"{figures['scrapes']} times"],
            ["pictures seen on the live page", f"{figures['pictures_viewed']}"],
        ],
    )


def _lines(rows: list[list[str]]) -> Iterator[str]:
    figures = len(rows[0]) > 3  # are read by their last digit
    yield _line(rows[0])
    yield _line(["---", *("---:" if figures else "---" for _ in rows[0][1:])])
    yield from map(_line, rows[1:])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
