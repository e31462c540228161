"""A worker process that holds one object: `python -m benchmarks.bench.process FD`.

Each row has one to itself, as on the box: memory, first inference and threads are its own, and an
engine that crashes takes nobody with it. The process ends when its parent does.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from tempfile import TemporaryFile
from typing import Any

from edge.errors import EngineError, TracksideError

_TO_END_S = 10


class Worker:
    """The parent's end. What a call raises there is raised here."""

    def __init__(
        self, make: Callable[[], Any], threads: int = 1, processors: Sequence[int] = ()
    ) -> None:
        """`make` is pickled, and called in the new process."""
        self._connection, theirs = Pipe()
        self._said = TemporaryFile()  # noqa: SIM115 (`close` does); what explains a crash
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the parent, which decides
                env=os.environ | _thread_limits(threads),
            )
        try:
            self._ask((make, tuple(processors)))
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *arguments: Any) -> Any:
        return self._ask((method, arguments))

    def close(self) -> None:
        """At once: a worker keeps nothing that is worth waiting for."""
        self._connection.close()
        self._process.kill()
        self._process.wait(_TO_END_S)
        self._said.close()

    def _ask(self, message: object) -> Any:
        try:
            self._connection.send(message)
            good, answer = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise EngineError(self._how_it_ended()) from error
        if not good:
            raise answer
        return answer

    def _how_it_ended(self) -> str:
        code = self._process.wait(_TO_END_S)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "without a word")
        return f"its process {how} ({last}): leave it out with --engine, or report it to its vendor"


def _thread_limits(threads: int) -> dict[str, str]:
    """For libraries that read the environment once, when they are imported."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


def _serve(connection: Connection) -> None:
    make, processors = connection.recv()
    if processors:
        os.sched_setaffinity(0, processors)
    with _answered(connection) as answer:
        held = make()
        answer(None)
    while True:
        method, arguments = connection.recv()
        with _answered(connection) as answer:
            answer(getattr(held, method)(*arguments))


@contextmanager
def _answered(connection: Connection) -> Iterator[Callable[[object], None]]:
    """Whatever is raised inside is the answer."""
    try:
        yield lambda answer: connection.send((True, answer))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        connection.send((False, _portable(error)))


def _portable(error: Exception) -> Exception:
    """One that the parent can read: vendors' exceptions often cannot be pickled, or only here."""
    if isinstance(error, TracksideError | ModuleNotFoundError):
        again: Exception = pickle.loads(pickle.dumps(error))
        return again
    return EngineError(f"{type(error).__name__}: {' '.join(str(error).split())}")


def main() -> None:
    with suppress(EOFError, ConnectionError):  # the parent is gone
        _serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
