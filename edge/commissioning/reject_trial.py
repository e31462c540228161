"""`trackside reject-test`: everything that rejects is tried in turn, and the result is recorded.

Each step goes by way of the desk that rejects when the line runs, so what passes here is what works
there. Whoever stands at the line says what is seen; what the machine can find out, it asks itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import typer

from edge.bridge import (
    HELD_S,
    SECOND_NS,
    Beating,
    Bridge,
    Mode,
    bridge_errors_as_ours,
    open_bench,
    open_bridge,
    open_input,
)
from edge.checks import Check
from edge.clock import clock_ns
from edge.errors import TracksideError, TrialFailed, UsageError
from edge.line_file import ActuatorSettings, LineSettings

EDGES = 12
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


def operator_for(config: LineSettings, *, yes: bool) -> Operator:
    """Whoever is there to look; a line without wires needs nobody.

    UsageError where somebody has to look and there is no terminal.
    """
    if yes or not is_wired(config):
        return Nobody()
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say what is seen: run it in a terminal, or with --yes")
    return Prompt()


def is_wired(config: LineSettings) -> bool:
    """Whether anything can be seen, or has to be moved, outside this machine."""
    outputs = [*config.reject.outputs, *(each.output for each in config.heartbeat.signs)]
    return config.encoder.type != "simulated" or any(o.type != "memory" for o in outputs)


class _Trial(NamedTuple):
    name: str
    look: str  # what is to be seen
    remedy: str  # if it is not
    do: Callable[[], str]  # says what it found out, or raises TracksideError


def try_rejects(
    config: LineSettings, operator: Operator, held_s: float = HELD_S
) -> Iterator[Check]:
    """Try everything in turn, outputs for `held_s` each; what fails keeps nothing else from it."""
    for trial in _trials(config, held_s):
        operator.ready(trial.name, trial.look)
        try:
            detail = trial.do()
        except TracksideError as error:
            yield Check(trial.name, False, str(error))
            continue
        seen = operator.saw(trial.look)
        yield Check(trial.name, seen, detail if seen else f"{detail}; not seen: {trial.remedy}")


def summary(config: LineSettings, steps: list[Check]) -> dict[str, Any]:
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


def _trials(config: LineSettings, held_s: float) -> Iterator[_Trial]:
    for number, name in enumerate(config.heartbeats):
        relay, alone = (name, ", and no other") if config.heartbeat.also else ("heartbeat", "")
        yield _Trial(
            name,
            f"the {relay} relay pulls in{alone}, and holds while the edges last",
            "check the wire, the relay's supply and the polarity",
            partial(_beat, config, number),
        )
    relay = "heartbeat relay has" if not config.heartbeat.also else "heartbeat relays have"
    yield _Trial(
        "silence",
        f"the {relay} dropped",
        "the relay must want edges and drop within timeout_ms",
        partial(_fall_silent, config),
    )
    for actuator in config.reject.actuators:
        yield _Trial(
            actuator.name,
            f"{actuator.name} rejects for half a second, then lets by",
            "check its wire, its supply and active_low",
            partial(_pulse, config, actuator, held_s),
        )
    yield _Trial(
        "reject all",
        "every actuator rejects for half a second",
        "check the wires of those that did not",
        partial(_override, config, Mode.REJECT_ALL, held_s),
    )
    if config.reject.stop_line is not None:
        yield _Trial(
            "stop line",
            "the line is told to stop, and after half a second may start again",
            "check the wire to the line's control and active_low",
            partial(_override, config, Mode.STOP_LINE, held_s),
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


def _beat(config: LineSettings, number: int) -> str:
    """One of the heartbeats, while the others are silent."""
    with open_bridge(_untouched(config)) as bridge:
        return _toggle(bridge, [bridge.beating[number]], config.heartbeat.signs[number].timeout_ms)


def _fall_silent(config: LineSettings) -> str:
    with open_bridge(_untouched(config)) as bridge:
        _toggle(bridge, bridge.beating, min(each.timeout_ms for each in config.heartbeat.signs))
        time.sleep(2 * config.heartbeat.longest_ms / 1000)
        return f"no edge for {2 * config.heartbeat.longest_ms:g} ms"


def _toggle(bridge: Bridge, beating: Sequence[Beating], timeout_ms: float) -> str:
    period_s = timeout_ms / 4000
    for _ in range(EDGES):
        bridge.check()
        for each in beating:
            each.heartbeat.beat()
        time.sleep(period_s)
    return f"{EDGES} edges, one every {period_s * 1000:.0f} ms"


def _pulse(config: LineSettings, actuator: ActuatorSettings, held_s: float) -> str:
    """Drive one actuator alone, and ask its sensor."""
    alone = {name: getattr(actuator, name) for name in ActuatorSettings.model_fields}
    if actuator.confirm is not None:
        alone["confirm"] = actuator.confirm.model_copy(update={"otherwise": "report"})
    with open_bench(_untouched(config, also=(), **alone), held_s) as bench:
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


def _override(config: LineSettings, mode: Mode, held_s: float) -> str:
    with open_bench(_untouched(config), held_s) as bench:
        return bench.override(mode)


def _move(config: LineSettings) -> str:
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


def _read_inputs(config: LineSettings) -> str:
    states = []
    with bridge_errors_as_ours(), ExitStack() as stack:
        for each in config.inputs:
            active = stack.enter_context(open_input(each.input)).read()
            states.append(f"{each.name} is {'on' if active else 'off'}")
    return ", ".join(states)


def _untouched(config: LineSettings, **changes: Any) -> LineSettings:
    """The line with nothing that meddles: no key, button or sensor.

    Without its ledger too: what a crash left there is for the next start to take up.
    """
    calm = {"confirm": None, "ledger": None}
    also = tuple(actuator.model_copy(update={"confirm": None}) for actuator in config.reject.also)
    reject = config.reject.model_copy(update={**calm, "also": also, **changes})
    return config.model_copy(update={"reject": reject, "inputs": ()})
