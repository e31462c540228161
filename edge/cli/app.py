"""The `trackside` command: this room's commands, and those the other rooms register."""

from __future__ import annotations

import sys
from collections.abc import Callable
from errno import EDQUOT, ENOSPC
from importlib.metadata import entry_points, version
from typing import Annotated, NoReturn

import typer

from edge.box import give_way
from edge.cli import (
    backtest_commands,
    bundle_commands,
    calibrate_commands,
    commands,
    compare_commands,
    event_commands,
    fleet_box_commands,
    fleet_commands,
    ledger_commands,
    overview_commands,
    place_commands,
    replay_commands,
    report_commands,
    review_commands,
)
from edge.cli.logs import log, logs_json, printable
from edge.errors import ConfigurationError, TracksideError
from edge.extras import not_installed

app = typer.Typer(
    name="trackside",
    help="Edge inspection for rail and strip-steel surfaces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"trackside {version('trackside')}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Edge inspection for rail and strip-steel surfaces."""


_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": commands.demo,
    "run": commands.run,
    "check": commands.check,
    "commission": commands.commission,
    "doctor": commands.doctor,
    "reject-test": commands.reject_trial,
    "predict": commands.predict,
    "simulate": commands.simulate,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(commands.config, name="config")
app.add_typer(bundle_commands.bundle, name="bundle")
app.add_typer(event_commands.events, name="events")
event_commands.events.command("call")(review_commands.call_event)
event_commands.events.command("miss-rate")(review_commands.show_miss_rate)
event_commands.events.command("import")(review_commands.import_events)
event_commands.events.command("look-again")(review_commands.look_at_events_again)
app.add_typer(place_commands.place, name="place")
app.add_typer(fleet_commands.fleet, name="fleet")
fleet_commands.fleet.command("agent")(fleet_box_commands.agent)
fleet_commands.fleet.command("package")(fleet_box_commands.package)
app.command()(ledger_commands.ledger)
app.command()(overview_commands.overview)
app.command()(calibrate_commands.calibrate)
app.command()(replay_commands.record)
app.command()(replay_commands.replay)
app.command()(report_commands.report)
app.command()(compare_commands.compare)
app.command()(backtest_commands.backtest)


def register_other_rooms() -> None:
    """Training and quantization come by entry point: `edge` does not know the desktop's rooms."""
    for entry in sorted(entry_points(group="trackside.commands"), key=lambda e: e.name):
        command = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)


# What may take a processor for hours, and on a line's own box.
_GIVE_WAY = (["backtest"], ["events", "look-again"])


def main() -> NoReturn:
    """Run the command line; errors of ours become one line and their exit code."""
    if any(sys.argv[1 : 1 + len(each)] == each for each in _GIVE_WAY):
        give_way()
    register_other_rooms()
    try:
        _run()
    except TracksideError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:  # a full disk, a folder that is read-only: it names the file itself
        _fail(_refused(error), TracksideError.exit_code)
    except ModuleNotFoundError as error:
        if (said := not_installed(error.name or "")) is None:
            raise
        _fail(said, ConfigurationError.exit_code)
    sys.exit(0)


def _run() -> None:
    """The command; where the log is JSON, a fault of ours is told in it too."""
    try:
        app()
    except (TracksideError, OSError, ModuleNotFoundError):
        raise
    except Exception as error:
        if not logs_json():
            raise
        log.critical("a fault of trackside's own: %r", error, exc_info=True)
        sys.exit(TracksideError.exit_code)


def _refused(error: OSError) -> str:
    """What the system has against it, without the number that it has for that."""
    if error.filename is None or error.strerror is None:
        return str(error)
    remedy = ": make room on its disk" if error.errno in {ENOSPC, EDQUOT} else ""
    return f"{error.filename}: {error.strerror}{remedy}"


def _fail(message: str, code: int) -> NoReturn:
    if logs_json():
        log.critical("%s", message, extra={"exit_code": code})
    else:
        print(f"trackside: {printable(message)}", file=sys.stderr)
    sys.exit(code)
