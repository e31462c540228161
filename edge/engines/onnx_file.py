"""Whether an ONNX file refers to other files, by the few of its fields in which it can.

ONNX Runtime takes external data from the working directory, whatever lies there, where the bundle's
hashes and signature say nothing of it. The box has no `onnx` to ask; the format is protobuf's.
"""

from __future__ import annotations

from collections.abc import Iterator

# For each kind of message: the numbers of the fields that hold messages, and their kinds. No other
# field can lead to a tensor.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # the fields of a tensor that lies in another file
_DEEPEST = 64  # levels of messages inside messages
_FIXED = {1: 8, 5: 4}  # bytes by protobuf's wire type; of the others 0 is a varint, 2 says its size


def refers_elsewhere(model: bytes) -> bool:
    """Whether a tensor of the model lies in another file. Raises ValueError if it is no ONNX."""
    return _looks_out(memoryview(model), "model", 0)


def _looks_out(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep for an ONNX file")
    for field, value in _fields(message):
        if kind == "tensor":
            if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value):
                return True
        elif (
            field in _INSIDE[kind]
            and isinstance(value, memoryview)
            and _looks_out(value, _INSIDE[kind][field], depth + 1)
        ):
            return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number, with its value where that may be one we look for."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire, size, value = key & 7, 0, 0
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 2:
            size, at = _varint(message, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError("it is no ONNX file")
        if at + size > len(message):
            raise ValueError("the ONNX file is cut short")
        yield key >> 3, message[at : at + size] if wire == 2 else value
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(message):
            break
        byte = message[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError("the ONNX file is cut short")
