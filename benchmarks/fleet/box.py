"""A box without cameras: the real agent, its folders and reports, and somebody for its line.

What stands in for the line decides as one does: it opens what it is asked to take, takes it over on
disk first, and refuses what its network does not answer rightly. It holds the line's lock as long
as it lives, so that the agent takes it for one that runs.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from threading import Event

from edge.clock import clock_ns
from edge.errors import TracksideError
from edge.fleet import FleetFolder, LineDecision, LineStanding, is_answered
from edge.fleet.agent import start_agent
from edge.line_file import LineSettings, read_line
from edge.swap import open_in_force
from edge.swap.folder import Decision, Standing, SwapFolder, swap_folder
from edge.swap.folder import is_answered as is_decided
from edge.telemetry import FleetMessage, Message, Spool
from edge.telemetry.messages import message_of_fleet
from edge.telemetry.mqtt import MqttCourier

_LOOK_S = 0.2
_AGENT_S = 1.0  # before an agent that was killed is started again


def run_box(path: Path) -> None:
    """Until this process is killed."""
    config = read_line(path)
    assert config.fleet is not None and config.mqtt is not None
    folder, swap = FleetFolder(config.fleet.folder), swap_folder(config)

    def standing() -> Message:
        return Message(f"{topic}/fleet", _report(config, folder).model_dump_json().encode())

    topic = config.mqtt.topic
    with (
        Spool(config.mqtt.spool, limit=100) as spool,
        MqttCourier(config.mqtt, spool, Event(), clock_ns, standing),
        swap.holding_line(20),
    ):
        while True:
            with start_agent(path) as agent:
                path.with_name("agent.pid").write_text(str(agent.pid))
                while agent.poll() is None:
                    with suppress(TracksideError, OSError):
                        _answer_bundle(config, swap)
                        _answer_line(folder)
                    time.sleep(_LOOK_S)
            time.sleep(_AGENT_S)


def _answer_bundle(config: LineSettings, folder: SwapFolder) -> None:
    request, standing = folder.request(), folder.standing()
    if request is None or is_decided(request, standing):
        return
    refusal, before = None, open_in_force(config)
    try:
        folder.open(request.digest, config.bundle_key)
    except TracksideError as error:
        refusal = str(error)
    decision = Decision(request=request, refusal=refusal, at=_now())
    with folder.changing():
        if refusal is not None:
            folder.settle(standing.model_copy(update={"outcome": decision}))
            return
        if not folder.bundle_path(before.digest).exists():
            folder.keep(before)
        in_force, was = request.digest, before.digest
        folder.settle(Standing(in_force=in_force, before=was, outcome=decision))


def _answer_line(folder: FleetFolder) -> None:
    request, standing = folder.line_request(), folder.line_standing()
    if request is not None and not is_answered(request, standing):
        outcome = LineDecision(request=request, refusal=None, at=_now())
        folder.settle(LineStanding(in_force=request.digest, outcome=outcome))


def _report(config: LineSettings, folder: FleetFolder) -> FleetMessage:
    assert config.fleet is not None
    status = folder.shown(config.fleet.box)
    return message_of_fleet(
        status, line=config.name, bundle=None, version="simulated", complaints=()
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
