"""Where orders are handed in, and the thread or the process that fires them."""

from firmware_bridge.desk.desk import DeskSettings, MeasuringDesk, OrderDesk
from firmware_bridge.desk.heartbeat import Heartbeat
from firmware_bridge.desk.input_watch import InputWatch, Sensor, Statement
from firmware_bridge.desk.process_rejector import ProcessRejector
from firmware_bridge.desk.record import RejectReport
from firmware_bridge.desk.rejector import Rejector
from firmware_bridge.desk.rig import Output, Rig

__all__ = [
    "DeskSettings",
    "Heartbeat",
    "InputWatch",
    "MeasuringDesk",
    "OrderDesk",
    "Output",
    "ProcessRejector",
    "RejectReport",
    "Rejector",
    "Rig",
    "Sensor",
    "Statement",
]
