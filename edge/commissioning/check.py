"""`trackside check`: everything a line file names is opened, and its deadlines are worked out."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from threading import Event

from edge.assembly import Line, is_line_scan, live_settings, open_camera, open_line
from edge.bundle import Manifest
from edge.cameras import read_calibration
from edge.certificate import judgement_of, read_certificate, read_signed, uncovered
from edge.checks import Check
from edge.clock import clock_ns
from edge.errors import CameraError, ConfigurationError, FrameError
from edge.extras import require
from edge.inspect import Inspection, Shown, TiledView, read_baseline
from edge.line_file import (
    ActuatorSettings,
    CameraSettings,
    LineSettings,
    MetricsSettings,
    MqttSettings,
    RtspSettings,
    ScaledSettings,
    StoreSettings,
    TileSettings,
    WebSettings,
)
from edge.serving import bound
from edge.store import try_store
from edge.telemetry import Spool
from edge.types import Frame, State, Stretch, Verdict

ROUNDS = 31  # inspections; the slowest stands for the line's latency


def check_line(config: LineSettings, rounds: int = ROUNDS) -> list[Check]:
    """Open all that it names (each refuses with its own error), then do the sums."""
    frame = first_frame(config)
    with open_line(config) as line:
        inspections = [_inspect_now(line, frame, number) for number in range(rounds)]
        latency_ms = max(i.latency_ns for i in inspections[1:]) / 1e6  # the first one warms up
        manifest = line.bundle.manifest
        signed = ", signed by the pinned key" if config.bundle_key else ""
        return [
            Check("bundle", True, f"{manifest.name}: every file matches its sha256{signed}"),
            Check("engine", True, f"{line.engine.name}: reproduces the golden pair"),
            *check_bridge(line),
            *check_calibration(config.camera),
            check_sight(frame, inspections[-1].verdict),
            check_scale(frame, manifest, config.cut_to),
            check_limits(frame, manifest),
            *check_tiles(line, frame),
            *check_pictures(config, frame, latency_ms),
            check_pace(config, frame, latency_ms),
            check_reach(config, frame, latency_ms),
            *check_store(config.store),
            *check_baseline(config.health.baseline),
            *check_certificate(line, frame),
            *check_telling(config),
        ]


def _inspect_now(line: Line, frame: Frame, number: int) -> Inspection:
    """As if it had just been taken of the rail further on: loading the engine may have made it
    stale, and a frame that follows another may take longer.
    """
    further = _further_on(frame, number)
    return line.inspector.inspect(replace(further, captured_ns=clock_ns()))


def _further_on(frame: Frame, number: int) -> Frame:
    by_um = number * (frame.stretch.end_um - frame.stretch.start_um)
    stretch = Stretch(frame.stretch.start_um + by_um, frame.stretch.end_um + by_um)
    return replace(frame, stretch=stretch)


def first_frame(config: LineSettings) -> Frame:
    """The camera's first good frame."""
    camera = open_camera(config.camera)
    try:
        for seen in islice(camera.frames(), 10):
            if isinstance(seen, Frame):
                return seen
    finally:
        camera.close()
    raise CameraError("the camera gave no good frame in ten: look at its source and its cable")


def check_sight(frame: Frame, verdict: Verdict) -> Check:
    """The network must be able to see something in the frame, or nothing was measured."""
    rows, columns = frame.image.shape[:2]
    detail = f"{columns}x{rows} px, {frame.stretch.length_mm:g} mm a frame"
    if verdict.state is not State.UNKNOWN:
        return Check("camera", True, detail)
    reasons = "; ".join(verdict.reasons)
    return Check("camera", False, f"{detail}, UNKNOWN ({reasons}): see to lamp, lens and `quality`")


def check_calibration(camera: CameraSettings) -> list[Check]:
    """There may be none."""
    if not isinstance(camera, ScaledSettings) or camera.calibration is None:
        return []
    return [Check("calibration", True, read_calibration(camera.calibration).describe())]


def check_scale(frame: Frame, manifest: Manifest, tiles: TileSettings | None) -> Check:
    """A defect must look about as large to the network as those it was trained on."""
    spec = manifest.input
    if tiles is None:
        shown_um, trained_um = frame.across_um, spec.um_per_px * spec.width / frame.image.shape[1]
    else:
        shown_um, trained_um = tiles.um_per_px or spec.um_per_px, spec.um_per_px
    ratio = shown_um / trained_um
    detail = f"{shown_um:g} um a pixel, the network was trained at {trained_um:g}"
    if 0.5 <= ratio <= 2:
        return Check("scale", True, detail)
    if tiles is not None:
        return Check("scale", False, f"{detail}: leave tiles.um_per_px out or train at this scale")
    remedy = "nearer" if ratio > 1 else "further away"
    return Check("scale", False, f"{detail}: bring the camera {remedy} or train at this scale")


