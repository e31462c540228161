"""The reference networks by name."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from reference.networks.csepnet import CSEPNet
from reference.networks.dms import DMS, DMSOutput
from reference.networks.layers import NamedMaps, NetworkError, choose
from reference.networks.lsanet import LSANet, LSANetOutput
from reference.networks.minet import MINet
from reference.networks.nadinet import NaDiNet

Output = list[Tensor] | NamedMaps | LSANetOutput | DMSOutput

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
    _check_arguments(name, network, arguments)
    try:
        return network(**arguments)
    except NetworkError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:  # torch's, of a number it cannot take
        given = ", ".join(f"{argument} {value!r}" for argument, value in arguments.items())
        raise NetworkError(f"{name} cannot be built with {given}: {error}") from error


def complete(name: str, **arguments: Any) -> dict[str, Any]:
    """What `build` is given for a network, with the defaults of what is left out."""
    known = inspect.signature(NETWORKS[name]).parameters
    defaults = {argument: parameter.default for argument, parameter in known.items()}
    return {"name": name, **defaults, **arguments}


def _check_arguments(name: str, network: type[nn.Module], arguments: dict[str, Any]) -> None:
    """Refuse what the network has no argument for, and a value that only happens to be taken."""
    known = inspect.signature(network).parameters
    if unknown := arguments.keys() - known.keys():
        raise NetworkError(
            f"{name} has no argument {', '.join(sorted(unknown))}: it takes {', '.join(known)}"
        )
    kinds = get_type_hints(network.__init__)
    for argument, value in arguments.items():
        try:
            TypeAdapter(kinds[argument]).validate_python(value, strict=True)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Input ")
            raise NetworkError(f"{name}'s {argument} {said} (it is {value!r})") from error


def logit_maps(output: Output) -> list[Tensor]:
    """The logit maps of any network's output, the result first."""
    return output if isinstance(output, list) else output.maps


def class_maps(output: Output) -> list[Tensor]:
    """The class logits of any network's output, finest first; none where it names nothing."""
    return [] if isinstance(output, list) else [*output.names]
