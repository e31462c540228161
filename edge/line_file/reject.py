"""What a line file says of the encoder, the reject, the heartbeat and the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import (
    Field,
    model_validator,
)

from edge.line_file.encoder import EncoderSettings
from edge.line_file.section import Length, LengthOrNone, LinePath, Section, Time, TimeOrNone
from edge.line_file.wires import (
    ActuatorWire,
    InputWire,
    OutputWire,
)

_MANNERS = {"active_low", "drive", "pull", "timeout_ms"}  # of a wire, which they do not change

Effect = Literal["report", "reject_all", "stop_line"]


class Confirm(Section):
    """A sensor that sees the actuator act: each pulse must make it active within a time."""

    input: InputWire = Field(description="The sensor.")
    within_ms: Time = Field(description="From the edge of the pulse until it must see it.")
    settle_ms: TimeOrNone = Field(
        default=2, description="Its level counts when it has stood for so long."
    )
    otherwise: Effect = Field(
        default="stop_line", description="What a pulse that it does not see brings about."
    )


class ActuatorSettings(Section):
    """One actuator: where it sits, how it moves, and the output that drives it."""

    name: str = Field(default="reject", min_length=1, description="Its name in reports.")
    output: ActuatorWire = Field(description="What drives it; active means reject.")
    safe: Literal["reject", "pass"] = Field(
        default="reject", description="What it does while nobody drives it."
    )
    offset_mm: LengthOrNone = Field(
        description="Along the rail, from the last row of a frame, as it is taken, to the actuator."
    )
    delay_ms: TimeOrNone = Field(description="From the edge of the pulse until the actuator acts.")
    margin_mm: LengthOrNone = Field(default=5, description="Rejected before and after each defect.")
    min_pulse_ms: Time = Field(default=20, description="Shortest pulse that the actuator follows.")
    min_gap_mm: LengthOrNone = Field(
        default=0, description="Rejected stretches nearer to each other than this become one."
    )
    confirm: Confirm | None = Field(
        default=None, description="The sensor that sees it act; may be left out."
    )

    def room_mm(self, seen_mm: float, speed_mm_s: float, latency_ms: float = 0) -> float:
        """How far before the actuator the first row of `seen_mm` of rail still is when its order
        comes so long after its last row was seen: below 0 it has gone by.
        """
        on_the_way_mm = (latency_ms + self.delay_ms) * speed_mm_s / 1000
        return self.offset_mm - seen_mm - self.margin_mm - on_the_way_mm


class RejectSettings(ActuatorSettings):
    """What takes a defective stretch out of the line, and what happens when it cannot."""

    also: tuple[ActuatorSettings, ...] = Field(
        default=(), strict=False, description="Further actuators that act on each reject too."
    )
    tolerance_mm: Length = Field(
        default=5, description="A reject further than this from its place has missed."
    )
    on_unknown: Literal["reject", "stop"] = Field(
        default="reject", description="What an UNKNOWN frame does: rejects its stretch, or stops."
    )
    on_missed: Effect = Field(
        default="report",
        description="What rail that went by though it was to be rejected brings about, until it is "
        "acknowledged.",
    )
    on_uninspected: Effect = Field(
        default="report",
        description="What rail that nobody looked at brings about, until it is acknowledged; it is "
        "rejected in any case. Each start begins with such rail.",
    )
    stop_line: OutputWire | None = Field(
        default=None, description="The output that stops the line: active while it has to."
    )
    ledger: LinePath | None = Field(
        default=None,
        description="The SQLite file that keeps every order, pulse, miss and change of state.",
    )
    isolation: Literal["thread", "process"] = Field(
        default="thread",
        description="Where outputs are driven: in this process, or in one of their own.",
    )
    priority: int = Field(
        default=0, ge=0, le=99, description="Real-time priority of what drives them; 0: none."
    )
    silence_ms: Time = Field(
        default=500,
        description="What drives them, be it a thread, a process or a board, and what inspects "
        "give each other up when nothing was heard for so long.",
    )

    @property
    def actuators(self) -> tuple[ActuatorSettings, ...]:
        """The one that the section describes, and those it names besides."""
        return (self, *self.also)

    @property
    def outputs(self) -> list[ActuatorWire]:
        """All that the section drives."""
        stop_line = [] if self.stop_line is None else [self.stop_line]
        return [actuator.output for actuator in self.actuators] + stop_line

    @model_validator(mode="after")
    def _names_differ(self) -> RejectSettings:
        check_names("actuator", [actuator.name for actuator in self.actuators])
        return self

    @model_validator(mode="after")
    def _wires_differ(self) -> RejectSettings:
        check_wires(self.outputs)
        return self

    @model_validator(mode="after")
    def _can_stop_the_line(self) -> RejectSettings:
        effects = [a.confirm.otherwise for a in self.actuators if a.confirm is not None]
        check_stop([self.on_missed, self.on_uninspected, *effects], self)
        return self


class OneHeartbeat(Section):
    """What tells the line that inspection is alive: one edge for each frame; of several cameras one
    once each of them has had a frame.
    """

    output: OutputWire = Field(description="The output that toggles.")
    timeout_ms: Time = Field(default=500, description="Silence for longer than this means reject.")
    cameras: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        strict=False,
        description="Names of the cameras that it stands for: those of the rail that its silence "
        "rejects; all if left out.",
    )


class HeartbeatSettings(OneHeartbeat):
    """The heartbeat, and those that it is beside: one for each rail, say."""

    also: tuple[OneHeartbeat, ...] = Field(
        default=(), strict=False, description="Further heartbeats, each on an output of its own."
    )

    @property
    def signs(self) -> tuple[OneHeartbeat, ...]:
        """Of life: the one that the section describes, and those it names besides."""
        return (self, *self.also)

    @property
    def longest_ms(self) -> float:
        """After which each of them means reject."""
        return max(each.timeout_ms for each in self.signs)


class InputSettings(Section):
    """A key, button or sensor that states something about the line."""

    name: str = Field(min_length=1, description="Its name in logs and in the ledger.")
    input: InputWire = Field(description="The line it is wired to.")
    then: Literal["report", "reject_all", "stop_line", "bypass", "acknowledge"] = Field(
        description="What it brings about while it is active; `acknowledge`: when it becomes so."
    )
    settle_ms: TimeOrNone = Field(
        default=20, description="Its level counts when it has stood for so long."
    )


def check_stop(effects: Sequence[str], reject: RejectSettings) -> None:
    """What is to stop the line must be able to."""
    if "stop_line" in effects and reject.stop_line is None:
        raise ValueError("nothing can stop the line: give `reject.stop_line`, the output that does")


def check_names(what: str, names: list[str]) -> None:
    """Reports and the ledger tell things apart by their names."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what}s are called {name}: give each its own `name:`")


