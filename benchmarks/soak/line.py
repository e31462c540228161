"""The line's own process: `trackside run`, with a probe on its pins and its camera.

    python -m benchmarks.soak.line LINE.yaml REPORT_FD

What the probe sees goes to REPORT_FD as it comes about, a JSON object a line. Pins are emptied as
they are read, so that their memory of every edge does not pass for a leak. On the standard input
come a camera's name and its fault, or `mend`; its end ends the line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from edge.assembly import Line
from edge.cameras import Fault, Faults
from edge.cli.logs import log_to_stderr
from edge.inspect import Inspection
from edge.line_file import read_line
from edge.run import run_line
from firmware_bridge.lines import History, MemoryLine

_EVERY_S = 0.05
_COUNT_NS = 1_000_000_000  # between two counts of what the process holds


class Probe:
    """Sees every inspection, and every edge of the reject pins and of the heartbeats, each of which
    is one camera's.
    """

    def __init__(self, report_fd: int) -> None:
        self._out = os.fdopen(report_fd, "w", buffering=1 << 16)
        self._seen: SimpleQueue[list[Any]] = SimpleQueue()  # without their pictures
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None  # once there is a line

    def watch(self, line: Line) -> Callable[[Inspection], None]:
        rehearsal = line.rehearsal
        config, pins = line.config, list[tuple[str, str, MemoryLine]]()
        for name, pin in rehearsal.reject_pins.items():
            [camera] = config.watching(name)
            pins.append(("reject", camera, pin))
        for sign, pin in zip(config.heartbeat.signs, rehearsal.heartbeat_pins, strict=True):
            [camera] = config.stands_for(sign)
            pins.append(("beat", camera, pin))
        self._say("rail", rehearsal.encoder.when_ns(0))
        self._thread = threading.Thread(target=self._tell, args=(pins,), name="probe", daemon=True)
        self._thread.start()
        return lambda inspection: self._seen.put(_facts(inspection))

    def close(self) -> None:
        """Tell what is left, the pins' last edges included."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._out.close()

    def _tell(self, pins: Sequence[tuple[str, str, MemoryLine]]) -> None:
        stopping, counted_ns = False, 0
        while not stopping:
            stopping = self._stopping.wait(_EVERY_S)
            for what, camera, pin in pins:
                for edge in _drained(pin.history):
                    self._say(what, [camera, *edge])
                if stopping:
                    self._say(what, [camera, *pin.history[-1]])
            for facts in _emptied(self._seen):
                self._say("frame", facts)
            if (now_ns := time.monotonic_ns()) - counted_ns >= _COUNT_NS:
                counted_ns = now_ns
                self._say("blocks", [now_ns, sys.getallocatedblocks()])
            self._out.flush()

    def _say(self, what: str, fact: Any) -> None:
        self._out.write(json.dumps([what, fact]) + "\n")


def _drained(history: History) -> Iterator[tuple[int, bool]]:
    """All but the latest, which the pin's own level is read from."""
    assert isinstance(history, list)
    while len(history) > 1:
        yield history.pop(0)


def _emptied(seen: SimpleQueue[list[Any]]) -> Iterator[list[Any]]:
    while True:
        try:
            yield seen.get_nowait()
        except Empty:
            return


def _facts(inspection: Inspection) -> list[Any]:
    verdict, seen = inspection.verdict, inspection.seen
    stretch = verdict.stretch
    return [
        *(inspection.camera, verdict.frame_index),
        *(stretch.start_um, stretch.end_um, verdict.state.value),
        *(seen.captured_ns, inspection.decided_ns, inspection.stage_ns, inspection.bundle),
    ]


def _obey(faults: Mapping[str, Faults]) -> None:
    """Do to the cameras what the standard input says, until it ends; then end the line."""
    for camera, word in map(str.split, sys.stdin):
        if word == "mend":
            faults[camera].mend()
        else:
            faults[camera].begin(Fault(word))
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    log_to_stderr(as_json=False, verbose=False)
    config = read_line(Path(sys.argv[1]))
    faults = {name: Faults() for name in config.cameras}
    threading.Thread(target=_obey, args=(faults,), name="faults", daemon=True).start()
    with closing(Probe(int(sys.argv[2]))) as probe:
        run_line(config, watch=probe.watch, camera_faults=faults)


if __name__ == "__main__":
    main()
