"""JSON text as a type of ours, or in one line what is wrong with it."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

_Type = TypeVar("_Type")


def parsed(name: str, text: bytes, kind: TypeAdapter[_Type]) -> _Type:
    """Raises ValueError, which names the text and the first key that is wrong in it."""
    try:
        return kind.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(": ".join([name, *map(str, first["loc"]), first["msg"]])) from error
