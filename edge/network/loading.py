"""A verified bundle, and an engine that has reproduced its golden pair."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from edge.bundle import Bundle, open_bundle
from edge.engines import Engine, open_engine
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
        return Network(bundle, _proven(settings, bundle))
    refused = []
    for candidate in _candidates(settings):
        try:
            engine = _proven(candidate, bundle)
        except ConfigurationError as error:
            refused.append(f"{candidate.type}: {error}")
        else:
            log.info("engine %s%s", engine.name, "".join(f"; not {why}" for why in refused))
            return Network(bundle, engine)
    raise EngineUnavailable(f"no engine runs {bundle.path}: {'; '.join(refused)}")


def _proven(settings: EngineSettings, bundle: Bundle) -> Engine:
    engine = open_engine(settings, bundle)
    try:
        check_golden(bundle, engine)
    except ConfigurationError:
        engine.close()
        raise
    return engine


def _candidates(settings: AutoSettings) -> Iterator[EngineSettings]:
    """The fastest first, as measured on x86 and expected on ARM."""
    yield NativeSettings(threads=settings.threads, portable=False)
    yield OnnxRuntimeSettings(threads=settings.threads)
    yield OpenVinoSettings(threads=settings.threads)
    yield LiteRtSettings(threads=settings.threads)
