"""The ports to outputs, inputs and encoders, and an adapter for each driver."""

from firmware_bridge.lines.encoder import Encoder, LastReading, SimulatedEncoder, Speed
from firmware_bridge.lines.line import InputLine, OutputLine
from firmware_bridge.lines.memory_line import History, MemoryInput, MemoryLine
from firmware_bridge.lines.shared_memory import SharedHistory, SharedReading, SharedWords

__all__ = [
    "Encoder",
    "History",
    "InputLine",
    "LastReading",
    "MemoryInput",
    "MemoryLine",
    "OutputLine",
    "SharedHistory",
    "SharedReading",
    "SharedWords",
    "SimulatedEncoder",
    "Speed",
]
