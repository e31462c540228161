"""A verified bundle, and an engine that has reproduced its golden pair."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from edge.bundle import Bundle, open_bundle
from edge.engines import open_engine
from edge.errors import ConfigurationError, EngineUnavailable, UsageError
from edge.line_file import (
    AutoSettings,
    EngineChoice,
    EngineSettings,
    LiteRtSettings,
    NativeSettings,
    OnnxRuntimeSettings,
    OpenVinoSettings,
)
from edge.network.golden import check_golden
from edge.network.network import Network

SHIPPED = {  # with the product, each with the word that stands for it
    name: Path(__file__).parents[1] / "bundles" / f"{name}.bundle" for name in ("strip", "rail")
}
log = logging.getLogger("trackside")


def resolve_bundle(path: Path | str) -> Path:
    """`strip` and `rail` are the bundles that are installed with the product."""
    return SHIPPED.get(str(path), Path(path))


def check_there(path: Path | str) -> None:
    """UsageError for what is neither a bundle nor a checkpoint, before either is looked for."""
    if not resolve_bundle(path).exists():
        raise UsageError(
            f"{path}: no such file: give a checkpoint (*.safetensors), a *.bundle, `strip` or "
            "`rail`"
        )


def engine_by_name(name: str) -> EngineChoice:
    """An engine with its default settings; ValueError for a name that is none."""
    settings: EngineChoice = TypeAdapter(EngineChoice).validate_python({"type": name})
    return settings


def load_network(
    settings: EngineChoice, path: Path | str, public_key: str | None = None
) -> Network:
    """The bundle, of the key's owner, and the engine of the settings, ready to run.

    Raises as `open_bundle` and `network_of` do, and UsageError for a checkpoint.
    """
    if Path(path).suffix == ".safetensors":
        raise UsageError(
            f"{path} is a checkpoint: make a bundle of it by `trackside quantize`, or have its "
            "maps alone by `trackside maps`, on a desktop"
        )
    return network_of(settings, open_bundle(resolve_bundle(path), public_key))


def network_of(settings: EngineChoice, bundle: Bundle) -> Network:
    """A verified bundle and the engine of the settings, ready to run.

    BundleError where the engine cannot run it or does not reproduce its golden pair,
    EngineUnavailable where the engine is not there; with `auto`, where no engine runs it, with what
    each had against it.
    """
    if not isinstance(settings, AutoSettings):
        return _proven(settings, bundle)
    refused = []
    for candidate in _candidates(settings):
        try:
            network = _proven(candidate, bundle)
        except ConfigurationError as error:
            refused.append(f"{candidate.type}: {error}")
        else:
            name = network.engine.name
            log.info("engine %s%s", name, "".join(f"; not {why}" for why in refused))
            return network
    raise EngineUnavailable(f"no engine runs {bundle.path}: {'; '.join(refused)}")


def _proven(settings: EngineSettings, bundle: Bundle) -> Network:
    """At the size of the settings; proven at that of the golden pair, which may be another."""
    shown = bundle.at(settings.height, settings.width)
    shown.artefact(settings.type, settings.precision)  # whether there is one, before all else
    proof = shown.proven_by()
    engine = open_engine(settings, proof)
    try:
        check_golden(proof, engine)
    except ConfigurationError:
        engine.close()
        raise
    if proof is shown:
        return Network(shown, engine)
    engine.close()
    return Network(shown, open_engine(settings, shown))


def _candidates(settings: AutoSettings) -> Iterator[EngineSettings]:
    """The fastest first, as measured on x86 and expected on ARM."""
    threads, height, width = settings.threads, settings.height, settings.width
    yield NativeSettings(threads=threads, height=height, width=width, portable=False)
    for each in (OnnxRuntimeSettings, OpenVinoSettings, LiteRtSettings):
        yield each(threads=threads, height=height, width=width)
