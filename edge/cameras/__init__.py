"""Cameras: frames in order, each with its time and its stretch of rail; an adapter a kind."""

from edge.cameras.calibrating import by_board, by_marks
from edge.cameras.calibration import Rectifier, read_calibration, write_calibration
from edge.cameras.camera import Camera, CameraCounts, PreparedSource, Source, as_it_is
from edge.cameras.camera_faults import Fault, Faults
from edge.cameras.live_camera import LiveCamera
from edge.cameras.memory_camera import Memory
from edge.cameras.ring import Laying
from edge.cameras.track import Place

__all__ = [
    "Camera",
    "CameraCounts",
    "Fault",
    "Faults",
    "Laying",
    "LiveCamera",
    "Memory",
    "Place",
    "PreparedSource",
    "Rectifier",
    "Source",
    "as_it_is",
    "by_board",
    "by_marks",
    "read_calibration",
    "write_calibration",
]
