"""What `trackside check` works out from one frame and its latency: whether the line can keep up.

Each sum is a Check by itself; one that does not come out says by how much, and what to change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from edge.assembly import is_line_scan, live_settings
from edge.bundle import Manifest
from edge.checks import Check
from edge.errors import FrameError
from edge.inspect import Inspector, Shown, TiledView
from edge.line_file import (
    Lookout,
    RtspSettings,
    Rules,
    TileSettings,
    too_small,
)
from edge.network import prepare
from edge.types import Frame, State, Stretch, Verdict

# How many times larger or smaller a defect may look than those that were trained on. Recipes zoom
# by a fifth to a third, which a network bears well; a half it may bear, and somebody should look.
_SCALE_KEPT, _SCALE_BORNE = 1.25, 1.5


def further_on(frame: Frame, number: int) -> Frame:
    by_um = number * (frame.stretch.end_um - frame.stretch.start_um)
    stretch = Stretch(frame.stretch.start_um + by_um, frame.stretch.end_um + by_um)
    return replace(frame, stretch=stretch)


def check_sight(frame: Frame, verdict: Verdict) -> Check:
    """The network must be able to see something in the frame, or nothing was measured."""
    rows, columns = frame.image.shape[:2]
    detail = f"{columns}x{rows} px, {frame.stretch.length_mm:g} mm a frame"
    if verdict.state is not State.UNKNOWN:
        return Check("camera", True, detail)
    reasons = "; ".join(verdict.reasons)
    return Check("camera", False, f"{detail}, UNKNOWN ({reasons}): see to lamp, lens and `quality`")


def check_scale(frame: Frame, manifest: Manifest, tiles: TileSettings | None) -> Check:
    """A defect must look about as large to the network as those it was trained on."""
    spec = manifest.input
    if tiles is None:
        shown_um, trained_um = frame.across_um, spec.um_per_px * spec.width / frame.image.shape[1]
    else:
        shown_um, trained_um = tiles.um_per_px or spec.um_per_px, spec.um_per_px
    ratio = shown_um / trained_um
    off = max(ratio, 1 / ratio)
    detail = f"{shown_um:g} um a pixel, the network was trained at {trained_um:g}"
    if off <= _SCALE_KEPT:
        return Check("scale", True, detail)
    remedy = "leave tiles.um_per_px out"
    if tiles is None:
        nearer = "nearer" if ratio > 1 else "further away"
        remedy = f"bring the camera {nearer}, give the line `tiles:`"
    detail = f"{detail}, {off:.2g} times off: {remedy}, or train at this scale"
    return Check("scale", off <= _SCALE_BORNE, detail, warns=off <= _SCALE_BORNE)


def check_limits(frame: Frame, manifest: Manifest) -> Check:
    """A frame must be able to show what the network's limits let count."""
    limits = manifest.limits
    along_mm = frame.stretch.length_mm
    across_mm = frame.across_um * frame.image.shape[1] / 1000
    detail = f"a defect counts from {limits.min_area_mm2:g} mm2 and {limits.min_extent_mm:g} mm on"
    for found in limits.found[:1]:  # of all classes, in what was looked at first
        if found.a90_95_mm is not None:
            detail += f", nine in ten are found from {found.a90_95_mm:.3g} mm on"
    if limits.reached_by(along_mm * across_mm, max(along_mm, across_mm)):
        return Check("limits", True, detail)
    shown = f"a frame shows {along_mm:g} x {across_mm:g} mm"
    return Check("limits", False, f"{detail}, {shown}: take a bundle that is good for less")


def check_rules(rules: Rules, manifest: Manifest) -> Check:
    """A rule that waits for what is too small to count would let it pass without a word."""
    if not (below := list(too_small(rules.reject_if, "rules.reject_if", manifest.limits))):
        return Check("rules", True, "each asks for what the bundle can find")
    remedy = f"write as much or more, or take a bundle that is good for less than {manifest.name}"
    return Check("rules", False, f"{'; '.join(below)}: {remedy}")


def check_tiles(inspector: Inspector, frame: Frame) -> list[Check]:
    """How many tiles a frame is cut to that follows another, and how much is looked at again; there
    may be none.
    """
    view, spec = inspector.view, inspector.network.bundle.manifest.input
    if not isinstance(view, TiledView):
        return []
    try:
        inside = inspector.region.inside(frame.image, frame.across_um)
    except FrameError:
        return []  # `check_sight` has said already that nothing can be seen
    engine = inspector.network.engine
    shown = view.widen(Shown(frame, inside), Shown(further_on(frame, 1), inside), spec)
    rows, columns = view.window(shown, spec, engine.blocks_at_once)
    spec = spec.model_copy(update={"height": rows, "width": columns})
    tiles = len(view.cut(shown, spec, partial(prepare, spec=spec, engine=engine)))
    seen_px = math.prod(frame.image.shape[:2]) if inside is None else np.count_nonzero(inside)
    new_px = seen_px * frame.along_um * frame.across_um / view.um_per_px(spec) ** 2
    detail = (
        f"{tiles} of {columns}x{rows} px a frame, {shown.rows_before} rows of it from the frame "
        f"before: {tiles * rows * columns / new_px:.2f} times the pixels that are to be inspected"
    )
    return [Check("tiles", True, detail)]


