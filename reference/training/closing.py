"""What is said at the end of a training: how good it became, where it lies, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reference.training.journal import PAGE
from reference.training.page import Story

_SHARES = {"escape_rate": "escapes", "false_reject_rate": "false rejects"}


def closing(story: Story, folder: Path, bundle: Path) -> Iterator[str]:
    """A few lines; the last is the next command."""
    best, reached = story.best, story.iterations
    if best is None:
        kept = folder / "last.safetensors"
        yield f"Trained {reached} iterations; nothing is held out, so the last weights are kept."
    else:
        kept = folder / "best.safetensors"
        shares = [f"{said} {best[name]:.1%}" for name, said in _SHARES.items() if name in best]
        said = f" ({', '.join(shares)}, if any pixel above 0.5 rejects)" if shares else ""
        yield (
            f"Trained {reached} iterations: best {story.figure} {best[story.figure]:.4f} at "
            f"{best['iteration']:g}{said}."
        )
    yield f"Weights: {kept}. Curves and pictures: {folder / PAGE}."
    yield f"Next: trackside quantize {kept} --out {bundle} --auto"
