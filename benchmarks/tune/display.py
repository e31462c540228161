"""What the terminal shows of a line that is tuned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.tune.costs import Cost, Proposal, Share
from benchmarks.tune.grid import key_of, limits_in
from benchmarks.tune.study import Study


def show_study(made: Study, proposal: Proposal | None, written: Mapping[str, float] | None) -> None:
    """The costs by threshold and by size limit, who escapes, and what is proposed."""
    console = Console(highlight=False)
    shown = made.now if proposal is None else proposal.cost
    for line in _of_what(made):
        console.print(Text(line), soft_wrap=True)
    console.print(_table(made, shown, "threshold", _by_threshold(made, shown)))
    limit = made.looked.grid.limit
    if limit is not None:
        console.print(_table(made, shown, limit.name, _by_size(made, shown)))
    console.print(_escapes(made, shown))
    for line in _closing(made, proposal, written):
        console.print(Text(line), soft_wrap=True)


def _of_what(made: Study) -> Iterator[str]:
    now, looked = made.now, made.looked
    yield (
        f"{made.chosen.said}: {now.defects.of} defects in {now.pictures.of}, "
        f"{now.false_rejects.of} sound; by {looked.manifest.name} on {looked.engine}"
    )
    for why, count in looked.left_out.items():
        yield f"Left out: {count} that {why}."
    if made.chosen.remark is not None:
        yield f"NOTE: {made.chosen.remark}."
    if (
        looked.grid.limit is None
        and len(limits := limits_in(looked.grid.rules, looked.grid.root)) > 1
    ):
        keys = ", ".join(each.key for each in limits)
        yield f"The rules ask {len(limits)} sizes ({keys}), which stay: the threshold is tuned."
    if not now.false_rejects.of:
        yield (
            "NOTE: no picture is sound, so false rejects are not to be told: false calls beside "
            "the marks are counted; add pictures without a defect."
        )


def _table(made: Study, shown: Cost, name: str, rows: Iterable[tuple[float, Cost]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in (name, "escapes", "let by whole", "false rejects", "false calls"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for value, cost in rows:
        table.add_row(
            f"{value:g}",
            _told(cost.defects),
            _told(cost.pictures),
            _told(cost.false_rejects),
            str(cost.false_calls),
            " ".join(("now",) * (cost == made.now) + ("<",) * (cost == shown)),
            style="bold" if cost == shown else None,
        )
    return table


def _by_threshold(made: Study, shown: Cost) -> Iterator[tuple[float, Cost]]:
    """With the size limit that is shown."""
    for cost in made.costs:
        if cost.setting.size == shown.setting.size:
            yield cost.setting.threshold, cost


def _by_size(made: Study, shown: Cost) -> Iterator[tuple[float, Cost]]:
    """At the threshold that is shown."""
    for cost in made.costs:
        if cost.setting.threshold == shown.setting.threshold and cost.setting.size is not None:
            yield cost.setting.size, cost


def _escapes(made: Study, shown: Cost) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(f"of the defects, at {_said(made, shown)}")
    table.add_column("escape", justify="right")
    classes, sizes = made.parts(shown)
    for name, share in (*(classes.items() if len(classes) > 1 else ()), *sizes.items()):
        table.add_row(Text(name), _told(share))
    return table


def _closing(
    made: Study, proposal: Proposal | None, written: Mapping[str, float] | None
) -> Iterator[str]:
    if proposal is None:
        yield "Say --escapes SHARE, such as 0.05, and a setting is proposed; --write writes it."
        return
    cost, wished = proposal.cost, f"{proposal.wished:.3g}"
    escapes, what = cost.escapes(proposal.per), f"{proposal.per}s"
    if not proposal.reached:
        yield (
            f"No setting lets so few {what} escape: at best {_told(escapes)}, at "
            f"{_said(made, cost)}. Train further, or look at what is missed by `trackside predict`."
        )
        return
    yield (
        f"Proposed: {_said(made, cost)}. Of the {what} {_told(escapes)} escape; false rejects "
        f"{_told(cost.false_rejects)}."
    )
    if proposal.promised:
        yield (
            f"At 95% no more than {escapes.at_most:.1%} escape, of what these are a fair sample of."
        )
    else:
        yield (
            f"TOO FEW to promise {wished}: {escapes.of} {what}, of which {escapes.count} escape, "
            f"bound the rate at {escapes.at_most:.1%} only (95%); {proposal.needed} without an "
            "escape would be needed."
        )
    yield (
        "It was chosen on these very pictures: on others `trackside qualify --labelled` tells what "
        "it is worth."
    )
    if written is None:
        key = key_of((*made.looked.grid.root, "threshold"))
        yield f"Write it by --write, or as {key}: {cost.setting.threshold:g} yourself."
    else:
        said = ", ".join(f"{key}: {value:g}" for key, value in written.items())
        yield f"{made.line}: {said} written."


def _said(made: Study, cost: Cost) -> str:
    limit, own = made.looked.grid.limit, cost.setting
    size = "" if limit is None or own.size is None else f", {limit.name} {own.size:g}"
    return f"threshold {own.threshold:g}{size}"


def _told(share: Share) -> str:
    """`3/40 7.5% (2.1-18%)`."""
    if share.share is None:
        return "-"
    ends = f"{_percent(share.at_least)}-{_percent(share.at_most)}"
    return f"{share.count}/{share.of} {_percent(share.share)}% ({ends}%)"


def _percent(share: float) -> str:
    return f"{share * 100:.{0 if share >= 0.0995 or share == 0 else 1}f}"
