"""`trackside run`, started again where it ends as systemd starts it, until standard input ends.

    python -m stands.fleet_service LINE.yaml

Says who runs, and with which code each ended. All is imported once; each line is forked from it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

from edge.cli import commands
from edge.commissioning import check_line
from edge.errors import TracksideError
from edge.run.fleet_line import run_in_fleet

assert check_line is not None and run_in_fleet is not None  # imported before the first fork


def main(path: Path) -> None:
    while True:
        child = os.fork()
        if child == 0:
            run(path)
        print("runs", child, flush=True)
        ended = os.pidfd_open(child)
        told, _, _ = select.select([sys.stdin, ended], [], [])
        if sys.stdin in told:
            os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        os.close(ended)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)
        if sys.stdin in told:
            return


def run(path: Path) -> None:
    code = 0
    try:
        commands.run(path, frames=None, log_json=False, verbose=False)
    except TracksideError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
