"""`python -m benchmarks.soak`: a line left alone while everything around it goes wrong.

A simulated line inspects live frames, rejects, keeps and tells, in a process of its own, on a small
disk of its own, beside a broker of its own. It has two rails, each with a camera, an actuator and a
heartbeat. By a seeded schedule one camera is lost, the broker is killed, the disk is full, bundles
are swapped, the wall clock steps and other processes spin. What must hold all the same is found out
from outside: the reject pins' edges against the simulator's truth, the ledger, the store, a
subscriber, the kernel. The exit code is 0 where all of it held.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.soak.broker import MOSQUITTO
from benchmarks.soak.faults import FAULTS
from benchmarks.soak.judgement import judge
from benchmarks.soak.kills import kill_in_turns
from benchmarks.soak.picture import draw
from benchmarks.soak.plant import CAMERAS, DISK_MB
from benchmarks.soak.report import markdown, record, show
from benchmarks.soak.run import soak
from benchmarks.soak.schedule import schedule
from edge.errors import TracksideError, UsageError
from edge.line_file import read_line

_SWAPS_AT_FIRST = 3  # more, until libc keeps the room that three networks at once take
_KINDS = {name.split()[0] for name in FAULTS}
_FOLDER = "SOAK_FOLDER"  # given to the process that has the small disk
_MOUNT = f'mount -t tmpfs -o size={DISK_MB}m tmpfs "$0" && exec "$@"'


def main(  # noqa: PLR0917 - options are many
    minutes: Annotated[float, typer.Option(min=0.1, help="How long the line runs.")] = 30,
    faults: Annotated[bool, typer.Option("--faults", help="Have things go wrong.")] = False,
    without: Annotated[
        str,
        typer.Option(metavar="NAME,...", help=f"Faults to leave out: {', '.join(sorted(_KINDS))}."),
    ] = "",
    rails: Annotated[int, typer.Option(min=1, max=len(CAMERAS), help="Each with its camera.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the rails, and of the schedule.")] = 7,
    out: Annotated[Path, typer.Option(help="Where soak.json, .svg and .md go.")] = Path("soak"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    kills: Annotated[
        int, typer.Option(min=0, help="Instead, kill a line so often and start it again.")
    ] = 0,
) -> None:
    """Soak a simulated line, and find out whether what must hold does."""
    if kills:
        sys.exit(_kill(kills, seed, out, as_json=as_json))
    left_out = frozenset(filter(None, without.split(",")))
    if unknown := left_out - _KINDS - set(FAULTS):
        raise typer.BadParameter(f"{min(unknown)!r}: choose of {', '.join(sorted(_KINDS))}")
    console = Console(stderr=True)
    chosen = [name for name in FAULTS if not {name, name.split()[0]} & left_out] if faults else []
    try:
        if "broker" in chosen and MOSQUITTO is None:
            raise UsageError("no broker is here: apt-get install mosquitto, or --without broker")
        if _FOLDER not in os.environ:
            sys.exit(_with_a_small_disk(sys.argv[1:]))
        swaps = [name for name in chosen if name == "swap"] * _SWAPS_AT_FIRST
        plan = schedule(chosen, minutes * 60, seed, more_at_first=swaps)
        path, evidence = soak(
            Path(os.environ[_FOLDER]),
            plan,
            seed=seed,
            chosen=chosen,
            say=console.print,
            rails=rails,
        )
    except TracksideError as error:
        console.print(f"soak: {error}")
        sys.exit(error.exit_code)
    config = read_line(path)
    verdict = judge(config, evidence)
    command = f"python -m benchmarks.soak {shlex.join(sys.argv[1:])}"
    kept = record(verdict, evidence, command=command, seed=seed, minutes=minutes)
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_text(json.dumps(kept, indent=2) + "\n")
    (out / "soak.md").write_text(markdown(kept))
    (out / "soak.svg").write_text(draw(evidence))
    shutil.copyfile(path.with_name("line.log"), out / "line.log")
    if as_json:
        print(json.dumps(kept))
    else:
        show(kept, Console(width=130))
    sys.exit(0 if verdict.holds else 1)


def _kill(kills: int, seed: int, out: Path, *, as_json: bool) -> int:
    killed = kill_in_turns(kills, seed, Console(stderr=True).print)
    rows = [each.row() for each in killed]
    out.mkdir(parents=True, exist_ok=True)
    (out / "kills.json").write_text(json.dumps(rows, indent=2) + "\n")
    if as_json:
        print(json.dumps(rows))
    return 0 if all(each.holds for each in killed) else 1


def _with_a_small_disk(arguments: list[str]) -> int:
    """This command again, in a process that sees a disk of its own, which goes when it ends."""
    with tempfile.TemporaryDirectory(prefix="trackside-soak-") as folder:
        disk = Path(folder, "disk")
        disk.mkdir()
        private = ["unshare", "--mount", "--map-root-user", "sh", "-c", _MOUNT, str(disk)]
        if (
            shutil.which("unshare") is None
            or subprocess.run([*private, "true"], check=False).returncode
        ):
            raise UsageError("no disk can be mounted here: run it as root, or with user namespaces")
        again = [sys.executable, "-m", "benchmarks.soak", *arguments]
        environment = {**os.environ, _FOLDER: folder}
        return subprocess.run([*private, *again], env=environment, check=False).returncode


if __name__ == "__main__":
    typer.run(main)
