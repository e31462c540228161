"""What may change of a recipe while its run goes on: how long it is, and where its data lies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reference.networks import complete
from reference.recipe import Recipe
from reference.trained import CheckpointError

# The length, with the decay at its end, what only watches, and what only a bundle is told.
_FREE = {"iterations", "epochs", "decay", "validation", "least_defective", "line"}


def check_unchanged(stored: Recipe, given: Recipe, path: Path) -> None:
    """Refuse to go on from a checkpoint under a recipe that would make another run of it."""
    before, now = dict(_settings(_fixed(stored))), dict(_settings(_fixed(given)))
    changes = [
        f"{place} is {now.get(place, 'absent')}, was {before.get(place, 'absent')}"
        for place in sorted(before.keys() | now.keys())
        if before.get(place) != now.get(place)
    ]
    if changes:
        raise CheckpointError(
            f"{path} was trained by another recipe ({'; '.join(changes)}): put back what was, or "
            "begin another run with the weights alone, by --start-from"
        )


def check_classes(stored: list[str], found: list[str], path: Path) -> None:
    """Refuse data whose classes would be taken for others."""
    if stored != found:
        raise CheckpointError(
            f"{path} names {', '.join(stored)}, and the data has {', '.join(found)}: go on with "
            "the data that it was trained on"
        )


def _fixed(recipe: Recipe) -> dict[str, Any]:
    """All that a step depends on, every default written out."""
    fixed = recipe.model_dump(mode="json", exclude=_FREE)
    fixed["network"] = complete(**recipe.network)
    for section in fixed["data"]:
        del section["path"]
    return fixed


def _settings(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each single setting by its place, as in `data[0].share`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _settings(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _settings(inner, f"{place}[{number}]")
    else:
        yield place, json.dumps(value)
