"""The reference networks by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from reference.networks.minet import MINet

NETWORKS: dict[str, type[nn.Module]] = {"minet": MINet}


def build(name: str, **arguments: Any) -> nn.Module:
    """A network by name; an unknown name lists the known ones."""
    if name not in NETWORKS:
        raise ValueError(f"network {name!r} is unknown: choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name](**arguments)
