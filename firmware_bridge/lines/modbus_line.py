"""Outputs, inputs and a counter in a PLC, over Modbus TCP; the only place that knows pymodbus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from firmware_bridge.core import CountedPosition, SpeedLimit
from firmware_bridge.errors import EncoderError, LineError
from firmware_bridge.ledger import Known, Place
from firmware_bridge.lines.counting_axis import CountingAxis
from firmware_bridge.lines.line import InputLine, OutputLine
from firmware_bridge.types import SECOND_NS, Clock, Closing, Reading

PORT = 502
TIMEOUT_NS = SECOND_NS // 4  # a PLC answers within a few of its cycles, or not at all

Table = Literal["coil", "discrete_input", "holding_register", "input_register"]


@dataclass(frozen=True)
class PlcPlace:
    """One address in one PLC."""

    host: str
    table: Table  # an output's is a coil's or a holding register's, a number's one of registers
    address: int
    port: int = PORT
    unit: int = 1
    timeout_ns: int = TIMEOUT_NS

    def __str__(self) -> str:
        return f"{self.host}:{self.port} unit {self.unit} {self.table} {self.address}"


class ModbusOutput(OutputLine):
    """A coil, or a register that is 1 or 0; each `set` is read back.

    The PLC keeps what it was told last, even when nobody is left to tell it more: have its program
    watch the heartbeat and reject by itself (see WIRING.md). After an error `set` connects anew.
    """

    def __init__(
        self, place: PlcPlace, *, safe_active: bool | None, active_low: bool = False
    ) -> None:
        self._place = _Connected(place)
        self._safe_active = safe_active
        self._active_low = active_low
        if safe_active is None:
            self._active = bool(self._place.read()[0]) != active_low
        else:
            self.set(safe_active)

    @property
    def active(self) -> bool:
        return self._active

    def set(self, active: bool) -> None:
        self._place.write(active != self._active_low)
        self._active = active

    def close(self) -> None:
        if not self._place.is_closed:
            try:
                if self._safe_active is not None:
                    self.set(self._safe_active)
            finally:
                self._place.close()


class ModbusInput(InputLine):
    """A bit, or a register that is active when it is not 0. After an error `read` connects anew."""

    def __init__(self, place: PlcPlace, *, active_low: bool = False) -> None:
        self._place = _Connected(place)
        self._active_low = active_low
        self.read()

    def read(self) -> bool:
        return bool(self._place.read()[0]) != self._active_low

    def close(self) -> None:
        self._place.close()


class ModbusRegister(Closing):
    """A number that the PLC's program keeps in one register, or in two that follow each other."""

    def __init__(
        self, place: PlcPlace, *, bits: Literal[16, 32] = 16, low_word_first: bool = False
    ) -> None:
        self._place = _Connected(place)
        self._words, self._low_word_first = bits // 16, low_word_first

    def read(self) -> int:
        words, number = self._place.read(self._words), 0
        for word in reversed(words) if self._low_word_first else words:
            number = number << 16 | word
        return number

    def close(self) -> None:
        self._place.close()


class ModbusEncoder(Closing):
    """A counter that the PLC keeps in one register, or in two that follow each other.

    It may roll over. A leap that the line is not fast enough for, such as a PLC that was restarted
    and counts from 0 again, is an EncoderError: nobody knows then where the rail is.

    It counts on while no program reads it, and `place` finds the rail again that a run before has
    seen, unless the PLC may have been restarted or the counter may have gone round meanwhile.
    """

    def __init__(
        self,
        place: PlcPlace,
        clock: Clock,
        *,
        bits: Literal[16, 32] = 16,
        low_word_first: bool = False,
        nm_per_count: int,
        fastest_um_s: int,
    ) -> None:
        self._register = ModbusRegister(place, bits=bits, low_word_first=low_word_first)
        self._clock = clock
        self._position = CountedPosition(bits=bits, nm_per_count=nm_per_count)
        self._limit = SpeedLimit(fastest_um_s, slack_um=abs(nm_per_count) // 1000 + 1)
        order = "low word first" if low_word_first else "high word first"
        at = f"{place.host}:{place.port}/{place.unit}/{place.table}/{place.address}"
        name = f"{at} {bits} bits {order} {nm_per_count} nm"
        self._axis = CountingAxis(
            name, bits=bits, nm_per_count=nm_per_count, fastest_um_s=fastest_um_s
        )
        self._first, at_ns = self._ask()
        self._limit.check(Reading(self._position.position_um(self._first), at_ns))

    def place(self, before: Known | None) -> Place:
        """Where position 0 lies: on the axis of the run before, if the counting was not broken."""
        return self._axis.place(self._first, before)

    def read(self) -> Reading:
        raw, at_ns = self._ask()
        reading = Reading(self._position.position_um(raw), at_ns)
        self._limit.check(reading)
        return reading

    def close(self) -> None:
        self._register.close()

    def _ask(self) -> tuple[int, int]:
        """What the counter shows, and when it did."""
        asked_ns = self._clock()
        try:
            raw = self._register.read()
        except LineError as error:
            raise EncoderError(str(error)) from error
        return raw, (asked_ns + self._clock()) // 2


class _Connected:
    """A place on a connection of its own, so that threads need not wait in line."""

    def __init__(self, place: PlcPlace) -> None:
        self.is_closed = False
        self._place = place
        self._at = {"address": place.address, "device_id": place.unit}
        self._client: Any = ModbusTcpClient(
            place.host, port=place.port, timeout=place.timeout_ns / SECOND_NS, retries=0
        )

    def read(self, count: int = 1) -> list[int]:
        """The words, or the bits, from the address on."""
        ask = {
            "coil": self._client.read_coils,
            "discrete_input": self._client.read_discrete_inputs,
            "holding_register": self._client.read_holding_registers,
            "input_register": self._client.read_input_registers,
        }[self._place.table]
        answer = self._ask(lambda: ask(count=count, **self._at))
        values: list[int] = answer.registers if "register" in self._place.table else answer.bits
        if len(values) < count:
            raise self._failed(
                f"the PLC answered with {len(values)} of {count} values",
                "check table and address against the PLC's Modbus map, and its firmware",
            )
        return values

    def write(self, level: bool) -> None:
        if self._place.table == "coil":
            self._ask(lambda: self._client.write_coil(value=level, **self._at))
        else:
            self._ask(lambda: self._client.write_register(value=int(level), **self._at))
        if bool(self.read()[0]) is not level:
            raise self._failed(
                f"was set to {int(level)} and reads otherwise",
                "see that the PLC's program does not write it too",
            )

    def close(self) -> None:
        self.is_closed = True
        self._client.close()

    def _ask(self, question: Callable[[], Any]) -> Any:
        if self.is_closed:
            raise LineError(f"{self._place}: is closed: claim it anew")
        try:
            answer = question()
        except (ModbusException, OSError) as error:
            remedy = "check the PLC's address, its supply and the network cable"
            raise self._failed(str(error), remedy) from error
        if answer.isError():
            raise self._failed(
                f"the PLC refuses it (exception {answer.exception_code})",
                "check unit, table and address against the PLC's Modbus map",
            )
        return answer

    def _failed(self, what: str, remedy: str) -> LineError:
        """Hang up too: an answer that comes after all must not be taken for the next one."""
        self._client.close()
        return LineError(f"{self._place}: {what}: {remedy}")
