"""A study on the simulated rail: sizes from a tenth of the usual on, the truth exact.

The rail is cut to sections, each a surface of its own, that several processes inspect. The line's
own rules, tiles, region, quality, bundle and engine judge; light, speed and lost frames take no
part.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from math import ceil
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from benchmarks.qualify.looking import Box, Sight, Signals, cut_out, isolated, look
from benchmarks.qualify.plan import Plan
from benchmarks.qualify.study import MOST_PICTURES, FalseCall, Specimen, Study
from edge.assembly import simulated_line
from edge.box import end_with_parent
from edge.certificate import judgement_of
from edge.errors import UsageError
from edge.inspect import Inspector, as_ruled, make_inspector, region_of
from edge.line_file import LineSettings, RegionSettings, SyntheticSettings, read_line
from edge.network import load_network
from edge.simulation import SimulatedLine, TrueDefect
from edge.types import Frame, Stretch, logit

_DENSITY = 5.0  # defects a metre, so that the rail is no longer than need be
_SECTION_DEFECTS = 125
_APART_UM = 8_000  # nearer ones may be one to the network
_REACH_UM = 100_000  # no defect that begins further outside of a section reaches into it
_NOISE = 1.5  # grey levels, of the sensor, anew in each pass but the first


@dataclass(frozen=True, slots=True)
class _Section:
    """One surface, by its seed."""

    line: Path
    camera: str
    seed: int
    frames: int
    smallest: float
    passes: int


@dataclass(frozen=True, slots=True)
class _Looked:
    """What of a section is a study's."""

    specimens: list[Specimen]
    false_calls: list[FalseCall]
    looked_um: int
    left_out: dict[str, int]


def study_of_simulation(config: LineSettings, path: Path, measure: str, plan: Plan) -> Study:
    """Under a progress bar on stderr."""
    lookout = config.lookout()
    camera = lookout.camera
    if not isinstance(camera, SyntheticSettings):
        raise UsageError(
            f"{path} has no synthetic camera, whose truth is known: give --labelled images, or "
            "--recorded with --known"
        )
    network = load_network(config.engine, config.bundle, config.bundle_key)
    engine, bundle = network.engine.name, network.bundle
    network.engine.close()
    sections = list(_sections(camera, path, lookout.name, plan))
    seen = _look_at_all(sections, plan.processes)
    left_out: dict[str, int] = {}
    for each in seen:
        for why, count in each.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    scale_um = (float(camera.um_per_px), float(camera.um_per_px))
    return Study(
        origin="simulated",
        population=f"the simulated {camera.surface} of {path.name}: {len(sections)} surfaces, the "
        f"simulator's five kinds of defect from {plan.smallest:.0%} to all of their usual size, "
        f"{_DENSITY:g} a metre; it speaks for no real {camera.surface}",
        of=judgement_of(config.lookout(), bundle, engine, scale_um),
        specimens=[specimen for each in seen for specimen in each.specimens],
        measure=measure,
        data={path.name: sha256(path.read_bytes()).hexdigest(), "bundle": bundle.digest},
        false_calls=[call for each in seen for call in each.false_calls],
        inspected_m=sum(each.looked_um for each in seen) / 1e6,
        decision=logit(as_ruled(bundle.manifest, config.rules).cut),
        signal="the network's greatest logit over the defect, against its threshold, without rules",
        left_out=left_out,
        limits=(
            "simulated: no motion, no dirt on the lens, no lost frame",
            f"defects within {_APART_UM / 1000:g} mm of another are left out",
        ),
    )


def _sections(camera: SyntheticSettings, line: Path, name: str, plan: Plan) -> Iterator[_Section]:
    count = ceil(plan.defects / _SECTION_DEFECTS)
    frame_m = camera.height_px * camera.um_per_px / 1e6
    frames = ceil(plan.defects / count / _DENSITY / frame_m)
    for number in range(count):
        yield _Section(line, name, camera.seed + number, frames, plan.smallest, plan.passes)


