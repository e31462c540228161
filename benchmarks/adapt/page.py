"""The result as one page that needs nothing else: what people said, the guard set, pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.adapt.decision import Guarded
from benchmarks.adapt.judging import Count, Judged, count
from benchmarks.adapt.result import Result
from edge.certificate import Certificate
from edge.html import facts, section, wide
from edge.html.page import page


def report_page(result: Result, events: Sequence[Judged], guards: dict[str, Guarded]) -> str:
    """All of it, in one file."""
    return page(
        "adapt",
        headline(result),
        [
            *_why(result),
            _people(events),
            *(_guard(name, guard) for name, guard in guards.items()),
            *_changed(events),
            facts("Of what", result.told.items()),
        ],
        good=result.better,
        style=_STYLE,
    )


def headline(result: Result) -> str:
    """The result in one line."""
    held = result.held_out
    if held is None:
        return f"{result.name} is refused: {'; '.join(result.objections)}"
    said = (
        f"held-out events judged wrongly: {held.wrong_old} of {held.of} before, "
        f"{held.wrong_new} now"
    )
    return f"{result.name} is {'better' if result.better else 'refused'}; {said}"


def _why(result: Result) -> Iterator[str]:
    if result.objections:
        items = "".join(f"<li>{escape(each)}</li>\n" for each in result.objections)
        yield section("Why it is refused", "", f"<ul>\n{items}</ul>")


def _people(events: Sequence[Judged]) -> str:
    rows = "".join(
        _counts(name, count(each for each in events if each.side in sides))
        for name, sides in (
            ("held out", {"val"}),
            ("learned from", {"train"}),
            ("between, on neither side", {"between"}),
        )
        if any(each.side in sides for each in events)
    )
    head = "".join(
        f'<th class="right">{name}</th>'
        for name in ("events", *(f"{kind} {when}" for kind in _KINDS for when in ("before", "now")))
    )
    text = (
        "Events of which people said what they are. What is held out was never trained on: it is "
        "the newest runs, or the newest rail of the only one."
    )
    table = wide(f"<table><tr><th></th>{head}</tr>\n{rows}</table>")
    return section("By people's word", text, table)


_KINDS = ("rejected falsely", "missed", "misnamed")


def _counts(name: str, of: Count) -> str:
    figures = (
        of.of,
        of.false_old,
        of.false_new,
        of.missed_old,
        of.missed_new,
        of.misnamed_old,
        of.misnamed_new,
    )
    cells = "".join(f'<td class="right">{figure}</td>' for figure in figures)
    return f"<tr><th>{name}</th>{cells}</tr>\n"


def _guard(name: str, guard: Guarded) -> str:
    rows = "".join(
        f'<tr><td>{escape(kind)}</td><td class="right">{old.found} of {old.n}</td>'
        f'<td class="right">{new.found} of {new.n}</td></tr>\n'
        for kind, (old, new) in guard.classes().items()
    )
    for said, told in (("a90/95, mm", _a90), ("false calls", _calls)):
        cells = "".join(f'<td class="right">{told(of)}</td>' for of in (guard.old, guard.new))
        rows += f"<tr><th>{said}</th>{cells}</tr>\n"
    head = "<tr><th>found</th><th>before</th><th>now</th></tr>"
    text = escape(f"Guard set: {guard.old.population}.")
    return section(escape(name.capitalize()), text, wide(f"<table>{head}\n{rows}</table>"))


def _a90(of: Certificate) -> str:
    return f"{of.a90_95:.2f}" if of.a90_95 is not None else escape(f"none: {of.why}")


def _calls(of: Certificate) -> str:
    if of.false_calls is None:
        return ""
    return f"{of.false_calls.count} in {of.false_calls.inspected_m:.1f} m"


def _changed(events: Sequence[Judged]) -> Iterator[str]:
    changed = [each for each in events if each.picture is not None]
    if not changed:
        return
    changed.sort(key=lambda each: (each.side != "val", each.wrong(new=True) is None))
    figures = "".join(map(_figure, changed))
    text = "Left by the old bundle, right by the new one; what was held out comes first."
    title = f"{len(changed)} verdicts that changed"
    yield section(title, text, f'<div class="frames">{figures}</div>')


def _figure(each: Judged) -> str:
    assert each.picture is not None
    side = {"val": "held out", "train": "learned from"}.get(each.side, "on neither side")
    now = each.wrong(new=True) or "right"
    said = (
        f"{each.store} event {each.event} ({side}): {each.said}. Was {_verdict(each, new=False)}, "
        f"is {_verdict(each, new=True)}: {now}"
    )
    source = f"data:image/jpeg;base64,{b64encode(each.picture).decode()}"
    return f'<figure><img alt="" src="{source}"><figcaption>{escape(said)}</figcaption></figure>\n'


def _verdict(each: Judged, *, new: bool) -> str:
    state, classes = (each.new, each.new_classes) if new else (each.old, each.old_classes)
    return f"{state} ({', '.join(classes)})" if classes else state


_STYLE = """
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
.frames figure { margin: 0; break-inside: avoid; }
.frames img { width: 100%; border: 1px solid var(--line); }
.frames figcaption { font-size: .8rem; color: var(--quiet); overflow-wrap: anywhere; }
"""
