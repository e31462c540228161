"""A row for each frame that was inspected again, and the digest of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Row:
    """One frame: what was decided of it, and what the candidate decides."""

    archive: str
    kind: str
    run: int
    camera: str
    frame: int
    event: int | None  # its number in a store
    utc: str | None
    start_um: int
    end_um: int
    inspected_um: int  # of rail that no frame before it in its run showed
    old_state: str | None  # None where nobody says
    new_state: str | None  # None where the archive could not be read
    old_reasons: list[str]
    new_reasons: list[str]
    old_bundle: str | None
    newly_rejected: list[str]  # of what: rail that begins here and only the candidate rejects
    no_longer_rejected: list[str]
    people: str | None  # what they call it
    has_defect: bool | None  # by their word
    fault: str | None  # of the archive
    picture: bytes | None  # JPEG: as it was on the left, by the candidate on the right

    @property
    def day(self) -> str:
        return "not known" if self.utc is None else self.utc[:10]


NAMES = tuple(each.name for each in fields(Row))


class Digest:
    """Of rows in their order: what they say and show, and nothing of when they were made."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            values = {name: getattr(row, name) for name in NAMES}
            if row.picture is not None:
                values["picture"] = sha256(row.picture).hexdigest()
            self._hash.update(json.dumps(values, sort_keys=True).encode() + b"\n")

    def hex(self) -> str:
        return self._hash.hexdigest()
