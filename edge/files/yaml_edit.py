"""Change one value of a YAML text and leave all else as it was written: comments, order, quotes."""

from __future__ import annotations

import yaml

from edge.files.yaml_file import Place


def with_value(text: str, place: Place, value: float) -> str:
    """The text with a number at `place`; a key that is missing becomes the first of its mapping.

    LookupError where there is nothing to put it into.
    """
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, step in enumerate(place):
        inner = _inner(node, step)
        if inner is None and depth == len(place) - 1 and isinstance(node, yaml.MappingNode):
            return _inserted(text, node, f"{step}: {value:g}")
        node = inner
    if not isinstance(node, yaml.ScalarNode):
        raise LookupError(f"no single value is at {place}")
    return text[: node.start_mark.index] + f"{value:g}" + text[node.end_mark.index :]


def _inner(node: yaml.Node | None, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None


def _inserted(text: str, node: yaml.MappingNode, entry: str) -> str:
    if node.flow_style:
        at = node.start_mark.index + 1
        return f"{text[:at]}{entry}{', ' if node.value else ''}{text[at:]}"
    # A block mapping begins at its first key, whose column all of them share.
    at, column = node.start_mark.index, node.start_mark.column
    return f"{text[:at]}{entry}\n{' ' * column}{text[at:]}"