def check_wires(outputs: Sequence[ActuatorWire]) -> None:
    """Two outputs on one wire would undo each other, and the heartbeat would pass for a reject."""
    wires = [output.model_dump(exclude=_MANNERS) for output in outputs if output.type != "memory"]
    for wire in wires:
        if wires.count(wire) > 1:
            named = ", ".join(f"{key} {value}" for key, value in wire.items())
            raise ValueError(f"two outputs are wired to {named}: give each a wire of its own")


def check_heartbeats(heartbeat: HeartbeatSettings, cameras: Sequence[str]) -> None:
    """Each stands for cameras that there are, and none of them can fall silent unheard."""
    known = ", ".join(cameras)
    heard = set[str]()
    for each in heartbeat.signs:
        names = cameras if each.cameras is None else each.cameras
        for name in names:
            if name not in cameras:
                raise ValueError(f"no camera is called {name}: give the name of one ({known})")
        heard.update(names)
    for name in cameras:
        if name not in heard:
            raise ValueError(
                f"no heartbeat stands for the camera {name}: name it in the `cameras:` of the one "
                "whose silence rejects its rail, or leave them out"
            )


def check_board(encoder: EncoderSettings, reject: RejectSettings) -> None:
    """A board's own output is driven by the board, and by nobody else."""
    if not any(actuator.output.type == "serial" for actuator in reject.actuators):
        return
    if encoder.type != "serial":
        raise ValueError("its output is a board's: give `encoder:` the same `type: serial`")
    if reject.also:
        raise ValueError("a board drives one actuator: leave `also:` out")
    if reject.confirm is not None:
        raise ValueError("a board does not tell when it drives its output: leave `confirm:` out")
    if reject.isolation == "process" or reject.priority:
        raise ValueError("a board needs no process of its own: leave isolation and priority out")
