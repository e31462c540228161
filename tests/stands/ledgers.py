"""Ledgers that programs write, to be killed or to find the disk full."""

from __future__ import annotations

import json
import random
import resource
import time
from dataclasses import replace
from pathlib import Path

from firmware_bridge.core import Actuator, ActuatorTraits
from firmware_bridge.desk import DeskSettings, Output, Rejector, Rig
from firmware_bridge.ledger import Entry, EntryKind, Ledger, read_ledger
from firmware_bridge.lines import MemoryLine, SimulatedEncoder, Speed
from firmware_bridge.types import SECOND_NS, Mode
from stands.event_stores import fill
from stands.waiting import eventually

MM = 1_000
CLOCK = time.monotonic_ns
PATIENT_NS = 60 * SECOND_NS


def a_rig(*actuators: Actuator, um_per_s: int = 1_000_000) -> Rig:
    served = actuators or (Actuator("reject", ActuatorTraits(offset_um=0, margin_um=MM)),)
    lines = [MemoryLine(CLOCK, safe_active=True) for _ in served]
    outputs = [Output(actuator, line) for actuator, line in zip(served, lines, strict=True)]
    return Rig(SimulatedEncoder(CLOCK, [Speed(0, um_per_s)]), outputs)


def desk(rig: Rig, ledger: Ledger, *, on_missed: Mode = Mode.ORDERED) -> Rejector:
    """One that lets all by but what is ordered."""
    settings = DeskSettings(on_missed=on_missed, default_reject=False)
    return Rejector(rig, CLOCK, settings, ledger=ledger)


def here_um(rig: Rig) -> int:
    return rig.encoder.read().position_um


def an_order(number: int) -> Entry:
    order = Entry(EntryKind.ORDER, CLOCK(), number=number, actuator="reject", start_um=5, end_um=9)
    return replace(order, rail="", tag="frame")


def work_until_killed(path: Path) -> None:
    """Submit without end; say the number of an order once it is on disk."""
    rig = a_rig()
    with Ledger(path, CLOCK) as ledger, desk(rig, ledger) as rejector:
        ledger.flush(PATIENT_NS)  # the run has begun on disk
        print("ready", flush=True)
        while True:
            start_um = here_um(rig) + random.randrange(-2, 20) * MM
            rejector.submit(start_um, start_um + MM, "frame")
            if rejector.report().ordered % 3 == 0:
                ledger.flush(PATIENT_NS)
                print(rejector.report().ordered, flush=True)


def work_on_a_full_disk(path: Path) -> None:
    """Submit while no file may grow, then while it may again."""
    rig = a_rig()
    with Ledger(path, CLOCK) as ledger, desk(rig, ledger) as rejector:
        ledger.flush(PATIENT_NS)
        room = path.with_name(path.name + "-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        start_um = here_um(rig) + 100 * MM
        rejector.submit(start_um, start_um + 500 * MM, "frame 1")
        eventually(lambda: rejector.report().pulses != () and ledger.trouble is not None)
        rejector.check()
        trouble, pulses = ledger.trouble, len(rejector.report().pulses)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        flushed = ledger.flush(PATIENT_NS)
        print(json.dumps([trouble, pulses, flushed, ledger.trouble]), flush=True)


def start_on_a_full_disk(disk: Path) -> None:
    """Where the run before left an order."""
    path = disk / "ledger.db"
    with Ledger(path, CLOCK) as ledger:
        ledger.add(an_order(1))
    filler = fill(disk)
    with Ledger(path, CLOCK) as ledger:
        known = ledger.inherited
        with desk(a_rig(), ledger, on_missed=Mode.REJECT_ALL) as rejector:
            eventually(lambda: rejector.mode is Mode.REJECT_ALL)
            filler.unlink()
            eventually(lambda: ledger.inherited is not None)
    missed = [entry.number for entry in read_ledger(path) if entry.kind is EntryKind.MISSED]
    print(json.dumps([known, missed]))
