"""`trackside reject-test`: everything that rejects is tried in turn, and the result is recorded.

Each step goes by way of the desk that rejects when the line runs, so what passes here is what works
there. Whoever stands at the line says what is seen; what the machine can find out, it asks itself.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import typer

from edge.bridge import Bridge, Seen, bridge_errors_as_ours, open_bridge
from edge.bridge_config import ActuatorConfig, Confirm
from edge.check import Check
from edge.config import LineConfig
from edge.errors import TracksideError, UsageError
from edge.wiring import clock_ns, open_input
from firmware_bridge.control import News
from firmware_bridge.guard import Change
from firmware_bridge.inputs import Confirmed
from firmware_bridge.types import SECOND_NS, Event, Mode, Pulse

CAUSE = "reject test"
EDGES = 12
HELD_S = 0.5  # long enough to be seen and heard
NEWS_S = 2  # a machine that is slower than this is none to reject with
MOVE_NS = 20 * SECOND_NS  # to walk to the rail and move it
MOVED_UM = 1_000


class Operator(Protocol):
    """Whoever stands at the line."""

    def ready(self, step: str, look: str) -> None:
        """Say what is about to happen; returns when it may."""
        ...

    def saw(self, look: str) -> bool:
        """Whether it was seen."""
        ...


class Nobody:
    """Nobody stands there: what the machine finds out is all there is."""

    def ready(self, step: str, look: str) -> None:
        pass

    def saw(self, look: str) -> bool:
        return True


class Prompt:
    """Somebody at the terminal, who sees the line."""

    def ready(self, step: str, look: str) -> None:
        said = f"\n{step}: see that {look}. Enter to begin"
        typer.prompt(said, default="", show_default=False, err=True)

    def saw(self, look: str) -> bool:
        return typer.confirm(f"  did you see that {look}?", default=False, err=True)


def operator_for(config: LineConfig, *, yes: bool) -> Operator:
    """Whoever is there to look; a line without wires needs nobody."""
    if yes or not is_wired(config):
        return Nobody()
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say what is seen: run it in a terminal, or with --yes")
    return Prompt()


def is_wired(config: LineConfig) -> bool:
    """Whether anything can be seen, or has to be moved, outside this machine."""
    outputs = [*config.reject.outputs, config.heartbeat.output]
    return config.encoder.type != "simulated" or any(o.type != "memory" for o in outputs)


class TrialFailed(TracksideError):
    """Something did not do what it was told."""


class _Trial(NamedTuple):
    name: str
    look: str  # what is to be seen
    remedy: str  # if it is not
    do: Callable[[], str]  # says what it found out, or raises TracksideError


def reject_test(config: LineConfig, operator: Operator) -> Iterator[Check]:
    """Try everything in turn; what fails does not keep the rest from being tried."""
    for trial in _trials(config):
        operator.ready(trial.name, trial.look)
        try:
            detail = trial.do()
        except TracksideError as error:
            yield Check(trial.name, False, str(error))
            continue
        seen = operator.saw(trial.look)
        yield Check(trial.name, seen, detail if seen else f"{detail}; not seen: {trial.remedy}")


def summary(config: LineConfig, steps: list[Check]) -> dict[str, Any]:
    """What is printed as JSON, and recorded."""
    return {
        "line": config.name,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "passed": all(step.passed for step in steps),
        "steps": [asdict(step) for step in steps],
    }


def record(path: Path, result: dict[str, Any]) -> None:
    """Append it to the line's record: one object in each line of the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def _trials(config: LineConfig) -> Iterator[_Trial]:
    yield _Trial(
        "heartbeat",
        "the heartbeat relay pulls in, and holds while the edges last",
        "check the wire, the relay's supply and the polarity",
        partial(_beat, config),
    )
    yield _Trial(
        "silence",
        "the heartbeat relay has dropped",
        "the relay must want edges and drop within timeout_ms",
        partial(_fall_silent, config),
    )
    for actuator in config.reject.actuators:
        yield _Trial(
            actuator.name,
            f"{actuator.name} rejects for half a second, then lets by",
            "check its wire, its supply and active_low",
            partial(_pulse, config, actuator),
        )
    yield _Trial(
        "reject all",
        "every actuator rejects for half a second",
        "check the wires of those that did not",
        partial(_override, config, Mode.REJECT_ALL),
    )
    if config.reject.stop_line is not None:
        yield _Trial(
            "stop line",
            "the line is told to stop, and after half a second may start again",
            "check the wire to the line's control and active_low",
            partial(_override, config, Mode.STOP_LINE),
        )
    yield _Trial(
        "encoder",
        "the rail moves forward; move it now, by a hand's breadth or more",
        "see what moved",
        partial(_move, config),
    )
    if config.inputs:
        yield _Trial(
            "inputs",
            "no input states anything that is not so",
            "check its wire and active_low",
            partial(_read_inputs, config),
        )


def _beat(config: LineConfig) -> str:
    with open_bridge(_untouched(config)) as bridge:
        return _toggle(bridge, config)


def _fall_silent(config: LineConfig) -> str:
    with open_bridge(_untouched(config)) as bridge:
        _toggle(bridge, config)
        time.sleep(2 * config.heartbeat.timeout_ms / 1000)
        return f"no edge for {2 * config.heartbeat.timeout_ms:g} ms"


def _toggle(bridge: Bridge, config: LineConfig) -> str:
    period_s = config.heartbeat.timeout_ms / 4000
    for _ in range(EDGES):
        bridge.check()
        bridge.heartbeat.beat()
        time.sleep(period_s)
    return f"{EDGES} edges, one every {period_s * 1000:.0f} ms"


