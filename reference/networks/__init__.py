"""The reference networks by name."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from reference.networks.csepnet import CSEPNet
from reference.networks.dms import DMS, DMSOutput
from reference.networks.layers import NetworkError, choose
from reference.networks.lsanet import LSANet, LSANetOutput
from reference.networks.minet import MINet
from reference.networks.nadinet import NaDiNet

Output = list[Tensor] | LSANetOutput | DMSOutput

NETWORKS: dict[str, type[nn.Module]] = {
    "minet": MINet,
    "nadinet": NaDiNet,
    "csepnet": CSEPNet,
    "lsanet": LSANet,
    "dms": DMS,
}


def build(name: str, **arguments: Any) -> nn.Module:
    """A network by name; an unknown name or argument lists the known ones."""
    network = choose("network", name, NETWORKS)
    known = inspect.signature(network).parameters
    if unknown := arguments.keys() - known.keys():
        raise NetworkError(
            f"{name} has no argument {', '.join(sorted(unknown))}: it takes {', '.join(known)}"
        )
    return network(**arguments)


def logit_maps(output: Output) -> list[Tensor]:
    """The logit maps of any network's output, the result first."""
    return output if isinstance(output, list) else output.maps
