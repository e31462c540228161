"""What the comments of a model's source say of its fields, for keys that have no description."""

from __future__ import annotations

import ast
import inspect
import re
from types import ModuleType

_BESIDE = re.compile(r"\s#\s(.*)$")
_ABOVE = re.compile(r"^\s*#\s?(.*)$")


def remarks_of(module: ModuleType) -> dict[tuple[str, str], str]:
    """By class and field: the comment beside a field, else the lines of comment above it."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    return {
        (node.name, field.target.id): said
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if (said := _remark(lines, field))
    }


def _remark(lines: list[str], field: ast.AnnAssign) -> str:
    if beside := _BESIDE.search(lines[(field.end_lineno or field.lineno) - 1]):
        return _sentence(beside[1])
    above: list[str] = []
    for line in reversed(lines[: field.lineno - 1]):
        if (remark := _ABOVE.match(line)) is None:
            break
        above.insert(0, remark[1])
    return _sentence(" ".join(above))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")
