"""What the terminal shows of a change of bundle."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from edge.swap import Outcome, Progress


def follow(answers: Iterable[Progress | Outcome], *, quiet: bool) -> Outcome | None:
    """Show how far the line is; what came of it, or None if no line runs."""
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bar:
        task = bar.add_task("waiting", total=None)
        for answer in answers:
            if isinstance(answer, Outcome):
                return answer
            total = answer.of or None
            bar.update(task, description=answer.doing, completed=answer.frames, total=total)
    return None


def described(outcome: Outcome) -> str:
    """The outcome as a line for people."""
    request, compared = outcome.request, outcome.comparison
    said = "is in force" if outcome.refusal is None else f"is refused: {outcome.refusal}"
    line = f"{request.name}, {request.digest[:12]}, {said}"
    if compared is None:
        return line
    overlap = "no mask had anything" if compared.overlap is None else f"{compared.overlap:.2f}"
    rejects = f"rejects {compared.rejected_too} of the old one's {compared.rejected}"
    times = f"p99 {compared.new_p99_ms:.1f} ms, the old one's {compared.old_p99_ms:.1f} ms"
    return (
        f"{line}\n{compared.frames} frames: same verdict on {compared.agreement:.1%}, {rejects}, "
        f"overlap {overlap}, {times}"
    )
