"""A recorded line: its frames, when they were taken and judged, where the rail was, its settings.

    DIR/line.yaml        the line file as written: secrets stay in the environment
    DIR/line.bundle      the network
    DIR/recording.json   format, digest of the bundle, version
    DIR/frames.jsonl     a line for each frame, written as it comes
    DIR/frames/*.png     the frames, without loss
    DIR/expected.json    what the loop makes of it

Times are nanoseconds from the first frame on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config import LineConfig, read_line
from edge.errors import ConfigurationError, FrameError
from edge.image_file import read_image
from edge.types import Frame, LostFrame, Stretch

FORMAT = 1


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One frame, without its image."""

    index: int
    start_um: int
    end_um: int
    captured_ns: int
    looked_ns: int  # when its age was asked for
    decided_ns: int
    at_ns: int  # of the encoder's reading
    position_um: int
    across_um: float | None  # None for a frame that was lost
    rows: int  # 0 for one that was lost
    colour: bool
    lost: str | None  # why


@dataclass(frozen=True)
class Recording:
    """A recording that can be replayed."""

    folder: Path
    config: LineConfig
    digest: str  # of the bundle
    frames: tuple[RecordedFrame, ...]

    @property
    def bundle(self) -> Path:
        return self.folder / "line.bundle"

    @property
    def expected(self) -> Path:
        return self.folder / "expected.json"

    def seen(self) -> Iterator[tuple[RecordedFrame, Frame | LostFrame]]:
        """Each frame as the camera gave it."""
        for each in self.frames:
            stretch = Stretch(each.start_um, each.end_um)
            if each.across_um is None:
                yield each, LostFrame(each.index, each.captured_ns, stretch, each.lost or "")
                continue
            image = read_image(picture_path(self.folder, each.index), colour=each.colour)
            yield each, Frame(each.index, image, each.captured_ns, stretch, each.across_um)


def read_recording(folder: Path) -> Recording:
    """A recording, with each of its frames whole."""
    try:
        facts: dict[str, Any] = json.loads((folder / "recording.json").read_text())
        rows = (folder / "frames.jsonl").read_text(encoding="utf-8").splitlines()
        frames = tuple(RecordedFrame(**json.loads(row)) for row in rows)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{folder} is no whole recording ({error}): give what `trackside record` wrote"
        ) from error
    if facts.get("format") != FORMAT:
        raise ConfigurationError(
            f"{folder} is of format {facts.get('format')}, and this trackside reads {FORMAT}: "
            "record it again"
        )
    if not frames:
        raise ConfigurationError(f"{folder} holds no frame: record it again")
    recording = Recording(folder, read_line(folder / "line.yaml"), facts["bundle"], frames)
    try:
        for _ in recording.seen():
            pass
    except FrameError as error:
        raise ConfigurationError(f"{folder} is no whole recording: {error}") from error
    return recording


def picture_path(folder: Path, index: int) -> Path:
    """Where a frame lies."""
    return folder / "frames" / f"{index:06d}.png"
