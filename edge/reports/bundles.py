"""Which bundles judged, and what the line's certificate says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edge.bundle import open_bundle
from edge.certificate import Certificate, read_certificate
from edge.errors import TracksideError
from edge.network import resolve_bundle
from edge.reports.asked import Sources
from edge.reports.report import BundleOf
from edge.store import Part


def bundles_in(sources: Sources, parts: Sequence[Part]) -> tuple[BundleOf, ...]:
    """The one that judged most first."""
    frames = Counter[str]()
    for part in parts:
        frames[part.bundle] += part.frames
    names = _names(sources)
    certificate = _certificate(sources)
    return tuple(
        BundleOf(
            digest=digest,
            name=names.get(digest),
            frames=count,
            certificate=None if certificate is None else _said(certificate, digest),
        )
        for digest, count in frames.most_common()
    )


def _names(sources: Sources) -> dict[str, str]:
    """Of the one that the line file names: the store has digests alone."""
    if sources.bundle is None:
        return {}
    try:
        bundle = open_bundle(resolve_bundle(sources.bundle))
    except (TracksideError, OSError):  # it may have been taken away since
        return {}
    return {bundle.digest: bundle.manifest.name}


def _certificate(sources: Sources) -> Certificate | str | None:
    if sources.certificate is None:
        return None
    try:
        return read_certificate(sources.certificate)
    except TracksideError as error:
        return f"cannot be read: {error}"


def _said(certificate: Certificate | str, digest: str) -> str:
    if isinstance(certificate, str):
        return certificate
    made = certificate.made[:10]
    if certificate.of is None or certificate.of.digest != digest:
        return f"the line's, of {made}, is of another bundle"
    size = "not known" if certificate.a90_95 is None else f"{certificate.a90_95:.3g}"
    return f"of {made}: a90/95 {size}, by {certificate.measure}"
