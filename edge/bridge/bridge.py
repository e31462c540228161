"""The bridge of one line, opened from its line file: outputs, heartbeat, inputs and the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from edge.bridge.rails import Rails, rail_of
from edge.bridge.rounds import Rounds
from edge.bridge.wires import (
    actuator_traits,
    open_board,
    open_input,
    open_output,
    open_rig,
    open_stop_line,
)
from edge.clock import clock_ns
from edge.errors import TracksideError, UsageError
from edge.line_file import (
    InputSettings,
    LineSettings,
    OneHeartbeat,
    RejectSettings,
    SerialEncoderSettings,
)
from edge.types import Stretch
from firmware_bridge.core import Confirmation, News, Role
from firmware_bridge.desk import (
    DeskSettings,
    Heartbeat,
    InputWatch,
    OrderDesk,
    ProcessRejector,
    Rejector,
    Rig,
    Sensor,
    Statement,
)
from firmware_bridge.errors import BridgeError
from firmware_bridge.ledger import Entry, EntryKind, Ledger
from firmware_bridge.lines import LastReading, MemoryLine, OutputLine, SimulatedEncoder
from firmware_bridge.types import Mode, Reading

_MODES = {
    "report": Mode.ORDERED,
    "reject_all": Mode.REJECT_ALL,
    "stop_line": Mode.STOP_LINE,
    "bypass": Mode.BYPASS,
}


@dataclass(frozen=True)
class Beating:
    """One heartbeat, and the progress that it shows."""

    line: OutputLine
    heartbeat: Heartbeat
    rounds: Rounds  # of all cameras that it stands for


@dataclass(frozen=True)
class Bridge:
    """What rejects, ready. It is the main loop's rejector, and has its heartbeats."""

    desk: OrderDesk
    inputs: InputWatch
    beating: tuple[Beating, ...]
    where: Callable[[], Reading]  # the newest reading of the encoder, for any thread
    rig: Rig | None  # None where another process or a board has it
    ledger: Ledger | None
    rails: Rails

    def submit(self, cameras: Sequence[str], start_um: int, end_um: int, tag: str) -> None:
        """Have this rail rejected by all actuators that these cameras order; RejectorStopped, as of
        `let_by`, once orders are no longer fired.
        """
        for rail in self.rails.watched_by(cameras):
            self.desk.submit(start_um, end_um, tag, rail)

    def let_by(self, camera: str, start_um: int, end_um: int, tag: str) -> None:
        """A camera has inspected this rail: once all that watch it have, it may pass, but for what
        of it was ordered to leave.
        """
        for rail, cleared in self.rails.let_by(camera, Stretch(start_um, end_um)):
            self.desk.submit_pass(cleared.start_um, cleared.end_um, tag, rail)

    def beat(self, camera: str) -> None:
        """The loop has dealt with a frame of this camera."""
        for each in self.beating:
            if each.rounds.done(camera):
                each.heartbeat.beat()

    def note_bundle(self, digest: str, reason: str) -> None:
        """Enter in the ledger what judges from now on; never waits."""
        if self.ledger is not None:
            self.ledger.add(Entry(EntryKind.BUNDLE, clock_ns(), tag=digest, reason=reason))

    def check(self) -> None:
        """Raise unless orders are being fired and the inputs are being read."""
        self.desk.check()
        self.inputs.check()

    def rehearsal(self) -> Rehearsal:
        """Its encoder and pins, if it has no wires; UsageError if it has."""
        if self.rig is not None and isinstance(self.rig.encoder, SimulatedEncoder):
            outputs = {each.actuator.name: each.line for each in self.rig.outputs}
            pins = {name: pin for name, pin in outputs.items() if isinstance(pin, MemoryLine)}
            beats = [each.line for each in self.beating if isinstance(each.line, MemoryLine)]
            if (len(pins), len(beats)) == (len(outputs), len(self.beating)):
                return Rehearsal(self.rig.encoder, pins, tuple(beats))
        raise UsageError(
            "this line is wired, and nobody can look into its pins: give it a simulated encoder "
            "and outputs of type memory, in this process, or use `trackside run`"
        )


@dataclass(frozen=True)
class Rehearsal:
    """What can be looked into: an encoder with a known speed, pins that remember."""

    encoder: SimulatedEncoder
    reject_pins: Mapping[str, MemoryLine]  # by actuator
    heartbeat_pins: tuple[MemoryLine, ...]  # as the line file has them

    @property
    def reject_pin(self) -> MemoryLine:
        """Of the first actuator."""
        return next(iter(self.reject_pins.values()))

    @property
    def heartbeat_pin(self) -> MemoryLine:
        """The first."""
        return self.heartbeat_pins[0]


@dataclass(frozen=True)
class SensorNews:
    """What a sensor says of its actuator: confirmed to act, unconfirmed, or acting unasked."""

    actuator: str
    confirmation: Confirmation


