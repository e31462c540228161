"""What the terminal shows of a certificate."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.certificate import Answer, Certificate
from edge.types import UNSURE

_NOT_TOLD = "not told"


def show_certificate(
    certificate: Certificate, failed: Sequence[str], public: str | None, *, to_stderr: bool
) -> None:
    """The figures, whom they speak for, and what a gate did not let pass."""
    console = Console(stderr=to_stderr, highlight=False)
    main = certificate.main()
    table = Table()
    table.add_column(f"{main.name}, {main.unit}")
    for heading in ("found", "of", "a50", "a90", "a90/95"):
        table.add_column(heading, justify="right")
    for name, answer in {"all": main.of_all, **main.by_class}.items():
        sizes = (size_text(size) for size in (answer.a50, answer.a90, answer.a90_95))
        table.add_row(name, str(answer.found), str(answer.n), *sizes)
    console.print(table)
    if certificate.named:
        console.print(_names(certificate))
    for line in (*said(main.of_all), *more(certificate)):
        console.print(Text(line), soft_wrap=True)
    console.print(Text(f"It speaks for {certificate.population}."), soft_wrap=True)
    if public is not None:
        console.print(f"signed by {public}", soft_wrap=True)
    for failure in failed:
        console.print(Text(f"✗ {failure}", style="red"), soft_wrap=True)


def _names(certificate: Certificate) -> Table:
    heads, rows = names_table(certificate)
    table = Table("found, and called")
    for heading in heads:
        table.add_column(heading, justify="right")
    for kind, counts in rows:
        table.add_row(kind, *counts)
    return table


def names_table(certificate: Certificate) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """What was found: a column for each name that something was called, a row for each class."""
    told = {name for counts in certificate.named.values() for name in counts}
    called = sorted(told, key=lambda name: (name == UNSURE, name))
    rows = [
        (kind, [str(counts.get(name, 0)) for name in called])
        for kind, counts in certificate.named.items()
    ]
    return called, rows


def size_text(size: float | None) -> str:
    """A size, or that there is none."""
    return _NOT_TOLD if size is None else f"{size:.3g}"


def said(answer: Answer) -> list[str]:
    """Why a number is missing, and what to know of the others."""
    return [*([f"Not told: {answer.why}."] if answer.why else []), *answer.remarks]


def more(certificate: Certificate) -> list[str]:
    """What is known besides the curve, a line each."""
    lines = []
    if rate := certificate.false_calls:
        lines.append(
            f"False calls: {rate.count} in {rate.inspected_m:.1f} m, {rate.per_km:.3g} a km "
            f"({rate.per_km_at_least:.3g} to {rate.per_km_at_most:.3g}; below "
            f"{rate.per_km_bound_95:.3g} at 95%)."
        )
    if again := certificate.repeatability:
        kappa = "no kappa, all are the same" if again.kappa is None else f"kappa {again.kappa:.3f}"
        lines.append(
            f"Repeatability: {again.equal:.1%} of {again.specimens} had the same verdict in "
            f"{again.passes} passes, {kappa}."
        )
    if signal := certificate.signal_response:
        sizes = ", ".join(
            f"{name} {size_text(size)}"
            for name, size in (
                ("a50", signal.a50),
                ("a90", signal.a90),
                ("a90/95", signal.a90_95),
            )
        )
        lines.append(f"By signal ({signal.signal}): {signal.why or sizes}.")
    if needed := certificate.needed:
        lines.append(_needed_text(certificate))
        if needed.best_sizes:
            low, high = needed.best_sizes
            lines.append(f"Further ones tell most between {low:.3g} and {high:.3g}.")
    lines += [f"Left out: {count} {why}." for why, count in certificate.left_out.items()]
    return lines


def _needed_text(certificate: Certificate) -> str:
    needed = certificate.needed
    assert needed is not None
    if needed.specimens is None:
        return f"An a90/95 of {needed.wished:.3g}: {needed.why}."
    if not needed.more:
        return f"An a90/95 of {needed.wished:.3g} is shown already."
    return (
        f"An a90/95 of {needed.wished:.3g} takes some {needed.specimens} specimens like these, "
        f"{needed.more} more."
    )
