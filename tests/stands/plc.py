"""A PLC for the tests: a Modbus TCP server in a process of its own, which can be killed."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from pymodbus.client import ModbusTcpClient
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer

from benchmarks.ports import free_port

WORDS = 100  # of each table; the PLC refuses what lies beyond


class Plc:
    """The server, and a client of its own to look into it and to change what is there."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, __file__, str(self.port)]
        self._server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        give_up_s = time.monotonic() + 30
        self._client = ModbusTcpClient("127.0.0.1", port=self.port, timeout=5)
        while not self._listens():
            assert time.monotonic() < give_up_s and self._server.poll() is None
            time.sleep(0.05)

    def kill(self) -> None:
        self._client.close()
        self._server.kill()
        self._server.wait()

    def coil(self, address: int) -> bool:
        return bool(self._client.read_coils(address).bits[0])

    def register(self, address: int) -> int:
        return int(self._client.read_holding_registers(address).registers[0])

    def set_coil(self, address: int, level: bool) -> None:
        assert not self._client.write_coil(address, level).isError()

    def set_registers(self, address: int, words: list[int]) -> None:
        assert not self._client.write_registers(address, words).isError()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Plc:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serve(port: int) -> None:
    bits = [ModbusSequentialDataBlock(1, [False] * WORDS) for _ in range(2)]
    words = [ModbusSequentialDataBlock(1, [0] * WORDS) for _ in range(2)]
    device = ModbusDeviceContext(co=bits[0], di=bits[1], hr=words[0], ir=words[1])
    StartTcpServer(ModbusServerContext(device), address=("127.0.0.1", port))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
