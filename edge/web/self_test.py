"""What can be tried of a line while it runs: it moves no output and takes no frame from it.

The network in force is opened once more, from the same file and with the same settings, in a
process of its own at the lowest priority: whatever becomes of that process, the line goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from edge.box import Box
from edge.checks import Check, check_disks, check_heat, check_memory, tried
from edge.errors import TracksideError
from edge.line_file import EngineChoice, LineConfig
from edge.network import Network, load_network

_LOAD_S = 120  # a slow box compiles for long
_LOWEST = 19
# Isolated: whoever may write into the working directory must not have his modules run here.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from edge.web.self_test import main; main()"


def self_test(
    config: LineConfig,
    network: Network,
    bridge: Callable[[], str],
    troubles: Mapping[str, str],
    box: Box,
) -> Iterator[Check]:
    """Each thing in turn. `bridge` says how outputs, inputs and encoder are, or raises."""
    yield tried("network", lambda: _opened_again(config, network))
    yield tried("rejects", bridge)
    for name, kept in (("store", config.store), ("ledger", config.reject.ledger)):
        if kept is not None:
            yield Check(name, name not in troubles, troubles.get(name, "is written"))
    yield check_memory(box)
    yield check_heat(box)
    yield from check_disks(config.kept_files)


def _opened_again(config: LineConfig, network: Network) -> Check:
    asked = {
        "engine": config.engine.model_dump(mode="json"),
        "bundle": str(network.bundle.path),
        "key": config.bundle_key,
        "digest": network.bundle.digest,
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
    if done.returncode:
        return Check("network", False, done.stderr.strip() or f"it ended with {done.returncode}")
    return Check("network", True, done.stdout.strip())


def main() -> None:
    """Open the network that standard input names; exit 1 unless it answers as it must."""
    os.nice(_LOWEST)
    asked = json.load(sys.stdin)
    settings: EngineChoice = TypeAdapter(EngineChoice).validate_python(asked["engine"])
    try:
        bundle, engine = load_network(settings, Path(asked["bundle"]), asked["key"])
    except TracksideError as error:
        sys.exit(str(error))
    if bundle.digest != asked["digest"]:
        sys.exit(f"{bundle.path} is no longer the bundle in force: start the line again")
    print(f"{bundle.manifest.name} opened once more: {engine.name} reproduces the golden pair")
