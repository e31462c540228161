"""Outputs and inputs on a Jetson's 40-pin header; the only place that knows Jetson.GPIO."""

from __future__ import annotations

from typing import Any

from firmware_bridge.errors import LineError
from firmware_bridge.lines.line import InputLine, OutputLine


class JetsonOutput(OutputLine):
    """A pin by its number on the header (1 to 40), driven high and low."""

    def __init__(self, pin: int, *, safe_active: bool | None, active_low: bool = False) -> None:
        self._pin = pin
        self._safe_active = safe_active
        self._active_low = active_low
        if safe_active is None:
            with JetsonInput(pin, active_low=active_low) as as_it_is:
                self._active = as_it_is.read()
        else:
            self._active = safe_active
        self._gpio = _claim(pin, output=True, level=self._active != active_low)

    @property
    def active(self) -> bool:
        return self._active

    def set(self, active: bool) -> None:
        if self._gpio is None:
            raise LineError(f"Jetson pin {self._pin}: is closed: claim it anew")
        try:
            self._gpio.output(self._pin, int(active != self._active_low))
        except OSError as error:
            raise _lost(self._pin, error) from error
        self._active = active

    def close(self) -> None:
        if self._gpio is not None:
            try:
                if self._safe_active is not None:
                    self.set(self._safe_active)
            finally:
                self._gpio.cleanup(self._pin)
                self._gpio = None


class JetsonInput(InputLine):
    """A pin by its number on the header (1 to 40). Its pull is set by the board's pinmux alone."""

    def __init__(self, pin: int, *, active_low: bool = False) -> None:
        self._pin = pin
        self._active_low = active_low
        self._gpio = _claim(pin, output=False)

    def read(self) -> bool:
        if self._gpio is None:
            raise LineError(f"Jetson pin {self._pin}: is closed: claim it anew")
        try:
            return bool(self._gpio.input(self._pin)) != self._active_low
        except OSError as error:
            raise _lost(self._pin, error) from error

    def close(self) -> None:
        if self._gpio is not None:
            self._gpio.cleanup(self._pin)
            self._gpio = None


def _claim(pin: int, *, output: bool, level: bool = False) -> Any:
    """The vendor's module, through which the pin is now ours."""
    gpio = _vendor()
    try:
        gpio.setmode(gpio.BOARD)
        is_ours = gpio.gpio_function(pin) in {gpio.IN, gpio.OUT}
        if output and not is_ours:
            gpio.setup(pin, gpio.OUT, initial=int(level))
        elif not is_ours:
            gpio.setup(pin, gpio.IN)
    except ValueError as error:
        raise LineError(f"Jetson pin {pin}: {error}: choose a GPIO pin of the header") from error
    except OSError as error:
        raise LineError(
            f"Jetson pin {pin}: {error}: if another program holds it, find it with `gpioinfo` and "
            "stop it; if the pin is not set to GPIO, do so with jetson-io"
        ) from error
    if is_ours:  # the vendor's library would take it from the other line without a word
        raise LineError(f"Jetson pin {pin}: another line here has it: choose another pin")
    return gpio


def _vendor() -> Any:
    try:
        from Jetson import GPIO  # noqa: PLC0415 - off a Jetson, importing it is an error
    except ImportError:
        raise
    except Exception as error:  # the vendor's library raises plain Exceptions
        raise LineError(f"{error}: run on a Jetson, as a member of its group gpio") from error
    return GPIO


def _lost(pin: int, error: OSError) -> LineError:
    return LineError(f"Jetson pin {pin}: {error}: see that its chip is still there")
