"""A bundle's limits, from what its certificates measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10
from pathlib import Path
from statistics import median_low

from edge.bundle import Bundle, Found, Limits, write_bundle
from edge.certificate.certificate import Answer, Certificate, Measure
from edge.errors import ConfigurationError

EXTENT, AREA = "extent_mm", "area_mm2"


def limits_by(
    certificates: Sequence[Certificate], bundle: Bundle, *, counted: bool = False
) -> Limits:
    """How small a defect is surely found; if asked, also what counts from now on.

    That is from the size on of which half of the classes are found more often than not, by the
    first certificate that says so. ConfigurationError for a certificate of another bundle, and
    where none says.
    """
    for each in certificates:
        if each.of is None or each.of.digest != bundle.digest:
            raise ConfigurationError(
                f"the certificate of {each.made} is not of this bundle: qualify this one"
            )
    found = [found for each in certificates for found in _found(each)]
    limits = bundle.manifest.limits
    return Limits(
        min_area_mm2=_least(certificates, AREA) if counted else limits.min_area_mm2,
        min_extent_mm=_least(certificates, EXTENT) if counted else limits.min_extent_mm,
        found=found,
    )


def with_limits(bundle: Bundle, limits: Limits, path: Path) -> Bundle:
    """The same networks, written to a bundle with other limits, which nobody has signed."""
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    return write_bundle(bundle.manifest.model_copy(update={"limits": limits}), files, path)


def _least(certificates: Sequence[Certificate], measure: str) -> float:
    for each in certificates:
        by_class = _measure(each, measure).by_class.values()
        if a50s := [answer.a50 for answer in by_class if answer.a50 is not None]:
            return _rounded_down(median_low(a50s))
    raise ConfigurationError(
        f"no certificate says of which {measure} half are found: qualify with more defects"
    )


def _found(certificate: Certificate) -> Iterator[Found]:
    for name, answer in _answers(_measure(certificate, EXTENT)):
        yield Found(
            population=certificate.population,
            of=name,
            n=answer.n,
            a90_mm=answer.a90,
            a90_95_mm=answer.a90_95,
        )


def _measure(certificate: Certificate, name: str) -> Measure:
    for measure in certificate.measures:
        if measure.name == name:
            return measure
    raise ConfigurationError(
        f"the certificate of {certificate.made} does not measure {name}: let `trackside qualify` "
        "look at images or at the simulated rail"
    )


def _answers(measure: Measure) -> Iterator[tuple[str | None, Answer]]:
    yield None, measure.of_all
    yield from measure.by_class.items()


def _rounded_down(size: float) -> float:
    """To two digits: the third is not known."""
    step = 10.0 ** (floor(log10(size)) - 1)
    return round(floor(size / step) * step, 9)
