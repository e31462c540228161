"""What the terminal shows of an adaptation."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benchmarks.adapt.asked import Asked
from benchmarks.adapt.choice import CHOSEN
from benchmarks.adapt.page import headline
from benchmarks.adapt.result import Result
from benchmarks.adapt.run import PAGE
from edge.cli.logs import printable


def say(what: str) -> None:
    """To a person, while it goes on."""
    print(printable(what), file=sys.stderr)


def show(result: Result, asked: Asked, *, as_json: bool) -> None:
    """The result, why it is refused if it is, and what comes next."""
    say(headline(result))
    for each in result.objections:
        say(f"✗ {each}")
    say(f"Report: {asked.work / PAGE}. Checkpoint: {asked.work / CHOSEN}.")
    if result.better:
        say(
            f"Written: {asked.out}. Next: trackside backtest {asked.out} ARCHIVE... --out DIR, then"
            " trackside bundle activate"
        )
    if as_json:
        print(json.dumps(asdict(result)))
