"""One frame through the network to a verdict, with the time each stage took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from edge.errors import FrameError
from edge.inspect.appearance import Familiar
from edge.inspect.baseline import Baseline, read_baseline
from edge.inspect.familiarity import figures_of
from edge.inspect.finder import Finder
from edge.inspect.following import FollowingView
from edge.inspect.gate import gate
from edge.inspect.naming import check_classes, naming_of
from edge.inspect.neighbours import Neighbours
from edge.inspect.quality import faults
from edge.inspect.region import Region, region_of
from edge.inspect.tiling import Shown, TiledView, View, WholeView
from edge.inspect.traces import Trace
from edge.inspect.verdict import Judge, as_ruled, reject_stretches, unknown
from edge.line_file import Lookout, Quality, Rules, TileSettings
from edge.network import Network, prepare, refuse_what_is_no_image
from edge.types import Frame, Image, LostFrame, Mask, Stretch, Verdict


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that is known of one stretch of rail after it was looked at."""

    seen: Frame | LostFrame
    verdict: Verdict
    mask: Mask | None  # None where the network never ran
    stage_ns: dict[str, int]
    decided_ns: int
    bundle: str  # the digest of the one it was judged with
    camera: str = ""  # its name in the line file; none of a picture from a file
    trace: Trace | None = None  # what of it a neighbouring camera may see the rest of
    # Rail that others must have rejected, too: they saw a part of what is found by this frame.
    beside: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)
    unfamiliar: float | None = None  # to the network; None where no baseline of its bundle says

    @property
    def latency_ns(self) -> int:
        """From the light on the sensor to the verdict."""
        return self.decided_ns - self.seen.captured_ns

    def orders(self) -> dict[Stretch, list[str]]:
        """What must leave the line, and at which cameras' actuators: each stretch once."""
        wanted = {stretch: [self.camera] for stretch in reject_stretches(self.verdict)}
        for camera, stretches in self.beside.items():
            for stretch in stretches:
                wanted.setdefault(stretch, []).append(camera)
        return wanted


