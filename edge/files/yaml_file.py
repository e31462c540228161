"""A YAML file checked against a model, each mistake named with its line, its key and the remedy."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]  # ("rules", "reject_if", "any", 0)

# No line file that anybody wrote comes near these; an alias of aliases is billions of values.
_MOST_BYTES = 256 << 10
_MOST_VALUES = 10_000
_DEEPEST = 32
_LONGEST = 4096  # characters of one value, which may be a path
_SHOWN = 60  # characters of it in a message

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_QUOTED = re.compile(r"'(.+?)'")


def read_yaml(
    path: Path,
    model: type[Model],
    *,
    without: Collection[str] = (),
    lenient: bool = False,
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Model:
    """The file as a `model`, validated with its folder as context, or with another `folder`;
    `${NAME}` is the value of a variable of the `environment`. Raises `ConfigurationError` with one
    line for each mistake.

    The sections `without` are left out. Where it is `lenient`, a variable that is not set stays
    `${NAME}` and is a mistake only if the model will not have that.
    """
    document = _Document(lenient, environment)
    try:
        values = document.read(_compose(path), ())
        for name in without:
            values.pop(name, None)
    except RecursionError as error:
        raise ConfigurationError(f"{path}: nested too deep: write it flat") from error
    except _TooMuch as error:
        raise ConfigurationError(f"{path}:{error}") from error
    try:
        checked = model.model_validate(values, context={"folder": folder or path.parent})
    except ValidationError as error:
        schema = model.model_json_schema()
        for detail in error.errors(include_url=False):
            document.explain(detail, schema)
    else:
        if not document.mistakes:
            return checked
    raise ConfigurationError(
        "\n".join(f"{path}:{line}: {text}" for line, text in sorted(document.mistakes.values()))
    )


def _compose(path: Path) -> yaml.MappingNode:
    """The file's nodes, which know their lines."""
    try:
        root = yaml.compose(_read(path), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}: give the path of a file that can be read"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not text: save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigurationError(
            f"{path}{place}: not YAML, {error.problem}:"
            " check indentation, colons, quotes and brackets here and just above"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(
            f"{path}: not YAML, {' '.join(str(error).split())}: save it as plain UTF-8 text"
        ) from error
    if not isinstance(root, yaml.MappingNode):
        raise ConfigurationError(f"{path}:1: not keys and values: begin with `key: value`")
    return root


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(
            f"{path}: more than {_MOST_BYTES} bytes: give the path of a line file"
        )
    return data.decode("utf-8")


class _TooMuch(Exception):
    """Not to be read to its end."""


