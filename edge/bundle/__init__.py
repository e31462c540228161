"""A bundle: one directory or zip that holds a network, its manifest and its golden pair."""

from edge.bundle.bundle import MANIFEST, Bundle, open_bundle, pack_directory, write_bundle
from edge.bundle.manifest import (
    ANY_SIZE,
    STRIDE,
    Artefact,
    EngineName,
    Found,
    Golden,
    GoldenNames,
    InputSpec,
    Limits,
    Manifest,
    NamesSpec,
    OtherSize,
    OutputSpec,
    Packed,
    Precision,
)

__all__ = [
    "ANY_SIZE",
    "MANIFEST",
    "STRIDE",
    "Artefact",
    "Bundle",
    "EngineName",
    "Found",
    "Golden",
    "GoldenNames",
    "InputSpec",
    "Limits",
    "Manifest",
    "NamesSpec",
    "OtherSize",
    "OutputSpec",
    "Packed",
    "Precision",
    "open_bundle",
    "pack_directory",
    "write_bundle",
]
