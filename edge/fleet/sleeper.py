"""The agent while it sleeps: asks now and then whether there is news, and has the turn made if so.

    python -I -S sleeper.py SETTINGS    as JSON, which `start_agent` of agent.py makes
    python -I -S sleeper.py ask URL     prints what is there

A program of its own, of a few of Python's own modules, so that it takes next to no memory: what
knows of networks is in processes that end, and what knows of signatures in one that is begun where
there is news. What is asked for is a few hundred bytes, a depot's timestamp.json or what hawkBit
has for the box, believed in nothing but that it is another one than before.

It ends when its standard input does, which whoever started it holds.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import time

AUTHORIZATION = (
    "TRACKSIDE_AUTHORIZATION"  # where the server wants one; arguments are for all to see
)
MOST_BYTES = 65_536
SILENT_S = 10  # a server that says nothing for so long is gone
ASK_S = 60  # and so is one that has not said all by then
RETRY_S = 10  # the first wait after a turn that failed; each is twice the one before
AGAIN_S = 5  # while the line has not answered
LOOK_S = 0.2  # between two looks whether a process has ended
KINDNESS = 10  # of nice: the line has the processor first


def main() -> None:
    told = json.loads(sys.argv[1])
    os.nice(KINDNESS)
    sleep = Sleep()
    seen, due_s, failed, gone = None, 0.0, 0, False
    while True:
        news, wait_s = ask(told["url"], sleep), told["poll_s"]
        # also once when nobody answers, and once when somebody does again: the box says so
        if news != (None if gone else seen) or time.time() >= due_s:
            turned = turn(told["turn"], sleep)
            gone = news is None
            if turned is None:
                failed += 1
                wait_s = min(RETRY_S * 2 ** min(failed, 20), wait_s)
                due_s = float("inf") if gone else time.time() + wait_s
            elif turned["waiting"]:
                wait_s, due_s = min(AGAIN_S, wait_s), 0.0
            else:
                seen, failed, due_s = news, 0, turned["fresh_until_s"]
        sleep(wait_s * random.uniform(0.5, 1.5))


class Sleep:
    """Until the time is over; ends the program if nobody wants it any more."""

    def __call__(self, seconds: float) -> None:
        if select.select([0], [], [], seconds)[0]:
            sys.exit(0)


def ask(url: str, sleep: Sleep) -> bytes | None:
    """What is there now; None if nobody answers."""
    command = [sys.executable, "-I", "-S", __file__, "ask", url]
    return answer_of(command, sleep, ASK_S)


def turn(command: list[str], sleep: Sleep) -> dict[str, float] | None:
    """What the turn says; None if it failed."""
    answer = answer_of(command, sleep)
    try:
        told: dict[str, float] | None = None if answer is None else json.loads(answer)
    except ValueError:
        return None
    return told


def answer_of(command: list[str], sleep: Sleep, within_s: float = float("inf")) -> bytes | None:
    """What a process prints; None if it fails or takes too long. It ends with this program."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet) as process:
        until_s = time.monotonic() + within_s
        try:
            while process.poll() is None and time.monotonic() < until_s:
                sleep(LOOK_S)
            answer = b"" if process.stdout is None else process.stdout.read(MOST_BYTES)
        finally:
            process.kill()
    return answer if process.returncode == 0 else None


def say(url: str) -> None:
    """What is at an URL; ends with 1 if nothing is."""
    from urllib.request import Request, urlopen  # noqa: PLC0415, only this process needs so much

    try:
        asked = Request(url)
        if AUTHORIZATION in os.environ:
            asked.add_unredirected_header("Authorization", os.environ[AUTHORIZATION])
        with urlopen(asked, timeout=SILENT_S) as answer:
            sys.stdout.buffer.write(answer.read(MOST_BYTES))
    except (OSError, ValueError):
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        say(sys.argv[2])
    else:
        main()