@dataclass
class _Document:
    """Where each value was written, how, and what is wrong with it."""

    lenient: bool
    environment: Mapping[str, str]
    lines: dict[Place, int] = field(default_factory=lambda: {(): 1})
    texts: dict[Place, str] = field(default_factory=dict)  # as typed, with `${NAME}` for a secret
    mistakes: dict[Place, tuple[int, str]] = field(default_factory=dict)
    unset: dict[Place, str] = field(default_factory=dict)  # mistakes, unless the reading is lenient
    values: int = 0  # how many were read so far

    def read(self, node: yaml.Node, place: Place) -> Any:
        """A node as dicts, lists and scalars."""
        self.values += 1
        if self.values > _MOST_VALUES:
            raise self._too_much(
                place,
                f"more than {_MOST_VALUES} values by here: write them out, without aliases",
            )
        if len(place) > _DEEPEST:
            raise self._too_much(place, "nested too deep: write it flat")
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return self._read_sequence(node, place)
        is_text = node.tag.endswith(":str")
        self.texts[place] = f"the text {_shown(node.value)!r}" if is_text else _shown(node.value)
        if len(node.value) > _LONGEST:
            self._blame(place, f"longer than {_LONGEST} characters: write less", _line(node))
            return None
        return self._read_scalar(node, place)

    def _read_mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            inner = (*place, name)
            if inner in self.lines:
                first = self.lines[inner]
                self._blame(inner, f"given twice, first on line {first}: keep one", _line(key))
            else:
                self.lines[inner] = _line(key)
                values[name] = self.read(value, inner)
        return values

    def _read_sequence(self, node: yaml.SequenceNode, place: Place) -> list[Any]:
        values = []
        for number, item in enumerate(node.value):
            inner = (*place, number)
            self.lines[inner] = _line(item)
            values.append(self.read(item, inner))
        return values

    def _read_scalar(self, node: yaml.Node, place: Place) -> Any:
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError):
            shown = _shown(node.value)
            self._blame(place, f"{shown} is no value that YAML knows: put it in quotes")
            return node.value
        if not isinstance(value, str):
            return value
        for name in _VARIABLE.findall(value):
            if name not in self.environment:
                self.unset[place] = f"the environment variable {name} is not set: export it first"
                if not self.lenient:
                    self._blame(place, self.unset[place])
        text = _VARIABLE.sub(lambda match: self.environment.get(match[1], match[0]), value)
        # A path with NUL in it cannot be opened, and control characters may steer a terminal.
        if (wrong := next(filter(_is_no_text, text), None)) is not None:
            self._blame(place, f"U+{ord(wrong):04X} is no character of a text: take it out")
        return text

    def _too_much(self, place: Place, text: str) -> _TooMuch:
        # Only the section is named: what an alias stands for was written in another place.
        return _TooMuch(f"{self.lines[place[:1]]}: {_key(place[:2])}: {text}")

    def explain(self, detail: ErrorDetails, schema: dict[str, Any]) -> None:
        """Turn the model's complaint into a mistake."""
        loc, written = detail["loc"], self._written(detail["loc"])
        part, above = _part(schema, loc), _part(schema, loc[:-1])
        match detail["type"], detail.get("ctx", {}):
            case "missing", _:
                text = f"missing: {part.get('description', 'add it')}"
                self._blame((*written, loc[-1]), text, self.lines[written])
            case "extra_forbidden", _:
                self._blame(written, f"unknown key: {_choose(written[-1], above['properties'])}")
            case "union_tag_invalid", {"tag": str(tag), "expected_tags": str(tags)}:
                # The tag is what `type:` says; a rule's condition is told by its only key.
                wrong = self._written((*written, "type", tag))
                self._blame(wrong, f"unknown: {_choose(tag, _QUOTED.findall(tags))}")
            case "union_tag_not_found", _:
                self._blame(
                    written, f"`type:` is missing: {_choose('', part['discriminator']['mapping'])}"
                )
            case (("model_type" | "model_attributes_type"), _):
                keys = part.get("properties", ["type"])
                self._blame(written, f"needs keys under it: {', '.join(keys)}")
            case "tuple_type", _:
                self._blame(written, "needs a list: one dash for each item")
            case "string_type", _:
                self._blame(written, f"should be text: put quotes around {self.texts.get(written)}")
            case "value_error", {"error": error}:
                self._blame(written, str(error))
            case "too_short", {"min_length": least}:
                # A list is also called too short when it is only its items that are wrong.
                if not any(wrong[: len(written)] == written for wrong in self.mistakes):
                    self._blame(written, f"needs {least} item{'s' if least > 1 else ''} or more")
            case _:
                said = detail["msg"].removeprefix("Input ")
                self._blame(written, f"{said} (it is {self.texts.get(written, 'not a value')})")

    def _written(self, loc: Place) -> Place:
        """The steps of `loc` that are in the file: the tag of a union, say, is not."""
        place: Place = ()
        for step in loc:
            if (*place, step) in self.lines:
                place = (*place, step)
        return place

    def _blame(self, place: Place, text: str, line: int | None = None) -> None:
        # Of several mistakes at one place the first is kept: it is nearest to what was typed.
        text = self.unset.get(place, text)
        self.mistakes.setdefault(place, (line or self.lines[place], f"{_key(place)}: {text}"))


def _is_no_text(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _shown(text: str) -> str:
    """Of what was typed, as much as says which it is."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _key(place: Place) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in place)
    return "".join(steps).removeprefix(".")


def _choose(word: object, options: Iterable[str]) -> str:
    near = get_close_matches(_shown(str(word)), options, n=1)
    nearest = f"did you mean {near[0]}? " if near else ""
    return f"{nearest}choose from {', '.join(options)}"


def _part(schema: dict[str, Any], loc: Place) -> dict[str, Any]:
    """The schema of what is at `loc`; what it says of itself there wins over its type's words."""
    part = schema
    for step in loc:
        types = part.get("discriminator", {}).get("mapping", {})
        if isinstance(step, int) and "items" in part:
            part = part["items"]
        elif step in part.get("properties", {}):
            part = part["properties"][step]
        elif isinstance(part.get("additionalProperties"), dict):  # under names of one's own
            part = part["additionalProperties"]
        elif step in types:
            part = {"$ref": types[step]}
        match [option for option in part.get("anyOf", ()) if option.get("type") != "null"]:
            case [only]:  # it may be left out
                part = only | part
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]] | part
    return part
