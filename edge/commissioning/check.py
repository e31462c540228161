"""`trackside check`: everything a line file names is opened, and the sums are done of one frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from threading import Event

from edge.assembly import Line, open_camera, open_line
from edge.bridge import last_entry
from edge.cameras import read_calibration
from edge.certificate import judgement_of, read_certificate, read_signed, uncovered
from edge.checks import Check
from edge.clock import clock_ns
from edge.commissioning.sums import (
    check_limits,
    check_load,
    check_pace,
    check_pictures,
    check_reach,
    check_rules,
    check_scale,
    check_sight,
    check_tiles,
    further_on,
    period_ms_of,
)
from edge.errors import CameraError, ConfigurationError
from edge.extras import require
from edge.inspect import Inspection, Inspector, read_baseline
from edge.line_file import (
    CameraSettings,
    LineSettings,
    Lookout,
    MetricsSettings,
    MqttSettings,
    ReportsSettings,
    ScaledSettings,
    StoreSettings,
    WebSettings,
)
from edge.places import Journal, read_track
from edge.reports import prepare
from edge.serving import bound
from edge.store import try_store
from edge.swap import left_out
from edge.telemetry import Spool
from edge.types import Frame

ROUNDS = 31  # inspections; the slowest stands for the line's latency


def check_line(config: LineSettings, rounds: int = ROUNDS) -> list[Check]:
    """Open all that a line file names, then do the sums, for each camera by itself.

    What does not open raises its own error, as `open_line` does; what can be opened and is not good
    enough is a Check that did not pass.
    """
    frames = {each.name: first_frame(each) for each in config.lookouts}
    with open_line(_without_ledger(config)) as line:
        manifest = line.bundle.manifest
        signed = ", signed by the pinned key" if config.bundle_key else ""
        sights = [
            Sight(each, line.inspectors[each.name], frames[each.name], rounds)
            for each in config.lookouts
        ]
        return [
            Check("bundle", True, f"{manifest.name}: every file matches its sha256{signed}"),
            *check_named(config),
            Check("engine", True, f"{line.engine.name}: reproduces the golden pair"),
            *check_bridge(line),
            *(check for sight in sights for check in check_camera(sight, line)),
            *check_together(sights, config.workers),
            *check_store(config.store),
            *check_ledger(config.reject.ledger),
            *check_certificate(line, frames),
            *check_reports(config.reports),
            *check_places(config),
            *check_telling(config),
        ]


class Sight:
    """A frame of one camera, and what the line makes of it."""

    def __init__(self, lookout: Lookout, inspector: Inspector, frame: Frame, rounds: int) -> None:
        self.lookout, self.inspector, self.frame = lookout, inspector, frame
        inspections = [_inspect_now(inspector, frame, number) for number in range(rounds)]
        self.verdict = inspections[-1].verdict
        self.latency_ms = max(i.latency_ns for i in inspections[1:]) / 1e6  # the first warms up


def check_camera(sight: Sight, line: Line) -> Iterator[Check]:
    """What is worked out of one camera; of several each is named."""
    lookout, frame, latency_ms = sight.lookout, sight.frame, sight.latency_ms
    camera, manifest = lookout.camera, line.bundle.manifest
    for check in (
        *check_calibration(camera),
        check_sight(frame, sight.verdict),
        check_scale(frame, manifest, camera.cut_to),
        check_limits(frame, manifest),
        check_rules(lookout.rules, manifest),
        *check_tiles(sight.inspector, frame),
        *check_pictures(lookout, frame, latency_ms),
        check_pace(lookout, frame, latency_ms),
        *check_reach(lookout, frame, latency_ms),
        *check_baseline(camera, line.bundle.digest),
    ):
        yield check if lookout.is_alone else replace(check, name=f"{lookout.name} {check.name}")


def check_together(sights: Sequence[Sight], workers: int) -> list[Check]:
    """Whether several cameras keep up side by side; each by itself has been looked at already."""
    if len(sights) == 1:
        return []
    return [
        check_load(sum(s.latency_ms / period_ms_of(s.lookout, s.frame) for s in sights), workers)
    ]


def _without_ledger(config: LineSettings) -> LineSettings:
    """The orders that the run before left open are the next run's to end: a check ends none."""
    return config.model_copy(update={"reject": config.reject.model_copy(update={"ledger": None})})


