"""Outputs and inputs by gpiozero's pin factories; the only place that knows gpiozero."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from gpiozero import InputDevice, OutputDevice

from firmware_bridge.errors import LineError
from firmware_bridge.lines.line import InputLine, OutputLine, Pull

Factory = Literal["lgpio", "native", "pigpio", "mock"]


class GpiozeroOutput(OutputLine):
    """A Raspberry Pi's pin, by any name that gpiozero has for it ("GPIO17", "J8:11").

    `factory` is what drives it: lgpio or native on the Pi itself, pigpio by its daemon, mock
    nowhere. Once it is closed the pin is an input: the pull in hardware decides.
    """

    def __init__(
        self, pin: str, *, factory: Factory, safe_active: bool | None, active_low: bool = False
    ) -> None:
        self._name = f"{factory} pin {pin}"
        self._safe_active = safe_active
        self._device = _claim(
            self._name,
            lambda: OutputDevice(
                pin,
                active_high=not active_low,
                initial_value=safe_active,  # None leaves the pin as it is
                pin_factory=pin_factory(factory),
            ),
        )
        self._active = bool(self._device.value)

    @property
    def active(self) -> bool:
        return self._active

    def set(self, active: bool) -> None:
        _check_claimed(self._name, self._device)
        try:
            self._device.value = active
        except Exception as error:  # each pin factory raises the errors of its own library
            raise _lost(self._name, error) from error
        self._active = active

    def close(self) -> None:
        if not self._device.closed:
            try:
                if self._safe_active is not None:
                    self.set(self._safe_active)
            finally:
                self._device.close()


class GpiozeroInput(InputLine):
    """A Raspberry Pi's pin, named and driven as for an output."""

    def __init__(
        self, pin: str, *, factory: Factory, active_low: bool = False, pull: Pull = "as_is"
    ) -> None:
        self._name = f"{factory} pin {pin}"
        self._active_low = active_low
        self._device = _claim(self._name, lambda: _input(pin, factory, pull))

    def read(self) -> bool:
        _check_claimed(self._name, self._device)
        try:
            return bool(self._device.pin.state) != self._active_low
        except Exception as error:
            raise _lost(self._name, error) from error

    def close(self) -> None:
        self._device.close()


@cache
def pin_factory(name: Factory) -> Any:
    """One for the process, since it is what knows which pins are taken."""
    (factory,) = entry_points(group="gpiozero_pin_factories", name=name)
    try:
        return factory.load()()
    except Exception as error:  # each pin factory raises the errors of its own library
        raise LineError(
            f"gpiozero's factory {name}: {error}: see that this is a Raspberry Pi, that the "
            "factory's package is installed and its daemon, if it has one, running"
        ) from error


def _input(pin: str, factory: Factory, pull: Pull) -> Any:
    device = InputDevice(pin, pull_up=None, active_state=True, pin_factory=pin_factory(factory))
    if pull in {"up", "down"}:
        device.pin.pull = pull
    return device


def _claim(name: str, claim: Callable[[], Any]) -> Any:
    try:
        return claim()
    except LineError:
        raise
    except Exception as error:
        raise LineError(
            f"{name}: {error}: choose a pin that `pinout` shows, that no other line here has and "
            "no other program holds"
        ) from error


def _check_claimed(name: str, device: Any) -> None:
    if device.closed:
        raise LineError(f"{name}: is closed: claim it anew")


def _lost(name: str, error: Exception) -> LineError:
    return LineError(f"{name}: {error}: see that the pin is still there")
