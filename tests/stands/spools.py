"""Spools, emptied as a courier empties them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

from edge.line_file import MqttSettings
from edge.telemetry import Spool
from edge.telemetry.mqtt import MqttCourier
from edge.telemetry.spool import Message


def drained(spool: Spool) -> Iterator[Message]:
    while (found := spool.oldest()) is not None:
        yield found[1]
        spool.remove(found[0])


TOPIC = "plant/rail-1"


def settings(port: int, folder: Path, **more: Any) -> MqttSettings:
    return MqttSettings.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "topic": TOPIC,
            "username": "line",
            "password": "secret",
            "spool": folder / "spool.sqlite",
            **more,
        }
    )


def courier(wanted: MqttSettings, spool: Spool, added: Event | None = None) -> MqttCourier:
    return MqttCourier(wanted, spool, added or Event(), time.monotonic_ns)


def a_spool(folder: Path, limit: int = 10_000) -> Spool:
    return Spool(folder / "spool.sqlite", limit=limit)


def numbered(topic: str, numbers: range) -> list[Message]:
    return [Message(f"{TOPIC}/{topic}", str(number).encode()) for number in numbers]