def _look_at_all(sections: list[_Section], processes: int) -> list[_Looked]:
    """In the sections' order, whoever is done first."""
    console = Console(stderr=True, highlight=False)
    columns = ("sections", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    looked: dict[int, _Looked] = {}
    with (
        Progress(*columns, console=console) as progress,
        ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool,
    ):
        task = progress.add_task("", total=len(sections))
        waited = {pool.submit(_look_at, each): at for at, each in enumerate(sections)}
        try:
            for done in as_completed(waited):
                looked[waited[done]] = done.result()
                progress.advance(task)
                if not console.is_terminal:
                    print(
                        f"{len(looked)} of {len(sections)} sections", file=console.file, flush=True
                    )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [looked[at] for at in range(len(sections))]


@lru_cache(maxsize=1)
def _opened(path: Path, camera: str) -> tuple[LineSettings, Inspector]:
    """Once a process."""
    config = read_line(path).alone(camera)
    network = load_network(config.engine, config.bundle, config.bundle_key)
    return config, make_inspector(config.lookout(), network, lambda: 0, None)


def _look_at(section: _Section) -> _Looked:
    config, opened = _opened(section.line, section.camera)
    camera = config.lookout().camera
    assert isinstance(camera, SyntheticSettings)
    line = replace(
        simulated_line(camera),
        seed=section.seed,
        defects_per_metre=_DENSITY,
        smallest=section.smallest,
    )
    rows = section.frames * camera.height_px
    truth = line.true_defects(0, rows)
    boxes = [box_of(each) for each in truth]
    reach = round(_REACH_UM / line.um_per_px)
    around = [box_of(each) for each in line.true_defects(-reach, rows + reach)]
    signals = Signals(boxes)
    sights = []
    for number in range(section.passes):
        inspector = make_inspector(config.lookout(), opened.network, lambda: 0, None)
        frames = _frames(line, camera.height_px, section, number)
        sights.append(look(inspector, frames, signals.watch if number == 0 else lambda _: None))
    surface = _Surface(line, camera.region, camera, section)
    specimens, left_out = _specimens(surface, truth, signals, sights)
    false_calls = [
        FalseCall(surface.where(call), surface.picture(call))
        for call in sights[0].false_calls(around)
    ]
    return _Looked(specimens, false_calls, sights[0].looked_um, left_out)


@dataclass(frozen=True, slots=True)
class _Surface:
    """A section's rail."""

    line: SimulatedLine
    region: RegionSettings
    camera: SyntheticSettings
    section: _Section

    def where(self, box: Box) -> str:
        return f"surface {self.section.seed} at {box.stretch.start_um / 1e6:.3f} m"

    def picture(self, box: Box) -> bytes:
        """Of a frame with the place in its middle."""
        height, pitch_um = self.camera.height_px, self.line.um_per_px
        row = (box.stretch.start_um + box.stretch.end_um) // 2 // pitch_um - height // 2
        image, _ = self.line.render(row, height)
        stretch = Stretch(row * pitch_um, (row + height) * pitch_um)
        return cut_out(Frame(0, image, 0, stretch, pitch_um), box)


def _specimens(
    surface: _Surface, truth: list[TrueDefect], signals: Signals, sights: list[Sight]
) -> tuple[list[Specimen], dict[str, int]]:
    """Those that can be told apart and were looked at, and why others are left out."""
    boxes = [box_of(true) for true in truth]
    alone, specimens = isolated(boxes, _APART_UM), list[Specimen]()
    missed = list[tuple[int, Box]]()
    left_out = {"with another near": 0, "outside of the region": 0, "where nobody could look": 0}
    for true, box, is_alone, signal in zip(truth, boxes, alone, signals.of, strict=True):
        if not is_alone:
            left_out["with another near"] += 1
        elif not _is_inside(surface.region, surface.camera, box):
            left_out["outside of the region"] += 1
        elif not all(sight.was_seen(box) for sight in sights):
            left_out["where nobody could look"] += 1
        else:
            found, where = tuple(sight.found(box) for sight in sights), surface.where(box)
            named = sights[0].named(box)
            specimens.append(Specimen(true.kind, _sizes(true), found, signal, where, named=named))
            if not found[0]:
                missed.append((len(specimens) - 1, box))
    missed.sort(key=lambda each: -specimens[each[0]].sizes["extent_mm"])
    for at, box in missed[:MOST_PICTURES]:
        specimens[at] = replace(specimens[at], png=surface.picture(box))
    return specimens, left_out


def _frames(line: SimulatedLine, height: int, section: _Section, number: int) -> Iterator[Frame]:
    """Frames of one pass: each cuts the rail elsewhere, and has a sensor's noise of its own."""
    rng = np.random.default_rng((section.seed, 7, number))
    first = -(number * height // section.passes)
    for index in range(section.frames + (1 if number else 0)):
        row = first + index * height
        image, _ = line.render(row, height)
        if number:
            noisy = image + rng.normal(0, _NOISE, image.shape)
            image = np.asarray(np.clip(noisy + 0.5, 0, 255), np.uint8)
        pitch_um = line.um_per_px
        yield Frame(index, image, 0, Stretch(row * pitch_um, (row + height) * pitch_um), pitch_um)


def _is_inside(region: RegionSettings, camera: SyntheticSettings, box: Box) -> bool:
    """The middle of it is looked at, in whatever frame it lies."""
    if region.follow is not None:  # all of the rail is
        return True
    blank = np.zeros((camera.height_px, camera.width_px), np.uint8)
    inside = region_of(region).inside(blank, camera.um_per_px)
    if inside is None:
        return True
    column = (box.left_um + box.right_um) // 2 // camera.um_per_px
    row = (box.stretch.start_um + box.stretch.end_um) // 2 // camera.um_per_px
    return bool(inside[row % camera.height_px, min(column, camera.width_px - 1)])


def box_of(true: TrueDefect) -> Box:
    return Box(true.stretch, true.left_um, true.left_um + round(true.width_mm * 1000))


def _sizes(true: TrueDefect) -> dict[str, float]:
    length_mm = true.stretch.length_mm
    return {
        "extent_mm": max(length_mm, true.width_mm),
        "length_mm": length_mm,
        "width_mm": true.width_mm,
        "area_mm2": true.area_mm2,
        "contrast": true.contrast,
    }
