"""`trackside fleet` at a box: what the desk sent, brought to the line, or installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

OwnLine = Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The box's own line file.")]


def agent(
    line: OwnLine,
    once: Annotated[bool, typer.Option("--once", help="Ask once, now, and say what came.")] = False,
) -> None:
    """Ask the depot now and then, and bring what is new to the line; `run` does so by itself."""
    from edge.fleet import FleetFolder, fleet_of
    from edge.fleet.agent import make_turn, start_agent
    from edge.line_file import read_line

    settings = fleet_of(read_line(line))
    if not once:
        with start_agent(line) as process:
            sys.exit(process.wait())
    turned = make_turn(line)
    print(FleetFolder(settings.folder).shown(settings.box).model_dump_json(indent=2))
    sys.exit(0 if turned.fresh_until is not None else 1)


def package(line: OwnLine) -> None:
    """Install the software that the box's release holds, as root.

    On a box that has the Debian package, trackside-package@LINE.timer does so.
    """
    from edge.errors import ConfigurationError
    from edge.fleet import FleetFolder, Software, bring_package, fleet_of
    from edge.fleet.agent import open_depot
    from edge.line_file import read_line

    settings, software = fleet_of(read_line(line)), Software()
    folder = FleetFolder(software.state)
    with folder.being_agent() as alone:
        if not alone:
            raise ConfigurationError(f"{folder.root}: another one installs just now: wait for it")
        print(bring_package(settings.box, open_depot(settings, folder), software))
