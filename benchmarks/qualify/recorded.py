"""A study of a recorded run, with a list of the defects that are truly on that rail.

The list is a CSV: `start_mm,end_mm`, places along the run, perhaps with `left_mm,right_mm`, across
it, and `class`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from benchmarks.qualify.hits_file import number_of
from benchmarks.qualify.looking import Box, Sight, Signals, cut_out, isolated, look
from benchmarks.qualify.study import MOST_PICTURES, FalseCall, Specimen, Study
from edge.certificate import judgement_of
from edge.errors import ConfigurationError, UsageError
from edge.inspect import as_ruled, make_inspector
from edge.network import Network, load_network
from edge.recordings import read_recording
from edge.recordings.recording import Recording
from edge.types import Frame, LostFrame, Stretch, logit

_APART_UM = 5_000  # nearer ones may be one to the network
_ANYWHERE_UM = 10**9  # where the list does not say how far across
_FORM = "the first line is `start_mm,end_mm`, perhaps with left_mm, right_mm and class"


@dataclass(frozen=True, slots=True)
class Known:
    """One defect, as it is listed."""

    kind: str | None
    box: Box
    sizes: dict[str, float]


@dataclass
class _Watched:
    """The recording's frames, and the time at which each was looked at."""

    recording: Recording
    now_ns: int = 0
    signals: Signals = field(default_factory=lambda: Signals([]))

    def frames(self) -> Iterator[Frame | LostFrame]:
        for row, seen in self.recording.camera_frames():
            self.now_ns = row.looked_ns
            yield seen

    def picture(self, box: Box) -> bytes | None:
        """Of the first frame that shows the place."""
        for _, seen in self.recording.camera_frames():
            if isinstance(seen, Frame) and seen.stretch.overlaps(box.stretch):
                return cut_out(seen, box)
        return None


def study_of_recording(folder: Path, known: Path, measure: str | None) -> Study:
    """The recording's own line file, bundle and frames judge again, as they did."""
    defects = read_known(known)
    names = set.intersection(*(set(each.sizes) for each in defects))
    measure = measure or ("extent_mm" if "extent_mm" in names else "length_mm")
    if measure not in names:
        raise UsageError(f"{known} does not list {measure} of each: choose {' or '.join(names)}")
    watched = _Watched(read_recording(folder))
    config = watched.recording.config
    network = load_network(config.engine, watched.recording.bundle, config.bundle_key)
    try:
        watched.signals = Signals([each.box for each in defects])
        lookout = config.lookout()
        baseline = watched.recording.baseline(lookout.name)
        inspector = make_inspector(lookout, network, lambda: watched.now_ns, baseline)
        sight = look(inspector, watched.frames(), watched.signals.watch)
    finally:
        network.engine.close()
    return _study(watched, network, known=known, measure=measure, defects=defects, sight=sight)


def read_known(path: Path) -> list[Known]:
    """Every row, or the first that is wrong with its line and the remedy."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}): {_FORM}") from error
    table = csv.DictReader(text.splitlines(), skipinitialspace=True)
    if missing := {"start_mm", "end_mm"} - set(table.fieldnames or ()):
        raise ConfigurationError(f"{path} has no column {', '.join(sorted(missing))}: {_FORM}")
    try:
        defects = [_known(row) for row in table]
    except (ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path}:{table.line_num}: {error}") from error
    if not defects:
        raise ConfigurationError(f"{path} lists no defect: {_FORM}")
    return defects


def _known(row: dict[str, str | None]) -> Known:
    start_um, end_um = _side(row, "start_mm"), _side(row, "end_mm")
    if start_um is None or end_um is None or end_um <= start_um:
        raise ValueError("end_mm must be beyond start_mm: mend the line")
    left_um, right_um = _side(row, "left_mm"), _side(row, "right_mm")
    length_mm = (end_um - start_um) / 1000
    kind = (row.get("class") or "").strip() or None
    stretch, sizes = Stretch(start_um, end_um), {"length_mm": length_mm}
    if left_um is None or right_um is None:
        return Known(kind, Box(stretch, 0, _ANYWHERE_UM), sizes)
    if right_um <= left_um:
        raise ValueError("right_mm must be beyond left_mm: mend the line")
    width_mm = (right_um - left_um) / 1000
    sizes |= {"width_mm": width_mm, "extent_mm": max(length_mm, width_mm)}
    return Known(kind, Box(stretch, left_um, right_um), sizes)


def _side(row: dict[str, str | None], name: str) -> int | None:
    text = row.get(name)
    return None if text is None or not text.strip() else round(number_of(name, text) * 1000)


def _study(
    watched: _Watched,
    network: Network,
    *,
    known: Path,
    measure: str,
    defects: list[Known],
    sight: Sight,
) -> Study:
    recording = watched.recording
    manifest = as_ruled(network.bundle.manifest, recording.config.rules)
    boxes = [each.box for each in defects]
    looked = [each for each in recording.frames if each.across_um is not None]
    scale_um = None
    if looked and looked[0].across_um is not None:
        along_um = (looked[0].end_um - looked[0].start_um) / looked[0].rows
        scale_um = (along_um, looked[0].across_um)
    specimens, left_out = _specimens(watched, defects, sight)
    return Study(
        origin="recorded",
        population=f"the rail that {recording.folder.name} shows, with the {len(defects)} defects "
        f"of {known.name}; that others are found as well is as likely as they are alike",
        of=judgement_of(recording.config.lookout(), network.bundle, network.engine.name, scale_um),
        specimens=specimens,
        measure=measure,
        data={
            f"{recording.folder.name}/frames.jsonl": _sha256(recording.folder / "frames.jsonl"),
            f"{recording.folder.name}/line.yaml": _sha256(recording.folder / "line.yaml"),
            known.name: _sha256(known),
            "bundle": network.bundle.digest,
        },
        false_calls=[
            FalseCall(
                f"at {call.stretch.start_um / 1e6:.3f} m",
                watched.picture(call) if number < MOST_PICTURES else None,
            )
            for number, call in enumerate(sight.false_calls(boxes))
        ],
        inspected_m=sight.looked_um / 1e6 or None,
        decision=logit(manifest.cut),
        signal="the network's greatest logit over the defect, against its threshold, without rules",
        left_out=left_out,
        limits=("what is rejected and is not in the list counts as a false call",),
    )


def _specimens(
    watched: _Watched, defects: list[Known], sight: Sight
) -> tuple[list[Specimen], dict[str, int]]:
    """Those that can be told apart and were looked at, and why others are left out."""
    alone = isolated([each.box for each in defects], _APART_UM)
    specimens, kept = list[Specimen](), 0
    left_out = {"with another near": 0, "where nobody could look": 0, "beyond the recording": 0}
    end_um = watched.recording.frames[-1].end_um
    for each, is_alone, signal in zip(defects, alone, watched.signals.of, strict=True):
        if not 0 <= each.box.stretch.start_um < each.box.stretch.end_um <= end_um:
            left_out["beyond the recording"] += 1
        elif not is_alone:
            left_out["with another near"] += 1
        elif not sight.was_seen(each.box):
            left_out["where nobody could look"] += 1
        else:
            found = sight.found(each.box)
            png = None
            if not found and kept < MOST_PICTURES:
                png, kept = watched.picture(each.box), kept + 1
            where = f"at {each.box.stretch.start_um / 1e6:.3f} m"
            specimens.append(
                Specimen(each.kind, each.sizes, (found,), signal, where, png, sight.named(each.box))
            )
    return specimens, left_out


def _sha256(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
