"""The rejectors that `benchmarks.reject_timing` measures, each on a line that really runs.

A bench's pulses are the rail under the actuator while its output was active. They are taken where
the output ends, and by its own clock: at the memory line's pin, and in the PLC when it was written.
A co-processor's encoder is its own, so its pulses are those that it measured there.
"""

from __future__ import annotations

import os
import pickle
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.ports import free_port
from edge.extras import install
from firmware_bridge.board.serial_link import SerialLink
from firmware_bridge.core import Actuator, ActuatorTraits, News
from firmware_bridge.desk import DeskSettings, OrderDesk, Output, ProcessRejector, Rejector, Rig
from firmware_bridge.lines import MemoryLine, SharedHistory, SimulatedEncoder, Speed
from firmware_bridge.types import SECOND_NS, Pulse

SETTINGS = ActuatorTraits(offset_um=0)  # no margin: what is late shows
PRIORITY = 50  # of the real-time benches
COUNTS_PER_S = 20_000  # of the firmware's simulated wheel
# The machine is loaded on purpose.
ALL_MAY_PASS = DeskSettings(default_reject=False, silence_ns=5 * SECOND_NS)
FIRMWARE = Path(__file__).parents[2] / "firmware_bridge" / "firmware"
clock_ns = time.monotonic_ns

Stretch = tuple[int, int]  # from_um, until_um


class Unavailable(Exception):
    """What this bench needs is not on this machine."""


@dataclass(frozen=True)
class Bench:
    """A rejector on a rail that moves."""

    desk: OrderDesk
    position_um: Callable[[], int]
    pulses: Callable[[], list[Stretch]]
    pauses: int = 1  # times as long between orders, where news of more would not get through


OpenBench = Callable[[int, ExitStack], Bench]  # speed um/s


def in_process(um_per_s: int, stack: ExitStack, *, priority: int = 0) -> Bench:
    """The reject thread, in the process that inspects."""
    encoder, history = SimulatedEncoder(clock_ns, [Speed(0, um_per_s)]), SharedHistory()
    rig = open_memory_rig(encoder, history, stack)
    desk = stack.enter_context(Rejector(rig, clock_ns, ALL_MAY_PASS, priority=priority))
    return _at_a_pin(desk, encoder, history)


def process(um_per_s: int, stack: ExitStack, *, priority: int = 0) -> Bench:
    """The reject process."""
    encoder, history = SimulatedEncoder(clock_ns, [Speed(0, um_per_s)]), SharedHistory()
    claim = partial(open_memory_rig, encoder, history)
    desk = ProcessRejector(claim, clock_ns, ALL_MAY_PASS, priority=priority)
    return _at_a_pin(stack.enter_context(desk), encoder, history)


def modbus(um_per_s: int, stack: ExitStack) -> Bench:
    """The reject process, which writes a coil of a PLC on this machine and reads it back."""
    encoder, history = SimulatedEncoder(clock_ns, [Speed(0, um_per_s)]), SharedHistory()
    port = stack.enter_context(_plc(history))
    claim = partial(open_modbus_rig, encoder, port)
    desk = ProcessRejector(claim, clock_ns, ALL_MAY_PASS)
    return _at_a_pin(stack.enter_context(desk), encoder, history)


def co_processor(um_per_s: int, stack: ExitStack) -> Bench:
    """The firmware, built for this machine, at the other end of a pty."""
    image = _build("host", "gcc", stack)
    wires, port = _cable(stack)
    board = subprocess.Popen(
        [image / "host"], stdin=wires.fileno(), stdout=wires.fileno(), stderr=subprocess.DEVNULL
    )
    stack.callback(_end, board)
    _prefer(board)
    return _linked(port, um_per_s, stack)


def emulated_co_processor(um_per_s: int, stack: ExitStack) -> Bench:
    """The Cortex-M image in QEMU, over its UART and a pty; its clock runs along with ours."""
    if shutil.which("qemu-system-arm") is None:
        raise Unavailable("apt-get install qemu-system-arm")
    image = _build("an385", "arm-none-eabi-gcc", stack)
    wires, port = _cable(stack)
    command = ["qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-monitor", "none"]
    command += ["-icount", "shift=5,align=on", "-kernel", str(image / "an385.elf")]
    command += ["-chardev", f"socket,id=wires,fd={wires.fileno()}", "-serial", "chardev:wires"]
    board = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[wires.fileno()],
    )
    stack.callback(_end, board)
    _prefer(board, spins=True)
    return replace(_linked(port, um_per_s, stack), pauses=6)


BENCHES: dict[str, OpenBench] = {
    "thread": in_process,
    "thread, real-time": partial(in_process, priority=PRIORITY),
    "process": process,
    "process, real-time": partial(process, priority=PRIORITY),
    "Modbus coil": modbus,
    "co-processor, host-built": co_processor,
    "co-processor, QEMU": emulated_co_processor,
}


def open_memory_rig(encoder: SimulatedEncoder, history: SharedHistory, stack: ExitStack) -> Rig:
    line = stack.enter_context(MemoryLine(clock_ns, safe_active=True, history=history))
    return Rig(encoder, [Output(Actuator("reject", SETTINGS), line)])


