"""A recorded line: its frames, when they were taken and judged, where the rail was, its settings.

    DIR/line.yaml        the line file as written: secrets stay in the environment of the line
    DIR/line.bundle      the network
    DIR/CAMERA.baseline.json  what a camera's frames were held against, if anything
    DIR/recording.json   format, digest of the bundle, version
    DIR/frames.jsonl     a line for each frame, written as it is judged
    DIR/frames/CAMERA/*.png   the frames, without loss
    DIR/expected.json    what the loop makes of it

Times are nanoseconds from the first frame on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from edge.errors import ConfigurationError
from edge.files import parsed, read_yaml
from edge.files.image_file import read_image
from edge.line_file import LineSettings
from edge.types import Frame, LostFrame, Stretch

FORMAT = 2

# A replay keeps nothing and tells nobody; the files of these sections are on the line's own box.
_NO_PART = ("metrics", "mqtt", "places", "reports", "store", "swap", "web")

Pitch = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What of recording.json a replay goes by."""

    format: int
    bundle: str  # its digest
    begun: str | None = None  # ISO 8601, UTC; None: recorded by a Trackside that did not say


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One frame, without its image."""

    camera: str
    index: int
    start_um: int
    end_um: int
    captured_ns: int
    looked_ns: int  # when the inspector asked how old it was
    decided_ns: int
    at_ns: int  # of the encoder's reading
    position_um: int
    across_um: Pitch | None  # None for a frame that was lost
    rows: Annotated[int, Field(ge=0)]  # 0 for one that was lost
    colour: bool
    lost: str | None  # why


_FACTS, _FRAME = TypeAdapter(_Facts), TypeAdapter(RecordedFrame)


@dataclass(frozen=True)
class Recording:
    """A recording that can be replayed."""

    folder: Path
    config: LineSettings
    digest: str  # of the bundle
    begun: str | None  # when; None where the recording does not say
    frames: tuple[RecordedFrame, ...]

    @property
    def bundle(self) -> Path:
        return self.folder / "line.bundle"

    def baseline(self, camera: str) -> Path | None:
        path = baseline_path(self.folder, camera)
        return path if path.exists() else None

    @property
    def expected(self) -> Path:
        return self.folder / "expected.json"

    def camera_frames(self) -> Iterator[tuple[RecordedFrame, Frame | LostFrame]]:
        """Each frame as its camera gave it, in the order in which they were judged."""
        for each in self.frames:
            stretch = Stretch(each.start_um, each.end_um)
            if each.across_um is None:
                yield each, LostFrame(each.index, each.captured_ns, stretch, each.lost or "")
                continue
            image = read_image(
                picture_path(self.folder, each.camera, each.index), colour=each.colour
            )
            yield each, Frame(each.index, image, each.captured_ns, stretch, each.across_um)


def read_recording(folder: Path) -> Recording:
    """A recording, with each of its frames whole; ConfigurationError for anything less."""
    recording = open_recording(folder)
    with _said_of(folder):
        for _ in recording.camera_frames():
            pass
    return recording


def open_recording(folder: Path) -> Recording:
    """A recording, whose pictures nobody has looked at yet; else as `read_recording`."""
    with _said_of(folder):
        facts = parsed("recording.json", (folder / "recording.json").read_bytes(), _FACTS)
        if facts.format != FORMAT:
            raise ConfigurationError(
                f"{folder} is of format {facts.format}, and this trackside reads {FORMAT}: "
                "record it again"
            )
        frames = _read_frames(folder / "frames.jsonl")
        config = read_yaml(folder / "line.yaml", LineSettings, without=_NO_PART, lenient=True)
        if strangers := {each.camera for each in frames} - set(config.cameras):
            raise ValueError(f"its line file names no camera {min(strangers)}")
        return Recording(folder, config, facts.bundle, facts.begun, frames)


@contextmanager
def _said_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except ConfigurationError:  # it says what to do already
        raise
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{folder} is no whole recording ({error}): give what `trackside record` wrote"
        ) from error


def _read_frames(path: Path) -> tuple[RecordedFrame, ...]:
    rows = path.read_bytes().splitlines()
    if not rows:
        raise ConfigurationError(f"{path.parent} holds no frame: record it again")
    return tuple(
        parsed(f"{path.name}:{line}", row, _FRAME) for line, row in enumerate(rows, start=1)
    )


def baseline_path(folder: Path, camera: str) -> Path:
    """Where that of a camera lies that had one."""
    return folder / f"{camera}.baseline.json"


def picture_path(folder: Path, camera: str, index: int) -> Path:
    """Where a frame lies."""
    return folder / picture_name(camera, index)


def picture_name(camera: str, index: int) -> str:
    """Of a frame, within its recording."""
    return f"frames/{camera}/{index:06d}.png"
