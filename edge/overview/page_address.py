"""Which lines a box has, by their files, and where each one's live page is to be asked.

Of a file nothing but its `name:` and its `web:` is read: a line whose file has another mistake does
not start, and so does not answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from edge.errors import ConfigurationError
from edge.files import read_yaml
from edge.line_file import WebSettings

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@dataclass(frozen=True)
class PageAddress:
    """Where a line's live page is, from this box."""

    host: str
    port: int
    token: str | None = field(repr=False)
    certificate: Path | None
    on_this_box_alone: bool

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"


@dataclass(frozen=True)
class KnownLine:
    """A line that has a file; `trouble` says why its page cannot be asked."""

    unit: str  # as in trackside@UNIT
    name: str | None = None
    page: PageAddress | None = None
    trouble: str | None = None


class _Written(BaseModel):
    """What is read of a line file, as it stands there."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str
    web: dict[str, Any] | None = None


class _Told(_Written):
    """And checked."""

    web: WebSettings | None = None  # type: ignore[assignment]


def known_lines(folder: Path) -> Iterator[KnownLine]:
    """Those whose files lie in a folder, by name; ConfigurationError where it cannot be read."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: {error.strerror}: name the folder of the line files, and let the "
            "overview's user read it"
        ) from error
    return (_known(path, _changed(path), _changed(_beside(path))) for path in paths)


@lru_cache(maxsize=256)
def _known(path: Path, *_: int) -> KnownLine:
    """Read again once it, or its secrets, have changed."""
    unit, environment = path.stem, {**os.environ, **_secrets(_beside(path))}
    try:
        written = read_yaml(path, _Written, lenient=True, environment=environment)
        token = (written.web or {}).get("token")
        if isinstance(token, str) and "${" in token:
            trouble = (
                f"its token is not known here: {token} is to be set in {unit}.env beside its file, "
                "which the overview's user must be able to read"
            )
            return KnownLine(unit, written.name, trouble=trouble)
        web = read_yaml(path, _Told, lenient=True, environment=environment).web
    except ConfigurationError as error:
        return KnownLine(unit, trouble=str(error))
    if web is None:
        return KnownLine(unit, written.name, trouble="its line file has no `web:`: give it one")
    if web.port == 0:
        trouble = "its page is at any free port: give `web.port` a number"
        return KnownLine(unit, written.name, trouble=trouble)
    host = _ANYWHERE.get(web.host, web.host)
    page = PageAddress(host, web.port, web.word, web.certificate, web.on_this_box_alone)
    return KnownLine(unit, written.name, page)


def _beside(path: Path) -> Path:
    """Where the line's secrets are, if it has some."""
    return path.with_suffix(".env")


def _changed(path: Path) -> int:
    """When, by the clock of the disk; who may read it counts, too."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


def _secrets(path: Path) -> Mapping[str, str]:
    """What systemd gives the line as its environment; nothing where it cannot be read: then what it
    would say is said to be missing.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = {}
    for line in map(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if equals and line[0] not in "#;":
            found[name.strip()] = value.strip().strip("\"'")
    return found
