"""Settings of a recipe changed from the command line: `--set crop=256`, `--set data.0.share=4`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError

from edge.errors import UsageError
from reference.recipe.recipe import Recipe


def changed(recipe: Recipe, changes: Iterable[str]) -> Recipe:
    """The recipe with each `key=value` set; dots lead into sections, numbers count from 0.

    A length set in one unit takes the place of one in the other.
    """
    document = recipe.model_dump(mode="json")
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: write KEY=VALUE, as in --set crop=256")
        try:
            _put(document, key.split("."), yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise UsageError(f"--set {change}: {text} is no YAML value") from error
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UsageError(f"--set {change}: the recipe has no {key}") from error
        other = {"iterations": "epochs", "epochs": "iterations"}.get(key)
        if other:
            document[other] = None
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"--set {' '.join(changes)}: {said}") from error


def _put(document: Any, keys: list[str], value: Any) -> None:
    *path, last = keys
    for key in path:
        document = document[int(key) if isinstance(document, list) else key]
    if isinstance(document, list):
        document[int(last)] = value
    else:
        document[last] = value  # one that is not there is refused with the rest
