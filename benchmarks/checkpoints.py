"""The checkpoint of a bundle, which its provenance names by digest; without PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from edge.bundle import Bundle

COMMITTED = Path(__file__).parents[1] / "reference" / "checkpoints"


def wanted_by(bundle: Bundle) -> str:
    """Its checkpoint's sha256; nothing where the bundle does not say."""
    return bundle.manifest.provenance.get("checkpoint", "").removeprefix("sha256 ")


def committed() -> list[Path]:
    return sorted(COMMITTED.glob("*.safetensors"))


def made_of(bundle: Bundle, tried: Iterable[Path]) -> Path | None:
    """The first of them that it is."""
    wanted = wanted_by(bundle)
    return next((path for path in tried if sha256(path.read_bytes()).hexdigest() == wanted), None)