def check_limits(frame: Frame, manifest: Manifest) -> Check:
    """A frame must be able to show what the network's limits let count."""
    limits = manifest.limits
    along_mm = frame.stretch.length_mm
    across_mm = frame.across_um * frame.image.shape[1] / 1000
    detail = f"a defect counts from {limits.min_area_mm2:g} mm2 and {limits.min_extent_mm:g} mm on"
    if limits.reached_by(along_mm * across_mm, max(along_mm, across_mm)):
        return Check("limits", True, detail)
    shown = f"a frame shows {along_mm:g} x {across_mm:g} mm"
    return Check("limits", False, f"{detail}, {shown}: take a bundle that is good for less")


def check_tiles(line: Line, frame: Frame) -> list[Check]:
    """How many tiles a frame is cut to that follows another; there may be none."""
    view, spec = line.inspector.view, line.bundle.manifest.input
    if not isinstance(view, TiledView):
        return []
    try:
        inside = line.inspector.region.inside(frame.image, frame.across_um)
    except FrameError:
        return []  # that nothing is to be seen in it has been said
    shown = view.widen(Shown(frame, inside), Shown(_further_on(frame, 1), inside), spec)
    tiles = len(view.cut(shown, spec, line.inspector.network.prepare))
    detail = f"{tiles} of {spec.width}x{spec.height} px a frame, {shown.rows_before} rows of it "
    return [Check("tiles", True, f"{detail}from the frame before")]


def check_pictures(config: LineSettings, frame: Frame, latency_ms: float) -> list[Check]:
    """Pictures of a camera that runs freely must overlap, and come before they are given up."""
    camera, speed_mm_s = live_settings(config.camera), config.encoder.speed_mm_s
    if camera is None:
        return []
    most_mm = frame.stretch.length_mm if is_line_scan(camera) else camera.overlap_mm
    fps: float | None = getattr(camera, "fps", None)
    step_mm = speed_mm_s / fps if fps else most_mm  # from one picture to the next
    detail = f"{speed_mm_s / most_mm:.3g} a second are needed" + (f", {fps:g} come" if fps else "")
    if step_mm > most_mm:
        remedy = f"raise camera.fps, or camera.overlap_mm to {math.ceil(step_mm)}"
        return [Check("pictures", False, f"{detail}: {remedy}")]
    # The rail is looked at when a frame has been judged, and given up a look ahead of the limit.
    on_the_way_mm = (camera.delay_ms + 2 * latency_ms) * speed_mm_s / 1000
    held_mm = step_mm if isinstance(camera, RtspSettings) else 0  # given when the next has come
    needed_mm = frame.stretch.length_mm + step_mm - most_mm + held_mm + on_the_way_mm
    if camera.lost_after_mm < needed_mm:
        remedy = f"good frames would be lost: set camera.lost_after_mm to {math.ceil(needed_mm)}"
        return [Check("pictures", False, remedy)]
    return [Check("pictures", True, f"{detail}; rail is lost after {camera.lost_after_mm:g} mm")]


def check_pace(config: LineSettings, frame: Frame, latency_ms: float) -> Check:
    """Each frame must be judged before the next one comes."""
    camera, step_mm = live_settings(config.camera), frame.stretch.length_mm
    if camera is not None and not is_line_scan(camera):
        step_mm -= camera.overlap_mm
    period_ms = step_mm / config.encoder.speed_mm_s * 1000
    detail = f"a frame every {period_ms:.1f} ms, judged within {latency_ms:.1f} ms"
    if latency_ms < period_ms:
        return Check("pace", True, detail)
    fastest = step_mm / latency_ms * 1000
    return Check("pace", False, f"{detail}: run the line below {math.floor(fastest)} mm/s")


def check_store(settings: StoreSettings | None) -> list[Check]:
    """There may be none."""
    if settings is None:
        return []
    last_id = try_store(settings.path)
    return [Check("store", True, f"{settings.path} can be written; its latest event is {last_id}")]


def check_baseline(path: Path | None) -> list[Check]:
    """There may be none."""
    if path is None:
        return []
    return [Check("baseline", True, f"{path}: {read_baseline(path).frames} frames")]