def _pulse(config: LineConfig, actuator: ActuatorConfig) -> str:
    """Drive one actuator alone, and ask its sensor."""
    alone = {name: getattr(actuator, name) for name in ActuatorConfig.model_fields}
    if actuator.confirm is not None:
        alone["confirm"] = actuator.confirm.model_copy(update={"otherwise": "report"})
    with _open_bench(_untouched(config, also=(), **alone)) as bench:
        found = bench.override(Mode.REJECT_ALL)
        if actuator.confirm is None:
            return found
        after_ms = bench.confirmed_ms(actuator.confirm)
    if after_ms is None:
        raise TrialFailed(
            f"{found}, and its sensor saw nothing within {actuator.confirm.within_ms:g} ms: "
            "check the sensor's wire, its aim and active_low, or raise within_ms"
        )
    return f"{found}, seen by its sensor after {after_ms:.0f} ms"


def _override(config: LineConfig, mode: Mode) -> str:
    with _open_bench(_untouched(config)) as bench:
        return bench.override(mode)


def _move(config: LineConfig) -> str:
    with open_bridge(_untouched(config)) as bridge:
        start = bridge.where()
        give_up_ns = clock_ns() + MOVE_NS
        while abs(moved_um := bridge.where().position_um - start.position_um) < MOVED_UM:
            bridge.check()
            if clock_ns() > give_up_ns:
                raise TrialFailed(
                    f"it counted {moved_um} um in {MOVE_NS // SECOND_NS} s: move the rail by more, "
                    "or check the encoder's coupling, supply and wires"
                )
            time.sleep(0.01)
    if moved_um < 0:
        raise TrialFailed(
            "it counts backward where the rail goes forward: exchange its channels, or give "
            "um_per_count the other sign"
        )
    return f"it counted {moved_um / 1000:.1f} mm forward"


def _read_inputs(config: LineConfig) -> str:
    states = []
    with bridge_errors_as_ours(), ExitStack() as stack:
        for each in config.inputs:
            active = stack.enter_context(open_input(each.input)).read()
            states.append(f"{each.name} is {'on' if active else 'off'}")
    return ", ".join(states)


def _untouched(config: LineConfig, **changes: Any) -> LineConfig:
    """The line with nothing that meddles: no key, button or sensor, nothing rejected by default.

    Without its ledger too: what a crash left there is for the next start to take up.
    """
    calm = {"default_reject": False, "confirm": None, "ledger": None}
    also = tuple(actuator.model_copy(update={"confirm": None}) for actuator in config.reject.also)
    reject = config.reject.model_copy(update={**calm, "also": also, **changes})
    return config.model_copy(update={"reject": reject, "inputs": ()})


@contextmanager
def _open_bench(config: LineConfig) -> Iterator[_Bench]:
    heard: queue.SimpleQueue[News | Seen] = queue.SimpleQueue()
    with open_bridge(config, heard.put) as bridge:
        time.sleep(HELD_S)  # until the actuators have come to rest
        yield _Bench(bridge, heard, {actuator.name for actuator in config.reject.actuators})


class _Bench:
    """An open bridge, all that is told of it, and the actuators it has."""

    def __init__(
        self, bridge: Bridge, told: queue.SimpleQueue[News | Seen], actuators: set[str]
    ) -> None:
        self._bridge = bridge
        self._told = told
        self._kept: list[News | Seen] = []  # told, and not asked for yet
        self._actuators = actuators

    def override(self, mode: Mode) -> str:
        """Have the outputs do this for a while; each actuator must own up to a pulse."""
        asked_ns = clock_ns()
        self._bridge.desk.hold(CAUSE, mode, "the outputs are tried")
        driven_ns = self._news(Change).at_ns
        time.sleep(HELD_S)
        self._bridge.check()
        self._bridge.desk.release(CAUSE, "the trial is over")
        pulsed: set[str] = set()
        while pulsed < self._actuators:
            pulsed.add(self._news(Pulse).actuator)
        soon_ms = (driven_ns - asked_ns) / 1e6
        return f"driven after {soon_ms:.1f} ms, for {HELD_S * 1000:.0f} ms"

    def confirmed_ms(self, confirm: Confirm) -> float | None:
        """How soon the sensor saw it; None if it did not."""
        patience_s = (confirm.within_ms + confirm.settle_ms) / 1000 + NEWS_S
        seen = self._hear(lambda told: isinstance(told, Seen), patience_s)
        assert isinstance(seen, Seen)
        return seen.outcome.after_ns / 1e6 if isinstance(seen.outcome, Confirmed) else None

    def _news(self, kind: type[Event | Change]) -> News:
        news = self._hear(
            lambda told: isinstance(told, News) and isinstance(told.event, kind), NEWS_S
        )
        assert isinstance(news, News)
        return news

    def _hear(self, wanted: Callable[[News | Seen], bool], patience_s: float) -> News | Seen:
        """The first of what is told that is wanted; the rest is kept."""
        for told in self._kept:
            if wanted(told):
                self._kept.remove(told)
                return told
        try:
            while not wanted(told := self._told.get(timeout=patience_s)):
                self._kept.append(told)
        except queue.Empty:
            raise TrialFailed(
                f"nothing was heard of it for {patience_s:g} s: check the encoder, which gives the "
                "outputs their time, and the load on this machine"
            ) from None
        return told
