"""The lists of the manual that the program itself makes: every command, every key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import typer
from messages import every_message  # beside this file

from edge.cli.app import app, register_other_rooms
from edge.line_file import line_schema
from reference.recipe import Recipe

Schema = dict[str, Any]


def commands() -> str:
    """Every command with its arguments and options, from what `--help` prints."""
    register_other_rooms()
    whole = typer.main.get_command(app)
    context = whole.context_class(whole, info_name="trackside")
    return "\n".join(_command(whole, context, "trackside"))


def line_file_keys() -> str:
    """Every key of a line file, from `trackside config schema`."""
    return "\n".join(_sections(line_schema(), top="The file itself"))


def recipe_keys() -> str:
    """Every key of a recipe, from `trackside recipe schema`."""
    return "\n".join(_sections(Recipe.model_json_schema(), top="The recipe itself"))


MAKERS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "line_file_keys": line_file_keys,
    "messages": every_message,
    "recipe_keys": recipe_keys,
}


_OWN_NAMES = {
    "Genicam": "GenICam",
    "LiteRt": "LiteRT",
    "Mqtt": "MQTT",
    "OnnxRuntime": "ONNX Runtime",
    "OpenVino": "OpenVINO",
    "Rtsp": "RTSP",
    "Tls": "TLS",
    "V4l2": "V4L2",
}


def _command(command: Any, context: Any, name: str) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if not below:
        yield f"## {name}\n\n{command.help or ''}\n"
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"`{name} {usage}`\n"
        rows = [
            (param.param_type_name, *record)
            for param in command.get_params(context)
            if (record := param.get_help_record(context)) and record[0] != "--help"
        ]
        yield from _table(
            ("", "what it does"), [(f"`{_cell(what)}`", _cell(says)) for _, what, says in rows]
        )
    for word, one in below.items():
        inside = one.context_class(one, info_name=word, parent=context)
        yield from _command(one, inside, f"{name} {word}")


def _sections(schema: Schema, top: str) -> Iterator[str]:
    """A table for each section of a schema: the file's own, then each as it is first named."""
    yield from _section(schema, top)
    names = list(_named(schema["properties"], schema["$defs"], []))
    assert set(names) == set(schema["$defs"])
    for name in names:
        yield from _section(schema["$defs"][name], _words(name))


def _named(node: Any, sections: Schema, seen: list[str]) -> list[str]:
    """The sections that are named there, and in those that are named there."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key == "$ref" and (name := value.rsplit("/", 1)[1]) not in seen:
            seen.append(name)
            _named(sections[name], sections, seen)
        elif isinstance(value, dict | list) and key != "discriminator":
            _named(value, sections, seen)
    return seen


def _section(section: Schema, title: str) -> Iterator[str]:
    yield f"### {title}\n\n{section.get('description', '')}\n"
    must = section.get("required", ())
    rows = [
        (f"`{key}`", _kind(value), _default(key, value, must), _cell(value.get("description", "")))
        for key, value in section.get("properties", {}).items()
    ]
    yield from _table(("key", "value", "left out", "what"), rows)


def _kind(value: Schema) -> str:
    """What may stand there, with a link for each section."""
    if "$ref" in value:
        words = _words(value["$ref"].rsplit("/", 1)[1])
        return f"[{words}](#{words.lower().replace(' ', '-')})"
    for several in ("anyOf", "oneOf"):
        if several in value:
            return ", or ".join(dict.fromkeys(_kind(one) for one in value[several]))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    each = [_kind(one) for one in value.get("prefixItems", ())]
    for key, said in (("items", "a list of"), ("additionalProperties", "names, and")):
        if isinstance(inner := value.get(key), dict):
            each.append(f"{said}: {_kind(inner)}")
    if each:
        return f"a list: {'; '.join(each)}" if "prefixItems" in value else each[0]
    words = {
        "string": "text",
        "boolean": "true or false",
        "null": "nothing",
        "object": "keys of your own",
    }
    kind = str(value.get("type", "anything"))
    return words.get(kind, kind) + _bounds(value)


def _bounds(value: Schema) -> str:
    least = value.get("minimum", value.get("exclusiveMinimum"))
    most = value.get("maximum", value.get("exclusiveMaximum"))
    if least is None:
        return "" if most is None else f", at most {most:g}"
    if "exclusiveMinimum" in value:
        return f", above {least:g}" + ("" if most is None else f", to {most:g}")
    return f", {least:g}" + (" or more" if most is None else f" to {most:g}")


def _default(key: str, value: Schema, must: Any) -> str:
    if key in must:
        return "**must be there**"
    match value.get("default"):
        case None | [] | {}:
            return ""
        case dict():
            return "as its keys say"
        case default:
            return f"`{_cell(json.dumps(default))}`" if default != "" else ""


def _words(name: str) -> str:
    """`GpiodInputSettings` as a title."""
    name = name.removesuffix("Settings").removesuffix("Section")
    return _OWN_NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()


def _cell(text: object) -> str:
    """Text that stays within its cell of a table."""
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""
