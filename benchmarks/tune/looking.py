"""Each picture through the line's network once, its answer through every setting's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from benchmarks.qualify.looking import Sight
from benchmarks.qualify.marks import Marked, Scale, marks_of, scale_of
from benchmarks.tune.costs import Case, Mark
from benchmarks.tune.grid import Grid, Place, grid_of
from edge.assembly import pictures_of
from edge.bundle import Manifest
from edge.files.image_file import read_image
from edge.inspect import PictureInspector, naming_of
from edge.line_file import LineSettings, Rules
from edge.network import load_network
from edge.types import State, Verdict
from reference.datasets import Sample

_JOINED_PX = 4  # pieces that lie nearer are one defect to the network, and to who counts them


@dataclass(frozen=True)
class Looked:
    """All pictures under all settings."""

    grid: Grid
    cases: tuple[Case, ...]
    left_out: dict[str, int]  # pictures, by why
    manifest: Manifest
    engine: str


@dataclass(frozen=True, slots=True)
class _Picture:
    sample: Sample
    marks: tuple[Marked, ...]


def look_at_all(
    config: LineSettings, root: Place, samples: Sequence[Sample], *, keep_size: bool, quiet: bool
) -> Looked:
    """By a line's one camera, whose rules lie at `root` in its file.

    Under a progress bar on stderr, unless it is to be quiet.
    """
    scale_um = scale_of(config)
    network = load_network(config.engine, config.bundle, config.bundle_key)
    manifest, left_out = network.bundle.manifest, Counter[str]()
    colour = manifest.input.channels == 3
    try:
        inspector = pictures_of(config.lookout(), network)
        pictures = [_read(each, config, manifest, colour=colour) for each in samples]
        sizes = [mark.sizes(scale_um) for picture in pictures for mark in picture.marks]
        grid = grid_of(
            config.rules, root, manifest.threshold, manifest.limits, sizes, keep_size=keep_size
        )
        rules, cases = [grid.ruled(each) for each in grid.settings], list[Case]()
        console = Console(stderr=True, highlight=False)
        columns = ("Looking", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
            for picture in progress.track(pictures):
                case = _look_at(picture, inspector, rules, scale_um)
                if isinstance(case, str):
                    left_out[case] += 1
                else:
                    cases.append(case)
    finally:
        network.engine.close()
    return Looked(grid, tuple(cases), dict(left_out), manifest, network.engine.name)


def _read(sample: Sample, config: LineSettings, manifest: Manifest, *, colour: bool) -> _Picture:
    """What is marked in it, but for what the line only reports."""
    reported = naming_of(config.rules, manifest).report_only
    image = read_image(sample.image, colour=colour)
    marks = marks_of(sample, image, joined_px=_JOINED_PX)
    return _Picture(sample, tuple(mark for mark in marks if mark.kind not in reported))


def _look_at(
    picture: _Picture, inspector: PictureInspector, rules: Sequence[Rules], scale_um: Scale
) -> Case | str:
    """Its outcome under every setting, or why it says nothing."""
    if picture.sample.strength == "class":
        return "say a class, and not where it is"
    colour = inspector.network.bundle.manifest.input.channels == 3
    inspection = inspector.inspect(read_image(picture.sample.image, colour=colour))
    if inspection.verdict.state is State.UNKNOWN:
        return "are UNKNOWN, whatever the threshold: `trackside predict --line` says why"
    boxes = [mark.box(scale_um) for mark in picture.marks]
    sights = [_sight(verdict) for verdict in inspector.judged(inspection, rules)]
    return Case(
        picture.sample.name,
        tuple(Mark(mark.kind, mark.sizes(scale_um)) for mark in picture.marks),
        found=tuple(tuple(sight.found(box) for box in boxes) for sight in sights),
        rejected=tuple(bool(sight.calls) for sight in sights),
        false_calls=tuple(len(sight.false_calls(boxes)) for sight in sights),
    )


def _sight(verdict: Verdict) -> Sight:
    sight = Sight()
    sight.see(verdict)
    return sight
