"""What can be tried of a line while it runs: it moves no output and takes no frame from it.

The network in force is opened once more, from the same file and with the same settings, in a
process of its own at the lowest priority: whatever becomes of that process, the line goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from edge.box import Box
from edge.checks import Check, check_disks, check_heat, check_memory, tried
from edge.line_file import LineSettings
from edge.network import Network, rehearse


def self_check(
    config: LineSettings,
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


def _opened_again(config: LineSettings, network: Network) -> Check:
    opened = rehearse(config.engine, network.bundle, config.bundle_key)
    found = f"{opened.bundle} opened once more: {opened.engine} reproduces the golden pair"
    return Check("network", True, found)
