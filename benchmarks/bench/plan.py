"""From options to rows: which networks run on which engines, at which sizes and thread counts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from yaml import safe_load

from benchmarks.bench.sources import BundleSource, Source, at_size
from edge.bundle import Bundle
from edge.errors import EngineUnavailable, TracksideError, UsageError
from edge.line_file import EngineSettings

Choice = dict[str, Any]  # an engine's type, and keys of its settings as in a line file


@dataclass(frozen=True, eq=False)
class Entry:
    """A row to be."""

    bundle: str | None
    network: str
    engine: str
    precision: str
    graph: str
    threads: int
    source: Source
    may_fail_with: tuple[type[TracksideError], ...]  # is left out then; any other ends the run
    resized: bool = False  # the bundle's files are of another size
    for_scale: bool = False  # so much slower that it gets its seconds, however few runs they hold

    @property
    def size(self) -> tuple[int, int]:
        spec = self.source.manifest.input
        return spec.height, spec.width

    def why_not(self, error: TracksideError) -> str:
        """The reason that it is left out."""
        if not self.resized:
            return in_short(error)
        return (
            f"the bundle's file does not run at this size ({in_short(error, 120)}): pack a bundle "
            "of this size, or add --peers, which converts the network for it"
        )

    def __str__(self) -> str:
        of = self.bundle or self.network
        height, width = self.size
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{of}, {self.engine} {self.precision}, {self.graph} graph, {width}x{height}, {threads}"
        )


def in_short(error: Exception, most: int = 240) -> str:
    """Vendors and their converters explain themselves at length."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[:most]}..."


def parse_numbers(option: str, text: str) -> list[int]:
    """`1,2` as its numbers, none of them twice."""
    try:
        numbers = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UsageError(f"{option} {text}: give whole numbers above 0, such as {option} 1,2")
    return numbers


def parse_engines(text: str) -> list[Choice] | None:
    """`NAME` or `NAME:KEY=VALUE`, with commas between them; None for `all`."""
    if text == "all":
        return None
    choices: list[Choice] = []
    for part in text.split(","):
        name, *pairs = part.split(":")
        choice = {"type": name} | dict(_pair(part, pair) for pair in pairs)
        settings_of(choice)
        choices.append(choice)
    return choices


def _pair(part: str, pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    if not equals or key in {"type", "threads", "bands"}:
        raise UsageError(
            f"--engine {part}: after the name come keys of the engine's settings in a line file, "
            "such as openvino:device=GPU; threads have an option of their own"
        )
    return key, safe_load(value)  # a number is one, as in a line file


def settings_of(choice: Choice, **more: Any) -> EngineSettings:
    """Checked as a line file's `engine` is."""
    try:
        settings: EngineSettings = TypeAdapter(EngineSettings).validate_python(choice | more)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"--engine {choice['type']}: {first['msg']}") from error
    return settings


def bundle_entries(
    bundle: Bundle, choices: Sequence[Choice] | None, *, threads: int, size: int | None
) -> Iterator[Entry]:
    """A row for each of the bundle's artefacts whose engine is wanted."""
    manifest = bundle.manifest
    own = manifest.input.height, manifest.input.width
    wanted = (size, size) if size else own
    may_fail_with: tuple[type[TracksideError], ...] = () if choices else (EngineUnavailable,)
    if wanted != own:  # which many engines cannot do
        bundle = at_size(bundle, *wanted)
        may_fail_with = (TracksideError,)
    for choice in choices or _all_engines(bundle):
        # Raises for an engine that the bundle has nothing for.
        first = bundle.artefact(settings_of(choice).type, settings_of(choice).precision)
        precisions = [a.precision for a in manifest.artefacts if a.engine == first.engine]
        if "precision" in choice:
            precisions = [first.precision]
        for precision in dict.fromkeys(precisions):
            settings = settings_of(choice, precision=precision, **_sharing(choice, threads))
            yield Entry(
                bundle=manifest.name,
                network=manifest.network,
                engine=_label(choice),
                precision=precision,
                graph="deploy",
                threads=threads,
                source=BundleSource(bundle, settings, has_golden=wanted == own),
                may_fail_with=may_fail_with,
                resized=wanted != own,
            )


def _sharing(choice: Choice, threads: int) -> dict[str, int]:
    """The setting by which so many threads share one inference."""
    return {"bands" if choice["type"] == "native" else "threads": threads}


def _all_engines(bundle: Bundle) -> list[Choice]:
    return [{"type": name} for name in dict.fromkeys(a.engine for a in bundle.manifest.artefacts)]


def _label(choice: Choice) -> str:
    settings = [str(value) for key, value in choice.items() if key not in {"type", "precision"}]
    return " ".join([choice["type"], *settings])


def streams(mode: str, threads: int) -> int:
    """Throughput fills the machine."""
    return max(1, len(os.sched_getaffinity(0)) // threads) if mode == "throughput" else 1
