"""The line file: the whole format, a section a file, each mistake named with its remedy."""

from edge.line_file.camera import (
    CameraSettings,
    GenicamSettings,
    HardwareSettings,
    LiveSettings,
    Picamera2Settings,
    RtspSettings,
    ScaledSettings,
    SyntheticSettings,
    V4l2Settings,
    VideoSettings,
)
from edge.line_file.encoder import (
    EncoderSettings,
    GpiodEncoderSettings,
    ModbusEncoderSettings,
    SerialEncoderSettings,
    SimulatedEncoderSettings,
)
from edge.line_file.engine import (
    AutoSettings,
    EngineChoice,
    EngineSettings,
    LiteRtSettings,
    NativeSettings,
    OnnxRuntimeSettings,
    OpenVinoSettings,
    settings_for,
)
from edge.line_file.fleet import BoxName, FleetSettings, HawkbitSettings
from edge.line_file.line import EXAMPLES, LineSettings, PublicKey, line_schema, read_line
from edge.line_file.lookout import Lookout, width_of
from edge.line_file.places import (
    CoilSettings,
    FileNameSettings,
    GpsSettings,
    KeyNameSettings,
    ModbusNameSettings,
    MqttNameSettings,
    PlacesSettings,
    PostsSettings,
)
from edge.line_file.reject import (
    ActuatorSettings,
    Confirm,
    HeartbeatSettings,
    InputSettings,
    OneHeartbeat,
    RejectSettings,
)
from edge.line_file.reports import ReportsSettings
from edge.line_file.rules import MinArea, Quality, Rules, too_small
from edge.line_file.section import Section
from edge.line_file.storage import DATABASE, JOURNAL, StoreSettings, SwapSettings
from edge.line_file.telemetry import MetricsSettings, MqttSettings, TlsSettings
from edge.line_file.view import OVERLAP_PX, Polygon, RegionSettings, TileSettings
from edge.line_file.web import WebSettings
from edge.line_file.wires import InputWire, OutputWire

__all__ = [
    "DATABASE",
    "EXAMPLES",
    "JOURNAL",
    "OVERLAP_PX",
    "ActuatorSettings",
    "AutoSettings",
    "BoxName",
    "CameraSettings",
    "CoilSettings",
    "Confirm",
    "EncoderSettings",
    "EngineChoice",
    "EngineSettings",
    "FileNameSettings",
    "FleetSettings",
    "GenicamSettings",
    "GpiodEncoderSettings",
    "GpsSettings",
    "HardwareSettings",
    "HawkbitSettings",
    "HeartbeatSettings",
    "InputSettings",
    "InputWire",
    "KeyNameSettings",
    "LineSettings",
    "LiteRtSettings",
    "LiveSettings",
    "Lookout",
    "MetricsSettings",
    "MinArea",
    "ModbusEncoderSettings",
    "ModbusNameSettings",
    "MqttNameSettings",
    "MqttSettings",
    "NativeSettings",
    "OneHeartbeat",
    "OnnxRuntimeSettings",
    "OpenVinoSettings",
    "OutputWire",
    "Picamera2Settings",
    "PlacesSettings",
    "Polygon",
    "PostsSettings",
    "PublicKey",
    "Quality",
    "RegionSettings",
    "RejectSettings",
    "ReportsSettings",
    "RtspSettings",
    "Rules",
    "ScaledSettings",
    "Section",
    "SerialEncoderSettings",
    "SimulatedEncoderSettings",
    "StoreSettings",
    "SwapSettings",
    "SyntheticSettings",
    "TileSettings",
    "TlsSettings",
    "V4l2Settings",
    "VideoSettings",
    "WebSettings",
    "line_schema",
    "read_line",
    "settings_for",
    "too_small",
    "width_of",
]
