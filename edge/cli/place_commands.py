"""`trackside place`: what people call the places of a line's rail, said and looked up."""

from __future__ import annotations

import getpass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge.places import Kind

place = typer.Typer(help="Say where a line is, and look up what was said.", no_args_is_help=True)

LineFile = Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The line file.")]
Km = Annotated[float | None, typer.Option(help="The chainage here, in kilometres.")]
Leap = Annotated[
    bool,
    typer.Option("--leap", help="It does not go on from what was before: take it all the same."),
]
Name = Annotated[str | None, typer.Option(help="The coil or rail of this name begins here.")]
Tail = Annotated[bool, typer.Option("--tail", help="The coil ends here, and none follows yet.")]


@place.command()
def here(
    line: LineFile, km: Km = None, leap: Leap = False, name: Name = None, tail: Tail = False
) -> None:
    """Say it of the place where a running line is at this moment."""
    from edge.places import say_now

    kind, chainage_um, called = _said(km, leap, name, tail)
    print(say_now(_journal(line), kind, chainage_um=chainage_um, name=called, source=_who()))


@place.command()
def later(
    line: LineFile,
    run: Annotated[str, typer.Option(help="The run, by when it began, as `list` shows it.")],
    at_m: Annotated[float, typer.Option(help="Its place in that run, in metres.")],
    km: Km = None,
    leap: Leap = False,
    name: Name = None,
    tail: Tail = False,
) -> None:
    """Say it of a place of a run that may have ended."""
    from edge.places import Mark, say_later

    kind, chainage_um, called = _said(km, leap, name, tail)
    utc = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    mark = Mark(kind, round(at_m * 1e6), chainage_um, called, _who(), utc)
    print(say_later(_journal(line), run, mark))


@place.command("list")
def list_places(
    line: LineFile,
    run: Annotated[str | None, typer.Option(help="Of this run alone.")] = None,
) -> None:
    """Print what was said, run by run, and what was not believed."""
    from edge.places import read_book

    book = read_book(_journal(line))
    for each in book.runs:
        if run not in {None, each.run}:
            continue
        error = book.maps[each.run].wheel_error
        wheel = "" if error is None else f", the encoder counts {error:+.2%}"
        print(f"run {each.run} of {each.line}{wheel}")
        for mark in book.marks.get(each.run, ()):
            print(f"  {mark}")


def _said(
    km: float | None, leap: bool, name: str | None, tail: bool
) -> tuple[Kind, int | None, str | None]:
    from edge.errors import UsageError
    from edge.places import Kind, chainage_of, name_of

    if (km is not None) + (name is not None) + tail != 1:
        raise UsageError("give one of --km, --name and --tail")
    if leap and km is None:
        raise UsageError("--leap is of a chainage: give --km too")
    if km is not None:
        return (Kind.JUMP if leap else Kind.ANCHOR), chainage_of(km), None
    return (Kind.TAIL, None, None) if tail else (Kind.NAME, None, name_of(name or ""))


def _journal(line: Path) -> Path:
    from edge.errors import ConfigurationError
    from edge.line_file import read_line

    journal = read_line(line).journal
    if journal is None:
        raise ConfigurationError(f"{line} knows no places: give it `places:`")
    return journal


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return "the command line"