def check_certificate(line: Line, frame: Frame) -> list[Check]:
    """Whether what was shown of a line holds for this one; there may be no certificate."""
    path, key = line.config.certificate, line.config.bundle_key
    if path is None:
        return []
    scale_um = (frame.along_um, frame.across_um)
    try:
        certificate = read_certificate(path) if key is None else read_signed(path, key)
    except ConfigurationError as error:
        return [Check("certificate", True, f"covers nothing: {error}", warns=True)]
    now = judgement_of(line.config, line.bundle, line.engine.name, scale_um)
    if differences := uncovered(certificate, now):
        detail = (
            f"does not cover this line ({'; '.join(differences)}): run `trackside qualify` anew"
        )
        return [Check("certificate", True, detail, warns=True)]
    return [Check("certificate", True, f"{path.name} of {certificate.made[:10]} covers this line")]


def check_telling(config: LineSettings) -> list[Check]:
    """All that a line tells others by, open at once, as `run` has it: two may not share a port.

    While the line itself runs its ports are refused, as its pins and its store are.
    """
    with ExitStack() as stack:
        return [
            *check_mqtt(config.mqtt, stack),
            *check_metrics(config.metrics, stack),
            *check_page(config.web, stack),
        ]


def check_mqtt(settings: MqttSettings | None, stack: ExitStack) -> list[Check]:
    """The broker is told nothing, and need not be there: a line runs without it."""
    if settings is None:
        return []
    mqtt = import_module("edge.telemetry.mqtt")  # needs the extra `mqtt`
    spool = stack.enter_context(Spool(settings.spool, limit=settings.max_spooled))
    mqtt.MqttCourier(settings, spool, Event(), clock_ns)
    detail = f"{settings.spool} can be used, {len(spool)} messages wait in it"
    return [Check("mqtt", True, f"{detail}; the broker was not asked")]


def check_metrics(settings: MetricsSettings | None, stack: ExitStack) -> list[Check]:
    """There may be none."""
    if settings is None:
        return []
    metrics = import_module("edge.telemetry.metrics")  # needs the extra `metrics`
    require(*metrics.PACKAGES)
    stack.enter_context(bound(settings.address("metrics")))
    return [Check("metrics", True, f"can be served at {settings.host} port {settings.port}")]


def check_page(settings: WebSettings | None, stack: ExitStack) -> list[Check]:
    """There may be none."""
    if settings is None:
        return []
    live = import_module("edge.web.live")
    require(*live.PACKAGES)
    stack.enter_context(bound(settings.address("web")))
    detail = f"can be served at {settings.host} port {settings.port}"
    if settings.certificate is None and not settings.on_this_box_alone:
        detail += "; without `certificate:` whoever is on the way reads the token"
    return [Check("web", True, detail)]


def check_bridge(line: Line) -> list[Check]:
    """Outputs and inputs are claimed by now, and the encoder was read; the line still runs."""
    reject, inputs = line.config.reject, line.config.inputs
    line.bridge.check()
    outputs = [actuator.name for actuator in reject.actuators] + ["heartbeat"]
    outputs += ["stop line"] if reject.stop_line is not None else []
    place_mm = line.bridge.where().position_um / 1000
    checks = [
        Check("outputs", True, f"claimed: {', '.join(outputs)}"),
        Check("encoder", True, f"{line.config.encoder.type}: at {place_mm:.1f} mm"),
    ]
    sensors = [f"{a.name}'s sensor" for a in reject.actuators if a.confirm is not None]
    if names := [each.name for each in inputs] + sensors:
        mode = line.bridge.desk.mode.value
        checks.append(Check("inputs", True, f"read: {', '.join(names)}; the outputs are {mode}"))
    return checks


def check_reach(config: LineSettings, frame: Frame, latency_ms: float) -> Check:
    """The order for a frame's first row must come before that row is under an actuator.

    The frame is whole when its last row has passed, so its first row is a frame's length ahead. Of
    a camera that runs freely the order may come when the rail has gone on to where it is lost.
    """
    camera, seen_mm, shorten = live_settings(config.camera), frame.stretch.length_mm, "the frame"
    if camera is not None:
        seen_mm, shorten = camera.lost_after_mm, "camera.lost_after_mm"

    def spare_mm(actuator: ActuatorSettings) -> float:
        return actuator.room_mm(seen_mm, config.encoder.speed_mm_s, latency_ms)

    nearest = min(config.reject.actuators, key=spare_mm)
    spare, offset_mm = spare_mm(nearest), nearest.offset_mm
    detail = f"{nearest.name} is {offset_mm:g} mm on, {offset_mm - spare:.0f} mm are needed"
    if spare > 0:
        return Check("deadline", True, f"{detail}: {spare:.0f} mm to spare")
    remedy = f"move it {math.ceil(-spare)} mm further on, slow the line or shorten {shorten}"
    return Check("deadline", False, f"{detail}: {remedy}")
