"""The cameras of a line, each with all that its verdicts hang on, and whom they order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from edge.line_file.camera import CameraSettings, ScaledSettings, SyntheticSettings
from edge.line_file.reject import ActuatorSettings
from edge.line_file.rules import Rules

Cameras = Mapping[str, CameraSettings]


@dataclass(frozen=True)
class Lookout:
    """One camera of a line."""

    line: str
    name: str
    camera: CameraSettings
    rules: Rules  # its own, or the line's
    actuators: tuple[ActuatorSettings, ...]  # that it orders
    reached: tuple[ActuatorSettings, ...]  # and those of cameras that share its surface
    speed_mm_s: float  # of the line, at its fastest
    is_alone: bool  # the line has no other

    def room_mm(self, actuator: ActuatorSettings, seen_mm: float, latency_ms: float = 0) -> float:
        """As the actuator's own, from where this camera looks."""
        return actuator.room_mm(seen_mm, self.speed_mm_s, latency_ms) - self.camera.along_mm


def orders(camera: CameraSettings, actuator: str) -> bool:
    """Whether its verdicts order that actuator, and it lets nothing by without them."""
    return camera.rejects is None or actuator in camera.rejects


class _Mistake(NamedTuple):
    """Of one key of one camera."""

    camera: str
    key: str
    text: str


def check_cameras(cameras: Cameras, actuators: Sequence[str]) -> None:
    """Each actuator is ordered by a camera that looks at rail of its own, and none is made up."""
    mistakes = [*_strangers(cameras, actuators), *_places(cameras)]
    first = next(iter(cameras), "")
    for actuator in actuators:
        if not any(orders(camera, actuator) for camera in cameras.values()):
            mistakes.append(
                _Mistake(
                    first,
                    "rejects",
                    f"no camera orders the actuator {actuator}: name it in the `rejects:` of those "
                    "that watch rail for it, or take it out",
                )
            )
    if mistakes:
        raise ValidationError.from_exception_data(
            "cameras",
            [
                InitErrorDetails(
                    type=PydanticCustomError("value_error", "{error}", {"error": each.text}),
                    loc=(each.camera, each.key),
                    input=each.camera,
                )
                for each in mistakes
            ],
        )


def _strangers(cameras: Cameras, actuators: Sequence[str]) -> Iterator[_Mistake]:
    known = ", ".join(actuators)
    for name, camera in cameras.items():
        for actuator in camera.rejects or ():
            if actuator not in actuators:
                text = f"no actuator is called {actuator}: give the name of one ({known})"
                yield _Mistake(name, "rejects", text)


def _places(cameras: Cameras) -> Iterator[_Mistake]:
    """Of cameras that share a surface: one beside the other, and no strip between them unseen."""
    placed = {name: each for name, each in cameras.items() if each.across_mm is not None}
    for (one, first), (two, second) in combinations(placed.items(), 2):
        if first.across_mm == second.across_mm:
            text = f"{one} begins there as well: say where each lies across the surface"
            yield _Mistake(two, "across_mm", text)
    across = sorted(placed.items(), key=lambda item: item[1].across_mm or 0)
    for (one, first), (two, second) in pairwise(across):
        width_mm, start_mm = width_of(first), first.across_mm
        if width_mm is None or start_mm is None or second.across_mm is None:
            continue
        gap_mm = second.across_mm - (start_mm + width_mm)
        if gap_mm > 0:
            text = (
                f"nobody sees the {gap_mm:g} mm between {one}, which ends at "
                f"{start_mm + width_mm:g}, and {two}: move them together, or leave across_mm out "
                "if they look at surfaces of their own"
            )
            yield _Mistake(two, "across_mm", text)


def width_of(camera: CameraSettings) -> float | None:
    """Millimetres of surface that a frame shows across; None where only a picture tells."""
    if isinstance(camera, SyntheticSettings):
        return camera.width_px * camera.um_per_px / 1000
    if not isinstance(camera, ScaledSettings) or camera.across_um is None:
        return None
    turned = getattr(camera, "turn_deg", 0) in {90, 270}
    columns: int | None = getattr(camera, "height_px" if turned else "width_px", None)
    return None if columns is None else columns * camera.across_um / 1000
