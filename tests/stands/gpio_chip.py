"""What stands in for the kernel's side of libgpiod, and for Jetson.GPIO, where there is no chip.

Both hold levels on wires. `GpioChip` takes the place of libgpiod's C layer, so that the vendor's
own Python above it runs; `JetsonHeader` answers as Jetson.GPIO 2.1 does.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import gpiod
import pytest
from gpiod import _ext
from gpiod.line import Value

CHIP = "/dev/gpiochip0"
LINES = 32


@dataclass
class GpioChip:
    """One chip of 32 lines; line 17 is named GPIO17."""

    wires: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(range(LINES), False))
    holders: dict[int, _Request] = field(default_factory=dict)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        layer = SimpleNamespace(Chip=lambda path: _Chip(self, path), LineConfig=_LineConfig)
        monkeypatch.setattr(gpiod.chip, "_ext", layer)
        settings = SimpleNamespace(LineSettings=SimpleNamespace)
        monkeypatch.setattr(gpiod.line_settings, "_ext", settings)

    def drive(self, line: int, level: bool) -> None:
        """Change a wire from outside; whoever watches it for edges is told."""
        if self.wires[line] != level:
            self.wires[line] = level
            if line in self.holders:
                self.holders[line].see(line, level)


class _LineConfig:
    def __init__(self) -> None:
        self.settings: dict[int, Any] = {}

    def add_line_settings(self, offsets: list[int], settings: Any) -> None:
        self.settings |= dict.fromkeys(offsets, settings)


class _Chip:
    def __init__(self, chip: GpioChip, path: str) -> None:
        if path != CHIP:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._chip = chip

    def get_info(self) -> gpiod.ChipInfo:
        return gpiod.ChipInfo("gpiochip0", "stand-in", LINES)

    def line_offset_from_id(self, name: str) -> int:
        if name != "GPIO17":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return 17

    def get_line_name(self, offset: int) -> str | None:
        return "GPIO17" if offset == 17 else None

    def request_lines(self, config: _LineConfig, _consumer: str, buffer: int) -> _Request:
        if any(line in self._chip.holders for line in config.settings):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return _Request(self._chip, config.settings, buffer)

    def close(self) -> None:
        pass


class _Request:
    """Lines that are held, and the events that nobody has read yet: the oldest are dropped."""

    chip_name = "gpiochip0"

    def __init__(self, chip: GpioChip, settings: dict[int, Any], buffer: int) -> None:
        self.offsets = list(settings)
        self.fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._chip = chip
        self._settings = settings
        self._buffer = buffer
        self._events: list[gpiod.EdgeEvent] = []
        self._number = 0
        chip.holders |= dict.fromkeys(self.offsets, self)
        for line, wanted in settings.items():
            if wanted.direction == _ext.DIRECTION_OUTPUT:
                self.set_values({line: Value(wanted.output_value)})
            elif wanted.bias in {_ext.BIAS_PULL_UP, _ext.BIAS_PULL_DOWN}:
                chip.wires[line] = wanted.bias == _ext.BIAS_PULL_UP

    def set_values(self, values: dict[int, Value]) -> None:
        for line, value in values.items():
            self._chip.wires[line] = bool(value) != self._settings[line].active_low

    def get_values(self, offsets: list[int], values: list[Value]) -> None:
        for i, line in enumerate(offsets):
            active = self._chip.wires[line] != self._settings[line].active_low
            values[i] = Value.ACTIVE if active else Value.INACTIVE

    def see(self, line: int, level: bool) -> None:
        if self._settings[line].edge_detection != _ext.EDGE_BOTH:
            return
        self._number += 1
        kind = _ext.EDGE_EVENT_TYPE_RISING if level else _ext.EDGE_EVENT_TYPE_FALLING
        now_ns = time.monotonic_ns()
        self._events.append(gpiod.EdgeEvent(kind, now_ns, line, self._number, self._number))
        del self._events[: -self._buffer]
        os.eventfd_write(self.fd, 1)

    def read_edge_events(self, most: int) -> list[gpiod.EdgeEvent]:
        read, self._events = self._events[:most], self._events[most:]
        if not self._events:
            os.eventfd_read(self.fd)
        return read

    def release(self) -> None:
        os.close(self.fd)
        for line in self.offsets:
            del self._chip.holders[line]


class JetsonHeader(ModuleType):
    """The header of a Jetson: pins 7 to 40, of which 40 is another program's."""

    BOARD, BCM = 10, 11
    OUT, IN, UNKNOWN = 0, 1, -1

    def __init__(self) -> None:
        super().__init__("Jetson.GPIO")
        self.wires = dict.fromkeys(range(7, 41), False)
        self._mode: int | None = None
        self._directions: dict[int, int] = {}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vendor = ModuleType("Jetson")
        vendor.GPIO = self  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "Jetson", vendor)

    def setmode(self, mode: int) -> None:
        if self._mode and mode != self._mode:
            raise ValueError("A different mode has already been set!")
        self._mode = mode

    def gpio_function(self, pin: int) -> int:
        self._check(pin)
        return self._directions.get(pin, self.UNKNOWN)

    def setup(self, pin: int, direction: int, initial: int | None = None) -> None:
        self._check(pin)
        if pin == 40:
            raise OSError(errno.EBUSY, "Opening output line handle: Device or resource busy")
        self._directions[pin] = direction
        if direction == self.OUT:
            self.wires[pin] = initial != 0

    def output(self, pin: int, value: int) -> None:
        if self._directions.get(pin) != self.OUT:
            raise RuntimeError("The GPIO channel has not been set up as an OUTPUT")
        self.wires[pin] = bool(value)

    def input(self, pin: int) -> int:
        if pin not in self._directions:
            raise RuntimeError("You must setup() the GPIO channel first")
        return int(self.wires[pin])

    def cleanup(self, pin: int) -> None:
        self._directions.pop(pin, None)

    def _check(self, pin: int) -> None:
        if self._mode is None:
            raise RuntimeError("Please set pin numbering mode using GPIO.setmode(GPIO.BOARD)")
        if pin not in self.wires:
            raise ValueError(f"Channel {pin} is invalid")


def quadrature(steps: Iterable[int], start: int = 0) -> Iterable[tuple[bool, bool]]:
    """The levels of A and B after each step, forward where it is 1."""
    place = start
    for step in steps:
        place += step
        yield place % 4 in {1, 2}, place % 4 in {2, 3}
