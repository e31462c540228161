"""Label Studio's form of events: tasks with masks in its run lengths, out and back to the bit.

Its run lengths are a stream of bits: how many values there are, how wide a value is, four widths of
run lengths; then runs, each a repeated value or single ones. The values are those of a picture in
four channels, pixel by pixel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from edge.store.annotations import Labelled, Piece, labels_in

Bits = NDArray[np.uint8]

_WIDTHS = (3, 4, 8, 16)  # of a run length, as Label Studio itself writes them
_VALUE_BITS, _CHANNELS = 8, 4
_LONGEST = 1 << _WIDTHS[-1]
FROM, TO = "tag", "image"


def write_label_studio(labelled: list[Labelled], out: Path) -> None:
    """`tasks.json`, with what the network saw as predictions, and `config.xml` for the project.

    Pictures are named as Label Studio serves them from a folder, which is its document root and
    whose `images/` are a local storage of the project.
    """
    tasks = [_task(each) for each in labelled]
    (out / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    brushes = "".join(_label(*each) for each in labels_in(labelled).items())
    (out / "config.xml").write_text(
        f'<View>\n  <Image name="{TO}" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="{FROM}" toName="{TO}">\n{brushes}  </BrushLabels>\n'
        f'  <RectangleLabels name="box" toName="{TO}">\n{brushes}  </RectangleLabels>\n</View>\n',
        encoding="utf-8",
    )


def _label(name: str, code: str | None) -> str:
    hint = "" if code is None else f" hint={quoteattr(code)}"
    return f"    <Label value={quoteattr(name)}{hint}/>\n"


def _task(each: Labelled) -> dict[str, Any]:
    data = {
        "image": f"/data/local-files/?d=images/{each.file_name}",
        "event": each.event.id,
        "utc": each.event.utc,
        "camera": each.event.camera,
    }
    results = [_result(number, each, piece) for number, piece in enumerate(each.pieces, start=1)]
    prediction = {"model_version": each.event.bundle[:12], "result": results}
    return {"data": data, "predictions": [prediction]}


def _result(number: int, each: Labelled, piece: Piece) -> dict[str, Any]:
    return {
        "id": f"{each.event.id}-{number}",
        "type": "brushlabels",
        "from_name": FROM,
        "to_name": TO,
        "original_width": each.width,
        "original_height": each.height,
        "value": {
            "format": "rle",
            "rle": encode(piece.mask),
            "brushlabels": [piece.label],
        },
    }


def encode(mask: NDArray[np.bool_]) -> list[int]:
    """H,W as bytes of Label Studio's run lengths."""
    values = np.repeat(mask.ravel(), _CHANNELS)
    ends = np.append(np.flatnonzero(np.diff(values)) + 1, values.size)
    begins = np.append(0, ends[:-1])
    parts = [f"{values.size:032b}{_VALUE_BITS - 1:05b}"]
    parts += [f"{width - 1:04b}" for width in _WIDTHS]
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        parts += _run(end - begin, 255 if values[begin] else 0)
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    packed = np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0"))
    return [int(byte) for byte in packed]


def _run(length: int, value: int) -> list[str]:
    parts = []
    while length:
        part = min(length, _LONGEST)
        which = next(i for i, width in enumerate(_WIDTHS) if part <= 1 << width)
        parts.append(f"1{which:02b}{part - 1:0{_WIDTHS[which]}b}{value:0{_VALUE_BITS}b}")
        length -= part
    return parts


def decode(rle: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """H,W; ValueError where it is not of such a picture."""
    bits = _Bits(np.unpackbits(np.array(rle, np.uint8)))
    count = bits.take(32)
    if count != height * width * _CHANNELS:
        raise ValueError(
            f"it has {count / _CHANNELS:g} pixels, and its picture {height} x {width}: it is of "
            "another size"
        )
    value_bits = bits.take(5) + 1
    widths = [bits.take(4) + 1 for _ in _WIDTHS]
    values, at = np.zeros(count, np.int64), 0
    while at < count:
        repeats = bits.take(1)
        end = at + bits.take(widths[bits.take(2)]) + 1
        if end > count:
            raise ValueError("its runs are longer than its picture")
        if repeats:
            values[at:end] = bits.take(value_bits)
        else:
            values[at:end] = [bits.take(value_bits) for _ in range(end - at)]
        at = end
    return np.asarray(values.reshape(height, width, _CHANNELS)[..., -1] > 127)


class _Bits:
    """A stream of bits, the first first."""

    def __init__(self, bits: Bits) -> None:
        self._text = "".join(map(str, bits.tolist()))
        self._at = 0

    def take(self, count: int) -> int:
        """The next number; ValueError where there are no more."""
        part = self._text[self._at : self._at + count]
        if len(part) < count:
            raise ValueError("it ends in the middle")
        self._at += count
        return int(part, 2)
