"""What takes a while, step by step on stderr, while the vendors' converters are kept quiet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

Step = Callable[[str], AbstractContextManager[None]]  # shows what is being done, and for how long


@contextmanager
def steps() -> Iterator[Step]:
    """Steps shown one under another on stderr, while whatever the vendors print goes nowhere.

    They print from Python and from C++, so it is the file descriptors that are turned away.
    """
    columns = (SpinnerColumn(finished_text="✓"), "{task.description}", TimeElapsedColumn())
    with _terminal_kept() as stderr:
        console = Console(file=stderr)
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

            @contextmanager
            def step(description: str) -> Iterator[None]:
                started, task = time.monotonic(), progress.add_task(description, total=1)
                yield
                progress.advance(task)
                if not console.is_terminal:  # where a line cannot turn, each one is written once
                    print(f"✓ {description}: {time.monotonic() - started:.0f} s", file=stderr)
                    stderr.flush()

            yield step


@contextmanager
def _terminal_kept() -> Iterator[TextIO]:
    """The real stderr, while descriptors 1 and 2 lead to nothing."""
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    try:
        with os.fdopen(os.dup(kept[1]), "w") as stderr:
            yield stderr
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(nothing)
