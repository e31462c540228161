"""The certificate's form: one JSON file (`trackside qualify --schema`), and its signature.

NAME.certificate.json       what was found of what, by which line
NAME.certificate.json.sig   an ed25519 signature of that file's bytes; there may be none
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edge.errors import ConfigurationError
from edge.files import parsed, write_whole

SUFFIX = ".certificate.json"

Origin = Literal["hits", "simulated", "labelled", "recorded", "reviewed"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CurvePoint(_Part):
    """The size found with this probability: by the curve, and its 95% bounds to either side."""

    share: float
    size: float | None
    at_least: float | None
    at_most: float | None


class Bin(_Part):
    """Specimens of about one size."""

    low: float
    high: float
    n: int
    found: int


class Answer(_Part):
    """What some specimens say; null where they cannot, and `why` says so."""

    n: int
    found: int
    a50: float | None
    a90: float | None
    a90_95: float | None = Field(description="At 95% confidence a90 is at most this.")
    scale: Literal["log size", "size"] | None = Field(description="What the logit is linear in.")
    separated: bool = Field(description="Every one found is at least as large as any missed.")
    why: str
    remarks: tuple[str, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    bins: tuple[Bin, ...] = ()


class Measure(_Part):
    """The same specimens by one measure of their size."""

    name: str
    unit: str
    of_all: Answer
    by_class: dict[str, Answer] = {}


class SignalResponse(_Part):
    """The network's signal against size: found is what is above the decision."""

    n: int
    decision: float
    signal: str
    scale: Literal["log size", "size"]
    slope: float | None
    scatter: float | None
    a50: float | None
    a90: float | None
    a90_95: float | None
    why: str


class Rate(_Part):
    """False calls, with Garwood's exact 95% interval, and the one-sided bound that gates hold."""

    count: int
    inspected_m: float
    per_m: float
    per_km: float
    per_km_at_least: float
    per_km_at_most: float
    per_km_bound_95: float


class Repeatability(_Part):
    """The same specimens in several passes."""

    specimens: int
    passes: int
    equal: float = Field(description="Share of specimens with the same verdict in every pass.")
    kappa: float | None = Field(description="Fleiss'; null where all verdicts are the same.")


class Needed(_Part):
    """How many specimens, like these, a wished a90/95 takes."""

    wished: float
    specimens: int | None
    more: int | None
    best_sizes: tuple[float, float] | None
    why: str


class Judgement(_Part):
    """All that decides a verdict: what the certificate is of, and holds for."""

    line: str
    bundle: str = Field(description="Its name.")
    digest: str = Field(description="sha256 of the bundle's manifest.")
    engine: str = Field(description="Its kind; a kind's kernels differ by rounding alone.")
    along_um: float | None = Field(description="Of surface a row shows; null where none is known.")
    across_um: float | None
    tiles: dict[str, Any] | None
    region: dict[str, Any]
    rules: dict[str, Any]
    quality: dict[str, Any]


class Picture(_Part):
    """A miss or a false call, as a PNG in base64."""

    title: str
    png: str


class Certificate(_Part):
    """What a line was shown to find."""

    format: Literal[1]
    made: str = Field(description="ISO 8601, UTC.")
    version: str = Field(description="Of Trackside.")
    machine: str
    source: Origin
    population: str = Field(description="Whom it speaks for.")
    of: Judgement | None = Field(description="Null of a table: nothing is known of who found.")
    data: dict[str, str] = Field(description="What it is made of, by sha256.")
    measure: str = Field(description="The measure of the figures below.")
    n: int
    a50: float | None
    a90: float | None
    a90_95: float | None
    why: str
    measures: tuple[Measure, ...]
    signal_response: SignalResponse | None = None
    false_calls: Rate | None = None
    named: dict[str, dict[str, int]] = Field(
        default={}, description="What was found, by its true class and by what it was called."
    )
    repeatability: Repeatability | None = None
    needed: Needed | None = None
    left_out: dict[str, int] = Field(default={}, description="Specimens, by why.")
    misses: tuple[Picture, ...] = ()
    false_call_pictures: tuple[Picture, ...] = ()
    limits: tuple[str, ...] = ()

    def main(self) -> Measure:
        """That of the figures at the top."""
        return next(each for each in self.measures if each.name == self.measure)


_CERTIFICATE = TypeAdapter(Certificate)


def read_certificate(path: Path) -> Certificate:
    """Of whoever; `read_signed` asks whose. ConfigurationError for what is no certificate."""
    try:
        return parsed(path.name, path.read_bytes(), _CERTIFICATE)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is no certificate ({error}): make one with `trackside qualify`"
        ) from error


def read_signed(path: Path, public_key: str) -> Certificate:
    """Only of the key's owner; ConfigurationError for any other, and for what is no certificate."""
    signature = import_module("edge.bundle.signature")  # needs the extra `sign`
    certificate, beside = read_certificate(path), signature_path(path)
    signed = beside.read_bytes() if beside.is_file() else None
    signature.verify_certificate(path.read_bytes(), signed, public_key, path)
    return certificate


def write_certificate(certificate: Certificate, path: Path, key: Path | None) -> str | None:
    """Whole or not at all, and signed by a private key, whose public one is returned."""
    text = f"{certificate.model_dump_json(indent=1)}\n".encode()
    public = None
    beside = signature_path(path)
    if key is not None:
        signature = import_module("edge.bundle.signature")  # needs the extra `sign`
        signed, public = signature.sign_certificate(text, key)
        write_whole(beside, signed)
    else:
        beside.unlink(missing_ok=True)  # of what lay here before
    write_whole(path, text)
    return public


def signature_path(path: Path) -> Path:
    """Where a certificate's signature lies: beside it."""
    return path.with_name(f"{path.name}.sig")