def check_pictures(lookout: Lookout, frame: Frame, latency_ms: float) -> list[Check]:
    """Pictures of a camera that runs freely must overlap, and come before they are given up."""
    camera, speed_mm_s = live_settings(lookout.camera), lookout.speed_mm_s
    if camera is None:
        return []
    most_mm = frame.stretch.length_mm if is_line_scan(camera) else camera.overlap_mm
    fps: float | None = getattr(camera, "fps", None)
    step_mm = speed_mm_s / fps if fps else most_mm  # from one picture to the next
    detail = f"{speed_mm_s / most_mm:.3g} a second are needed" + (f", {fps:g} come" if fps else "")
    if step_mm > most_mm:
        remedy = f"raise fps, or overlap_mm to {math.ceil(step_mm)}"
        return [Check("pictures", False, f"{detail}: {remedy}")]
    # The rail's place is looked at after each frame that is judged, and rail is given up one look
    # before the limit would be passed: a picture must be there two frames' latency sooner.
    on_the_way_mm = (camera.delay_ms + 2 * latency_ms) * speed_mm_s / 1000
    # FFmpeg hands a picture on when the next one has come.
    held_mm = step_mm if isinstance(camera, RtspSettings) else 0
    needed_mm = frame.stretch.length_mm + step_mm - most_mm + held_mm + on_the_way_mm
    if camera.lost_after_mm < needed_mm:
        remedy = f"good frames would be lost: set lost_after_mm to {math.ceil(needed_mm)}"
        return [Check("pictures", False, remedy)]
    return [Check("pictures", True, f"{detail}; rail is lost after {camera.lost_after_mm:g} mm")]


def period_ms_of(lookout: Lookout, frame: Frame) -> float:
    """From one frame to the next, at the line's full speed."""
    return _step_mm(lookout, frame) / lookout.speed_mm_s * 1000


def _step_mm(lookout: Lookout, frame: Frame) -> float:
    camera, step_mm = live_settings(lookout.camera), frame.stretch.length_mm
    if camera is not None and not is_line_scan(camera):
        step_mm -= camera.overlap_mm
    return step_mm


def check_load(busy: float, workers: int) -> Check:
    """All cameras together: what they keep the workers busy, of whom there are so many."""
    detail = f"all cameras together keep {busy:.2f} workers busy, of {workers}"
    if busy < workers:
        return Check("load", True, detail)
    remedy = "slow the line, or raise `workers:` and the engine's threads where there are cores"
    return Check("load", False, f"{detail}: {remedy}")


def check_pace(lookout: Lookout, frame: Frame, latency_ms: float) -> Check:
    """Each frame must be judged before the next one comes."""
    step_mm, period_ms = _step_mm(lookout, frame), period_ms_of(lookout, frame)
    detail = f"a frame every {period_ms:.1f} ms, judged within {latency_ms:.1f} ms"
    if latency_ms < period_ms:
        return Check("pace", True, detail)
    fastest = step_mm / latency_ms * 1000
    return Check("pace", False, f"{detail}: run the line below {math.floor(fastest)} mm/s")


def check_reach(lookout: Lookout, frame: Frame, latency_ms: float) -> Iterator[Check]:
    """The order for a frame's first row must come before that row is under any of its actuators.

    The frame is whole when its last row has passed, so its first row is a frame's length ahead. Of
    a camera that runs freely the order may come when the rail has gone on to where it is lost. On a
    surface that several share, it may be for the actuators of any of them.
    """
    camera, seen_mm, shorten = live_settings(lookout.camera), frame.stretch.length_mm, "the frame"
    if camera is not None:
        seen_mm, shorten = camera.lost_after_mm, "lost_after_mm"

    for actuator in lookout.reached:
        spare_mm = lookout.room_mm(actuator, seen_mm, latency_ms)
        offset_mm = actuator.offset_mm - lookout.camera.along_mm
        detail = f"{actuator.name} is {offset_mm:g} mm on, {offset_mm - spare_mm:.0f} mm are needed"
        remedy = f"move it {math.ceil(-spare_mm)} mm further on, slow the line or shorten {shorten}"
        said = f"{spare_mm:.0f} mm to spare" if spare_mm > 0 else remedy
        yield Check("deadline", spare_mm > 0, f"{detail}: {said}")
