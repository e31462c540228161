"""Line files with other keys than their examples have."""

from __future__ import annotations

from typing import Any

CAMERA = "top"  # what the examples call their one camera


def changed(line: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """The line with other keys in its sections; one with a `type` is replaced. `camera` is its one
    camera's.
    """
    for name, changes in sections.items():
        inside, key = (line["cameras"], CAMERA) if name == "camera" else (line, name)
        merges = isinstance(changes, dict) and "type" not in changes
        inside[key] = {**inside.get(key, {}), **changes} if merges else changes
    return line
