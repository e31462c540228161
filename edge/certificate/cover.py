"""Whether a certificate covers a line: all that its verdicts hang on is still the same."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
from pathlib import Path

from edge.bundle import Bundle
from edge.certificate.certificate import SUFFIX, Certificate, Judgement, read_certificate
from edge.errors import ConfigurationError
from edge.line_file import Lookout

_SAME_SCALE = 0.02  # a scale that differs by more shows the network defects of another size


def judgement_of(
    lookout: Lookout, bundle: Bundle, engine: str, scale_um: tuple[float, float] | None
) -> Judgement:
    """All that decides the verdicts of a line's camera; the scale is along and across, if it is
    known.
    """
    (along_um, across_um), camera = scale_um or (None, None), lookout.camera
    return Judgement(
        line=lookout.line,
        bundle=bundle.manifest.name,
        digest=bundle.digest,
        engine=engine,
        along_um=along_um,
        across_um=across_um,
        tiles=None if camera.tiles is None else camera.tiles.model_dump(mode="json"),
        region=camera.region.model_dump(mode="json"),
        rules=lookout.rules.model_dump(mode="json"),
        quality=camera.quality.model_dump(mode="json"),
    )


def uncovered(certificate: Certificate, line: Judgement) -> list[str]:
    """In what the line is another than the one that was qualified; empty where it is covered."""
    shown = certificate.of
    if shown is None:
        return ["it was made of a table, and says nothing of bundle, engine or rules"]
    return list(_differences(shown, line))


def certificates_of(bundle: Bundle) -> list[tuple[Path, Certificate]]:
    """Those that lie beside the bundle and are of it; what is no certificate is passed over."""
    found = []
    for path in sorted(bundle.path.parent.glob(f"*{SUFFIX}")):
        try:
            certificate = read_certificate(path)
        except ConfigurationError:
            continue
        if certificate.of is not None and certificate.of.digest == bundle.digest:
            found.append((path, certificate))
    return found


def _differences(shown: Judgement, line: Judgement) -> Iterator[str]:
    if shown.digest != line.digest:
        yield f"bundle {line.digest[:12]}, not {shown.digest[:12]}"
    if shown.engine != line.engine:
        yield f"engine {line.engine}, not {shown.engine}"
    for name, one, two in (
        ("a row", shown.along_um, line.along_um),
        ("a column", shown.across_um, line.across_um),
    ):
        if one is None or two is None or not isclose(one, two, rel_tol=_SAME_SCALE):
            yield f"{_um(two)} {name}, not {_um(one)}"
    for name in ("tiles", "region", "rules", "quality"):
        if getattr(shown, name) != getattr(line, name):
            yield f"other {name}"


def _um(value: float | None) -> str:
    return "an unknown scale" if value is None else f"{value:g} um"