def _inspect_now(inspector: Inspector, frame: Frame, number: int) -> Inspection:
    """As if it had just been taken of the rail further on: loading the engine may have made it
    stale, and a frame that follows another may take longer.
    """
    further = further_on(frame, number)
    return inspector.inspect(replace(further, captured_ns=clock_ns()))


def first_frame(lookout: Lookout) -> Frame:
    """The camera's first good frame; CameraError where there is none in ten."""
    camera = open_camera(lookout.camera)
    try:
        for seen in islice(camera.frames(), 10):
            if isinstance(seen, Frame):
                return seen
    finally:
        camera.close()
    raise CameraError(
        f"the camera {lookout.name} gave no good frame in ten: look at its source and its cable"
    )


def check_named(config: LineSettings) -> list[Check]:
    """Whether the bundle that the line file names is the one that runs; nothing to say if it is."""
    said = left_out(config)
    return [] if said is None else [Check("bundle", True, said, warns=True)]


def check_calibration(camera: CameraSettings) -> list[Check]:
    """There may be none."""
    if not isinstance(camera, ScaledSettings) or camera.calibration is None:
        return []
    return [Check("calibration", True, read_calibration(camera.calibration).describe())]


def check_store(settings: StoreSettings | None) -> list[Check]:
    """There may be none."""
    if settings is None:
        return []
    last_id = try_store(settings.path)
    return [Check("store", True, f"{settings.path} can be written; its latest event is {last_id}")]


def check_ledger(path: Path | None) -> list[Check]:
    """There may be none."""
    if path is None:
        return []
    detail = f"{path} can be written; its latest entry is {last_entry(path)}"
    return [Check("ledger", True, detail)]


def check_baseline(camera: CameraSettings, digest: str) -> list[Check]:
    """There may be none. One of another bundle knows nothing of what is familiar to this one."""
    if (path := camera.baseline) is None:
        return []
    if (baseline := read_baseline(path)).bundle == digest:
        return [Check("baseline", True, f"{path}: {baseline.frames} frames")]
    is_asked = camera.quality.max_unfamiliar is not None
    lost = "nothing is told to be unfamiliar" if is_asked else "drift is not told"
    detail = f"{path} is of another bundle, and {lost}: run `trackside commission` again"
    return [Check("baseline", not is_asked, detail, warns=not is_asked)]


def check_reports(settings: ReportsSettings | None) -> list[Check]:
    """There may be none."""
    if settings is None:
        return []
    prepare(settings)
    times = ", ".join(f"{at:%H:%M}" for at in settings.times)
    return [
        Check("reports", True, f"to {settings.folder} at {times}, as {', '.join(settings.formats)}")
    ]


def check_places(config: LineSettings) -> list[Check]:
    """Whether what is said of places can be kept, and the track is one; there may be none."""
    if config.places is None or config.journal is None:
        return []
    with closing(Journal(config.journal)):
        detail = f"what is said of them can be kept in {config.journal}"
    if config.places.gps is not None:
        detail += f"; {len(read_track(config.places.gps.track))} points of the track"
    return [Check("places", True, detail)]


def check_certificate(line: Line, frames: Mapping[str, Frame]) -> list[Check]:
    """Whether what was shown of a line holds for this one; there may be no certificate."""
    path, key = line.config.certificate, line.config.bundle_key
    if path is None:
        return []
    try:
        certificate = read_certificate(path) if key is None else read_signed(path, key)
    except ConfigurationError as error:
        return [Check("certificate", True, f"covers nothing: {error}", warns=True)]
    for each in line.config.lookouts:
        scale_um = (frames[each.name].along_um, frames[each.name].across_um)
        now = judgement_of(each, line.bundle, line.engine.name, scale_um)
        if differences := uncovered(certificate, now):
            what = "this line" if each.is_alone else f"the camera {each.name}"
            said = "; ".join(differences)
            detail = f"does not cover {what} ({said}): run `trackside qualify` anew"
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
    require(*import_module("edge.web.access").PACKAGES)
    stack.enter_context(bound(settings.address("web")))
    detail = f"can be served at {settings.host} port {settings.port}"
    if settings.certificate is None and not settings.on_this_box_alone:
        detail += "; without `certificate:` whoever is on the way reads the token"
    return [Check("web", True, detail)]


def check_bridge(line: Line) -> list[Check]:
    """Outputs and inputs are claimed by now, and the encoder was read; the line still runs."""
    reject, inputs = line.config.reject, line.config.inputs
    line.bridge.check()
    outputs = [*(actuator.name for actuator in reject.actuators), *line.config.heartbeats]
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
