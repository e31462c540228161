"""Every message that Trackside ends or refuses with, from where it is raised, for the manual."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_HOUSES = ("edge", "firmware_bridge", "reference", "quantize", "benchmarks")
# Raised for a fault of the program's own, or caught and told in other words; but in the formats'
# rooms it is what a person reads.
_OWN_FAULTS = {"ValueError", "TypeError", "RuntimeError", "KeyError", "NotImplementedError"}
_FORMATS = ("edge/line_file", "reference/recipe")


def every_message() -> str:
    """A table for each room: what is said, and what to do."""
    told: dict[str, set[tuple[str, str]]] = {}
    for house in _HOUSES:
        for path in sorted((ROOT / house).rglob("*.py")):
            room = path.parent.relative_to(ROOT).as_posix()
            for message in _raised(path, told_as_it_is=room in _FORMATS):
                told.setdefault(room, set()).add(_parted(message))
    return "\n".join(line for room, rows in told.items() for line in _room(room, rows))


def _room(room: str, rows: set[tuple[str, str]]) -> Iterator[str]:
    yield f"\n## {room}\n\n| what is said | what to do |\n| --- | --- |"
    yield from (f"| {said} | {remedy} |" for said, remedy in sorted(rows))


def _raised(path: Path, *, told_as_it_is: bool) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
            continue
        is_own_fault = ast.unparse(node.exc.func) in _OWN_FAULTS
        text = text_of(node.exc.args[0])
        if (told_as_it_is or not is_own_fault) and text is not None and " " in text.strip(". "):
            yield text


def text_of(node: ast.expr) -> str | None:
    """A text as it is written; what is only known when it is said, as `...`."""
    match node:
        case ast.Constant(value=str(text)):
            return " ".join(text.split())
        case ast.JoinedStr(values=parts):
            whole = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "..." for part in parts
            )
            return " ".join(whole.split())
    return None


def _parted(message: str) -> tuple[str, str]:
    """What is wrong, and what to do about it: our messages put a colon between them."""
    said, _, remedy = message.rpartition(": ")
    if not said or remedy == "...":
        said, remedy = message, ""
    return _cell(said), _cell(remedy)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
