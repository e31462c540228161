"""A line as its file describes it, with nothing wired: what is measured needs no plant."""

from __future__ import annotations

from itertools import islice

from edge.assembly import live_settings, open_camera
from edge.cameras import Memory
from edge.commissioning.sums import period_ms_of
from edge.errors import CameraError
from edge.line_file import ActuatorSettings, LineSettings, Lookout
from edge.line_file.encoder import SimulatedEncoderSettings
from edge.line_file.wires import MemorySettings
from edge.types import Frame

_PICTURES = 8  # shown in turn, so that no branch of the verdict learns a frame by heart
_TRIES = 4 * _PICTURES  # a camera that starts may lose some

_PIN = MemorySettings(type="memory")
_NOTHING_TOLD = dict.fromkeys(("metrics", "mqtt", "store", "web", "certificate"))


def unwired(config: LineSettings, speed_mm_s: float) -> LineSettings:
    """It judges and orders as on the line: its rail moves by the clock, its pins are in memory, and
    nothing is kept or told.
    """
    reject = config.reject
    first = _unwired(reject).model_copy(
        update={
            "also": tuple(map(_unwired, reject.also)),
            "stop_line": None,
            "on_unknown": "reject",  # or the first frame that is would end it
            "on_missed": "report",
            "on_uninspected": "report",
            "ledger": None,
            "isolation": "thread",
            "priority": 0,
        }
    )
    encoder = SimulatedEncoderSettings(type="simulated", speed_mm_s=speed_mm_s)
    beats = tuple(each.model_copy(update={"output": _PIN}) for each in config.heartbeat.also)
    heartbeat = config.heartbeat.model_copy(update={"output": _PIN, "also": beats})
    changes = {"reject": first, "encoder": encoder, "heartbeat": heartbeat, "inputs": ()}
    return config.model_copy(update=_NOTHING_TOLD | changes)


def _unwired(actuator: ActuatorSettings) -> ActuatorSettings:
    return actuator.model_copy(update={"output": _PIN, "confirm": None})


def remember(lookout: Lookout, *, paced: bool) -> Memory:
    """The first pictures of a camera, and how often it takes one; CameraError where it has none."""
    frames = _first_frames(lookout)
    period_s = period_ms_of(lookout, frames[0]) / 1000
    step_um = round(period_s * lookout.speed_mm_s * 1000)
    fps: float | None = getattr(live_settings(lookout.camera), "fps", None)
    pace_s = 1 / fps if fps else period_s
    return Memory([each.image for each in frames], step_um, pace_s if paced else None)


def _first_frames(lookout: Lookout) -> list[Frame]:
    camera = open_camera(lookout.camera)
    try:
        shown = islice(camera.frames(), _TRIES)
        frames = list(islice((seen for seen in shown if isinstance(seen, Frame)), _PICTURES))
    finally:
        camera.close()
    if not frames:
        raise CameraError(
            f"the camera {lookout.name} gave no good frame in {_TRIES}: look at its source and its "
            "cable"
        )
    return frames