@contextmanager
def open_bridge(
    config: LineSettings,
    hear: Callable[[News | SensorNews], None] = lambda _: None,
    *,
    trial: bool = False,
    run: str | None = None,
) -> Iterator[Bridge]:
    """Wire the bridge. Leaving it leaves the outputs safe, since nobody inspects any more.

    All rail is rejected but what is let by; in a `trial`, where nobody inspects, all passes but
    what is ordered. `hear` is told all that becomes known, on the thread that learns of it, and
    must not wait. `run` is what the ledger calls the run. TracksideError where a wire cannot be
    claimed, the encoder not read, or the ledger not opened.
    """
    reject = config.reject
    with bridge_errors_as_ours(), ExitStack() as stack:
        ledger = None
        if reject.ledger is not None:
            ledger = stack.enter_context(Ledger(reject.ledger, clock_ns, run))
        beating = tuple(_beating(config, each, stack) for each in config.heartbeat.signs)
        inputs = InputWatch(
            [_statement(each, stack) for each in config.inputs],
            _sensors(reject, stack),
            clock_ns,
            default_reject=not trial,
            silence_ns=round(reject.silence_ms * 1e6),
            hear=lambda actuator, confirmation: hear(SensorNews(actuator, confirmation)),
        )

        def watch(news: News) -> None:
            inputs.take(news)
            hear(news)

        desk, where, rig = _open_desk(config, watch, ledger, stack, trial=trial)
        stack.enter_context(inputs.reporting_to(desk))
        yield Bridge(desk, inputs, beating, where, rig, ledger, Rails(config))


def _beating(config: LineSettings, settings: OneHeartbeat, stack: ExitStack) -> Beating:
    line = stack.enter_context(open_output(settings.output, safe_active=None))
    return Beating(line, Heartbeat(line), Rounds(config.stands_for(settings)))


def _open_desk(
    config: LineSettings,
    watch: Callable[[News], None],
    ledger: Ledger | None,
    stack: ExitStack,
    *,
    trial: bool,
) -> tuple[OrderDesk, Callable[[], Reading], Rig | None]:
    """Who fires the orders, how to learn where the rail is, and the rig if it is this process's."""
    encoder, reject = config.encoder, config.reject
    settings = DeskSettings(
        default_reject=not trial,
        on_missed=_MODES[reject.on_missed],
        on_uninspected=_MODES[reject.on_uninspected],
        silence_ns=round(reject.silence_ms * 1e6),
        coast_um=_coast_um(config),
    )
    if isinstance(encoder, SerialEncoderSettings) and reject.output.type == "serial":
        board = open_board(
            encoder,
            actuator_traits(reject),
            settings,
            name=reject.name,
            rail=rail_of(config, reject.name),
            stop_line=open_stop_line(reject, stack),
            release_on_close=reject.safe == "pass",
            ledger=ledger,
            watch=watch,
        )
        stack.enter_context(board)
        return board, board.read, None
    priority = reject.priority
    rails = {each.name: rail_of(config, each.name) for each in reject.actuators}
    claim = partial(open_rig, encoder, reject, rails)
    if reject.isolation == "process":
        apart = ProcessRejector(
            claim, clock_ns, settings, priority=priority, ledger=ledger, watch=watch
        )
        stack.enter_context(apart)
        return apart, apart.read, None
    rig = claim(stack)
    last = LastReading(rig.encoder)
    ours = replace(rig, encoder=last)
    desk = Rejector(ours, clock_ns, settings, priority=priority, ledger=ledger, watch=watch)
    stack.enter_context(desk)
    return desk, lambda: last.newest, rig


def _coast_um(config: LineSettings) -> int:
    """How far the rail goes, at its fastest, while the slowest heartbeat relay and valve fall."""
    valve_ms = max(actuator.delay_ms for actuator in config.reject.actuators)
    return round(config.encoder.speed_mm_s * (config.heartbeat.longest_ms + valve_ms))


def _statement(config: InputSettings, stack: ExitStack) -> Statement:
    mode = None if config.then == "acknowledge" else _MODES[config.then]
    role = Role(config.name, mode, settle_ns=round(config.settle_ms * 1e6))
    return Statement(role, stack.enter_context(open_input(config.input)))


def _sensors(reject: RejectSettings, stack: ExitStack) -> list[Sensor]:
    return [
        Sensor(
            actuator.name,
            stack.enter_context(open_input(actuator.confirm.input)),
            within_ns=round(actuator.confirm.within_ms * 1e6),
            settle_ns=round(actuator.confirm.settle_ms * 1e6),
            unconfirmed=_MODES[actuator.confirm.otherwise],
        )
        for actuator in reject.actuators
        if actuator.confirm is not None
    ]


@contextmanager
def bridge_errors_as_ours() -> Iterator[None]:
    """Raise the bridge's errors as TracksideError.

    The bridge knows nothing of this room's errors, nor the command line of the bridge's.
    """
    try:
        yield
    except BridgeError as error:
        raise TracksideError(str(error)) from error