def open_modbus_rig(encoder: SimulatedEncoder, port: int, stack: ExitStack) -> Rig:
    from firmware_bridge.lines.modbus_line import (  # noqa: PLC0415 - needs pymodbus
        ModbusOutput,
        PlcPlace,
    )

    coil = PlcPlace("127.0.0.1", "coil", 0, port=port, timeout_ns=SECOND_NS)
    line = stack.enter_context(ModbusOutput(coil, safe_active=True))
    return Rig(encoder, [Output(Actuator("reject", SETTINGS), line)])


def serve_plc(port: int, history: SharedHistory) -> None:
    """A PLC that notes when it is told to change its first coil."""
    from pymodbus.datastore import (  # noqa: PLC0415 - as above
        ModbusDeviceContext,
        ModbusSequentialDataBlock,
        ModbusServerContext,
    )
    from pymodbus.pdu.bit_message import WriteSingleCoilRequest  # noqa: PLC0415
    from pymodbus.server import StartTcpServer  # noqa: PLC0415

    def note(sending: bool, pdu: Any) -> Any:
        if not sending and isinstance(pdu, WriteSingleCoilRequest):
            active = bool(pdu.bits[0])
            if not len(history) or history[-1][1] is not active:
                history.append((clock_ns(), active))
        return pdu

    coils = ModbusSequentialDataBlock(1, [True] * 8)  # type: ignore[no-untyped-call]
    device = ModbusDeviceContext(co=coils)
    StartTcpServer(ModbusServerContext(device), address=("127.0.0.1", port), trace_pdu=note)


@contextmanager
def _plc(history: SharedHistory) -> Iterator[int]:
    """A PLC in a process of its own; its port, once it listens."""
    if find_spec("pymodbus") is None:
        raise Unavailable(install("modbus"))
    port = free_port()
    seen_there = f"pickle.loads(bytes.fromhex({pickle.dumps(history).hex()!r}))"
    command = f"import pickle, {__name__} as b; b.serve_plc({port}, {seen_there})"
    plc = subprocess.Popen(
        [sys.executable, "-c", command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _listens(port):
            time.sleep(0.05)
            assert plc.poll() is None
        yield port
    finally:
        _end(plc)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _at_a_pin(desk: OrderDesk, encoder: SimulatedEncoder, history: SharedHistory) -> Bench:
    def pulses() -> list[Stretch]:
        edges = list(history)[1:]  # it is released when it begins, and rejects in the end
        if edges[-1][1]:
            edges.pop()
        places = [encoder.position_um(at_ns) for at_ns, _ in edges[1:]]
        return list(zip(places[::2], places[1::2], strict=True))

    return Bench(desk, lambda: encoder.read().position_um, pulses)


def _linked(port: str, um_per_s: int, stack: ExitStack) -> Bench:
    nm_per_count = um_per_s * 1000 // COUNTS_PER_S
    pulses: list[Stretch] = []

    def watch(news: News) -> None:
        if isinstance(news.event, Pulse):
            pulses.append((news.event.from_um, news.event.until_um))

    link = SerialLink(
        port,
        SETTINGS,
        clock_ns,
        ALL_MAY_PASS,
        fastest_um_s=2 * um_per_s,
        nm_per_count=nm_per_count,
        watch=watch,
    )
    stack.enter_context(link)
    return Bench(link, lambda: link.read().position_um, lambda: pulses)


def _build(target: str, compiler: str, stack: ExitStack) -> Path:
    missing = [tool for tool in ("make", compiler) if shutil.which(tool) is None]
    if missing or not (FIRMWARE / "Makefile").exists():
        raise Unavailable(f"the firmware's sources and {' and '.join(missing or ['make'])}")
    into = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    subprocess.run(["make", "-s", "-C", FIRMWARE, f"BUILD={into}", target], check=True)
    return into


def carry(master: int, wires: int) -> None:
    """Bytes between a pty and a board, in a process of its own: a UART waits for nobody."""
    ends = select.poll()
    for end in (master, wires):
        ends.register(end, select.POLLIN)
    others = {master: wires, wires: master}
    while True:
        for end, _ in ends.poll():
            os.write(others[end], os.read(end, 4096))


def _cable(stack: ExitStack) -> tuple[socket.socket, str]:
    """Where the board is wired to, and the serial port at the other end."""
    wires, carried = socket.socketpair()
    stack.enter_context(wires)
    master, slave = os.openpty()
    tty.setraw(slave)
    stack.callback(os.close, slave)
    command = f"from {__name__} import carry; carry({master}, {carried.fileno()})"
    with carried:
        cable = subprocess.Popen(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            pass_fds=[master, carried.fileno()],
        )
    os.close(master)
    stack.callback(_end, cable)
    _prefer(cable)
    return wires, os.ttyname(slave)


def _prefer(board: subprocess.Popen[bytes], *, spins: bool = False) -> None:
    """A board has no other work; what stands in for one must not wait for any either."""
    try:
        if spins:  # and would let nothing else run
            os.setpriority(os.PRIO_PROCESS, board.pid, -20)
        else:
            os.sched_setscheduler(board.pid, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError as refused:
        raise Unavailable("the right to run a stand-in for a board ahead of the load") from refused


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
