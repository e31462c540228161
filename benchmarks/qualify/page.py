"""A certificate as one HTML page: figures, curves, misses, false calls, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from benchmarks.qualify.curve_chart import curve_chart
from benchmarks.qualify.display import more, names_table, said, size_text
from edge.certificate import Answer, Certificate, Judgement, Measure, Picture
from edge.files import write_whole
from edge.html import facts, section, wide
from edge.html.page import page

_TITLES = {
    "extent_mm": "longer side",
    "length_mm": "length along the rail",
    "width_mm": "width across the rail",
    "area_mm2": "area",
    "contrast": "contrast",
    "size": "size",
}


def write_certificate_page(certificate: Certificate, path: Path, public: str | None) -> None:
    """Write the page; `public` is the key that verifies the certificate's file."""
    above = f"certificate, {certificate.made[:10]}"
    told = certificate.a90_95 is not None
    sections = [
        section("Whom it speaks for", escape(certificate.population) + ".", _told(certificate)),
        *(_measure(each) for each in _main_first(certificate)),
        _names(certificate),
        _pictures("Missed, the largest first", certificate.misses),
        _pictures("Rejected, and nothing is there", certificate.false_call_pictures),
        _limits(certificate),
        facts("What was qualified", _facts(certificate, public)),
    ]
    write_whole(path, page(above, headline(certificate), sections, good=told, style=_STYLE))


def headline(certificate: Certificate) -> str:
    """The one figure, or that there is none."""
    main = certificate.main()
    if certificate.a90_95 is None:
        return f"a90/95 is not told by {certificate.n} specimens"
    return (
        f"{certificate.a90_95:.3g} {main.unit} {_TITLES.get(main.name, main.name)}: found nine "
        "times in ten, at 95% confidence"
    )


def _told(certificate: Certificate) -> str:
    lines = [*said(certificate.main().of_all), *more(certificate)]
    items = "".join(f"<li>{escape(line)}</li>\n" for line in dict.fromkeys(lines))
    return f"<ul>\n{items}</ul>" if items else ""


def _main_first(certificate: Certificate) -> list[Measure]:
    return sorted(certificate.measures, key=lambda each: each.name != certificate.measure)


def _measure(measure: Measure) -> str:
    title = _TITLES.get(measure.name, measure.name)
    text = (
        "Dots are what was found of specimens of about one size; the band holds the curve at 95% "
        "to either side."
    )
    content = wide(curve_chart(measure.of_all, measure.unit)) + _table(measure)
    return section(f"Found by {title}, {measure.unit}", text, content)


def _table(measure: Measure) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(_cells(answer))}</tr>\n"
        for name, answer in {"all": measure.of_all, **measure.by_class}.items()
    )
    heads = _heads(("found", "of", "a50", "a90", "a90/95"))
    return wide(f"<table>\n<tr><th></th>{heads}<th></th></tr>\n{rows}</table>")


def _heads(names: Sequence[str]) -> str:
    return "".join(f'<th class="right">{escape(name)}</th>' for name in names)


def _cells(answer: Answer) -> Iterator[str]:
    sizes = (size_text(size) for size in (answer.a50, answer.a90, answer.a90_95))
    for value in (str(answer.found), str(answer.n), *sizes):
        yield f'<td class="right">{value}</td>'
    yield f'<td class="why">{escape(answer.why)}</td>'


def _names(certificate: Certificate) -> str:
    if not certificate.named:
        return ""
    heads, rows = names_table(certificate)
    body = "".join(
        f"<tr><td>{escape(kind)}</td>"
        + "".join(f'<td class="right">{count}</td>' for count in counts)
        + "</tr>\n"
        for kind, counts in rows
    )
    text = "Of what was found: a row for each true class, a column for what it was called."
    return section(
        "Named", text, wide(f"<table>\n<tr><th></th>{_heads(heads)}</tr>\n{body}</table>")
    )


def _pictures(title: str, pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = "".join(
        f'<figure><img alt="" src="data:image/png;base64,{each.png}">'
        f"<figcaption>{escape(each.title)}</figcaption></figure>\n"
        for each in pictures
    )
    return section(title, "", f'<div class="pictures">\n{figures}</div>')


def _limits(certificate: Certificate) -> str:
    items = "".join(f"<li>{escape(limit)}</li>\n" for limit in certificate.limits)
    return section("Limits", "", f"<ul>\n{items}</ul>") if items else ""


def _facts(certificate: Certificate, public: str | None) -> Iterator[tuple[str, str]]:
    if certificate.of is not None:
        yield from _judgement(certificate.of)
    for name, digest in certificate.data.items():
        yield f"{name}, sha256", digest
    yield "made", f"{certificate.made}, Trackside {certificate.version}, {certificate.machine}"
    yield "signature", f"of the key {public}" if public else "none"


def _judgement(of: Judgement) -> Iterator[tuple[str, str]]:
    yield "line", of.line
    yield "bundle", f"{of.bundle}, sha256 {of.digest}"
    yield "engine", of.engine
    if of.along_um is not None:
        yield "scale", f"{of.along_um:g} um a row, {of.across_um:g} um a column"
    yield "tiles", "none: a frame is stretched" if of.tiles is None else json.dumps(of.tiles)
    yield "region", json.dumps(of.region)
    yield "rules", json.dumps(of.rules)
    yield "quality", json.dumps(of.quality)


_STYLE = """
.pod .grid { stroke: var(--line); }
.pod .band { fill: #4a90c2; fill-opacity: .18; stroke: none; }
.pod .curve { stroke: #2f74a8; stroke-width: 2; }
.pod circle.bin { fill: var(--ink); }
.pod path.bin { stroke: var(--ink); stroke-opacity: .35; }
.pod path.flag { stroke: var(--bad); stroke-dasharray: 3 3; }
.pod text.flag { fill: var(--bad); }
td.why { white-space: normal; color: var(--quiet); font-size: .85rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem; }
.pictures figure { margin: 0; }
.pictures img { width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
.pictures figcaption { font-size: .75rem; color: var(--quiet); }
"""