@dataclass
class Inspector:
    """The network, the rules and the limits of one camera. One thread at a time."""

    network: Network
    rules: Rules
    quality: Quality
    clock_ns: Callable[[], int]
    view: View = field(default_factory=WholeView)
    region: Region = field(default_factory=Region)
    baseline: Baseline | None = None  # what frames look like; None where nobody has said
    camera: str = ""
    neighbours: Neighbours | None = None  # None where it shares its surface with none
    _familiar: Familiar | None = field(default=None, init=False)
    _finder: Finder = field(init=False)
    _before: Shown | None = field(default=None, init=False)
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self.view.check(self.network.bundle.manifest.input)
        check_classes(self.rules, self.network.bundle.manifest)
        self.begin_anew()

    def begin_anew(self) -> None:
        """On other rail: nothing that comes hangs on what was seen before."""
        self._finder, self._before, self._judge = Finder(), None, Judge(self.rules)
        if self.baseline is not None:
            self._familiar = Familiar(self.baseline.usual, self.quality.max_change)

    @property
    def is_blind_to_the_unfamiliar(self) -> bool:
        """What is too unfamiliar is to be UNKNOWN, and nothing is known of it by this bundle."""
        return self.quality.max_unfamiliar is not None and self._known is None

    @property
    def _known(self) -> Baseline | None:
        """What the network that is in force now has answered to good rail."""
        is_of_it = self.baseline and self.baseline.bundle == self.network.bundle.digest
        return self.baseline if is_of_it else None

    def inspect(self, seen: Frame | LostFrame) -> Inspection:
        """A verdict for whatever the camera gave; one that cannot be reached is UNKNOWN."""
        marks = [("start", self.clock_ns())]
        mask, trace, unfamiliar = None, None, None
        if isinstance(seen, LostFrame):
            verdict = unknown(seen, (seen.reason,))
        else:
            try:
                verdict, mask, trace, unfamiliar = self._look(seen, marks)
            except FrameError as error:
                verdict = unknown(seen, (str(error),))
        if mask is None:  # nobody has looked
            self._finder.forget()
            self._before = None
        marks.append(("decide", self.clock_ns()))
        digest = self.network.bundle.digest
        times = _durations(marks)
        decided_ns, camera = marks[-1][1], self.camera
        return Inspection(
            seen, verdict, mask, times, decided_ns, digest, camera, trace, unfamiliar=unfamiliar
        )

    def _look(
        self, frame: Frame, marks: list[tuple[str, int]]
    ) -> tuple[Verdict, Mask | None, Trace | None, float | None]:
        manifest = as_ruled(self.network.bundle.manifest, self.rules)
        engine = self.network.engine
        refuse_what_is_no_image(frame.image)
        inside = self.region.inside(frame.image, frame.across_um)
        shown = self.view.widen(self._before, Shown(frame, inside), manifest.input)
        window = self.view.window(shown, manifest.input, engine.blocks_at_once)
        if window != (manifest.input.height, manifest.input.width):
            manifest = manifest.at(*window)
        parts = self.view.cut(
            shown, manifest.input, partial(prepare, spec=manifest.input, engine=engine)
        )
        marks.append(("preprocess", self.clock_ns()))
        lit = self.region.lit(inside)
        if reasons := faults(frame, self.quality, marks[-1][1], inside, self._familiar, lit=lit):
            return unknown(frame, reasons), None, None, None
        marks.append(("quality", self.clock_ns()))
        answers, put_aside = gate(engine.infer_all(parts), manifest, self.rules.sound_above)
        marks.append(("infer", self.clock_ns()))
        mask = self.view.put_together(answers, shown, manifest)
        marks.append(("mask", self.clock_ns()))
        naming = naming_of(self.rules, manifest)
        across = None
        if self.neighbours is not None:
            across = self.neighbours.across(self.camera, shown.frame)
        found = self._finder.find(shown.frame, mask, manifest.limits, naming, across)
        self._before = shown
        defects, reported = (
            [shown.own_box(each) for each in kind] for kind in (found.defects, found.reported)
        )
        verdict = self._judge.judge(frame, defects, reported)
        verdict = replace(verdict, reasons=verdict.reasons + put_aside)
        own, trace = shown.own_mask(mask), self._finder.trace
        unfamiliar = self._unfamiliar(own, inside)
        most = self.quality.max_unfamiliar
        if unfamiliar is not None and most is not None and unfamiliar > most:
            verdict = self._judge.distrust(verdict, f"{unfamiliar:.1f}, more than {most:g}")
        return verdict, own, trace and trace.within(shown.own_px), unfamiliar

    def _unfamiliar(self, mask: Mask, inside: Image | None) -> float | None:
        known = self._known
        return None if known is None else known.answers.unfamiliar(figures_of(mask, inside))


def make_inspector(
    lookout: Lookout,
    network: Network,
    clock_ns: Callable[[], int],
    baseline: Path | None,
    neighbours: Neighbours | None = None,
) -> Inspector:
    """As the line file describes one of its cameras, beside a baseline and its neighbours."""
    camera = lookout.camera
    return Inspector(
        network,
        lookout.rules,
        camera.quality,
        clock_ns,
        view=view_of(camera.cut_to, follows_rail=camera.region.follow == "rail"),
        region=region_of(camera.region),
        baseline=None if baseline is None else read_baseline(baseline),
        camera=lookout.name,
        neighbours=neighbours,
    )


def view_of(tiles: TileSettings | None, *, follows_rail: bool) -> View:
    """How frames are shown to the network that are cut to such tiles, or to none."""
    if tiles is None:
        return WholeView()
    return FollowingView(tiles) if follows_rail else TiledView(tiles)


def _durations(marks: list[tuple[str, int]]) -> dict[str, int]:
    return {name: at - before for (_, before), (name, at) in pairwise(marks)}
