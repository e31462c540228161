"""A bundle opened in a process of its own first: one that ends its process ends nothing else.

Vendors' libraries abort at some damaged files (one in 250 of LiteRT's), and no exception tells of
it. So whoever runs a line has a bundle opened here before it opens it itself, by the same code with
the same settings. At a start there is nothing to protect, and nothing is rehearsed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from edge.box import give_way
from edge.bundle import Bundle
from edge.errors import BundleError, TracksideError
from edge.line_file import EngineChoice
from edge.network.loading import load_network

# Isolated: whoever may write into the working directory must not have his modules run here.
_PROGRAM = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import main; main()"
_LOAD_S = 300  # a slow box may take minutes to compile a network


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was opened, and by which engine; it reproduced the golden pair."""

    bundle: str
    digest: str
    engine: str


def rehearse(settings: EngineChoice, bundle: Bundle, public_key: str | None) -> Rehearsal:
    """Open a bundle elsewhere. Raises `BundleError` if it is refused there, or ends the process."""
    path = bundle.path
    asked = {
        "engine": settings.model_dump(mode="json"),
        "bundle": str(path),
        "key": public_key,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, *filter(None, sys.path)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=_LOAD_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise TracksideError(
            f"the network took more than {_LOAD_S} s to open: see to the box's load"
        ) from late
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise BundleError(
            f"{path} ended the process that opened it ({name}): do not trust it, pack it again"
        )
    if done.returncode:
        raise BundleError(done.stderr.strip() or f"{path}: it ended with {done.returncode}")
    opened = Rehearsal(**json.loads(done.stdout.splitlines()[-1]))
    if opened.digest != bundle.digest:
        raise BundleError(f"{path} is no longer the bundle that it was: put it back there")
    return opened


def main() -> None:
    """Open the network that standard input names; exit 1 unless it answers as it must."""
    give_way(first_to_go=1000)  # of all
    asked = json.load(sys.stdin)
    settings: EngineChoice = TypeAdapter(EngineChoice).validate_python(asked["engine"])
    try:
        bundle, engine = load_network(settings, Path(asked["bundle"]), asked["key"])
    except TracksideError as error:
        sys.exit(str(error))
    print(json.dumps(asdict(Rehearsal(bundle.manifest.name, bundle.digest, engine.name))))
