"""The state of the page, kept up to date by the server's thread: all of it, and what is new."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from edge.health import CameraHealth, LineHealth
from edge.inspect import Inspection, reject_stretches
from edge.swap import SwapStatus
from edge.types import Defect, Frame, State, Stretch, Verdict
from edge.web.feed import Feed, Passed
from edge.web.pictures import Shot, cutting_jpeg, cutting_of
from edge.web.watched_line import WatchedLine

MOST_PASSED = 300  # frames that a browser is given when it comes
MOST_REJECTS = 12  # that are shown; twice as many keep their pictures
HEALTH_NS = 1_000_000_000  # between two looks at what changes slowly
BIN_S, MOST_BINS = 10, 60  # bars of the chart of verdicts: ten minutes

Json = dict[str, Any]


@dataclass
class Reject:
    """What was not OK: the NG frames that show the same defects, or all UNKNOWN frames on end."""

    name: str  # of its picture, which no other has, of another run neither
    utc: str
    camera: str
    verdict: Verdict
    last: Verdict
    frames: int
    cutting: Shot | None
    drawn: bytes | None = None  # its JPEG, made when somebody first looks


class PageState:
    """What is known of the line since the page was opened."""

    def __init__(self, line: WatchedLine, feed: Feed, utc_now: Callable[[], datetime]) -> None:
        self._line, self._feed, self._utc_now = line, feed, utc_now
        self.newest: dict[str, Inspection] = {}  # by camera
        self._run = secrets.token_hex(4)
        self._started_ns = line.clock_ns()
        self._passed: deque[Json] = deque(maxlen=MOST_PASSED)
        self._bins: deque[Json] = deque(maxlen=MOST_BINS)
        self._rejects: deque[Reject] = deque(maxlen=2 * MOST_REJECTS)
        self._numbered = 0  # how many rejects there were so far
        # by camera and frame, until its verdict is taken
        self._images: dict[tuple[str, int], Inspection] = {}
        self._last_states: dict[str, State] = {}
        self._latest_rejects: dict[str, Reject] = {}
        self._latest_outcomes: list[Json] = []
        self._latest_mm: float | None = None
        self._health: Json = {}
        self._health_ns: int | None = None

    def turn(self) -> Json:
        """What is new since the last turn; empty if nothing is."""
        now_ns = self._line.clock_ns()
        news: Json = {}
        self.newest = dict(self._feed.newest)  # before their verdict is taken, with all the others
        if passed := [self._see(each) for each in self._taken()]:
            news["passed"] = passed
            self._forget_images({each["camera"]: each["frame"] for each in passed})
        if any(each["state"] != State.OK.value for each in passed):
            news["rejects"] = self._reject_list()
        if (place_mm := self._place_mm()) != self._latest_mm:
            self._latest_mm = news["place_mm"] = place_mm
        if (outcomes := self._outcomes()) != self._latest_outcomes:
            self._latest_outcomes = news["settled"] = outcomes
        if self._health_ns is None or now_ns - self._health_ns >= HEALTH_NS:
            self._health, self._health_ns = self._look_at_health(now_ns), now_ns
            news |= {"health": self._health, "bins": list(self._bins)[-2:]}
        return news

    def whole(self) -> Json:
        """All of it."""
        return {
            "run": self._run,
            "guarded": self._line.guarded,
            "keeps_events": self._line.keeps_events,
            "passed": list(self._passed),
            "bins": list(self._bins),
            "rejects": self._reject_list(),
            "settled": self._latest_outcomes,
            "place_mm": self._latest_mm,
            "health": self._health,
        }

    def summary(self) -> Json:
        """As little as tells how the line is doing, for an overview of several."""
        return {
            "health": self._health,
            "latest": {name: state.value for name, state in self._last_states.items()},
            "reject": self._reject(self._rejects[-1]) if self._rejects else None,
        }

    def picture(self, name: str) -> bytes | None:
        """The JPEG of a reject that is still shown."""
        for reject in self._rejects:
            if reject.name == name and reject.cutting is not None:
                reject.drawn = reject.drawn or cutting_jpeg(reject.cutting)
                return reject.drawn
        return None

    def _taken(self) -> list[Passed]:
        """What has come; in this order, because a frame's image is left before its verdict."""
        passed = self._feed.take_passed()
        for inspection in self._feed.take_rejected():
            self._images[inspection.camera, inspection.verdict.frame_index] = inspection
        return passed

    def _forget_images(self, until: dict[str, int]) -> None:
        """Of frames whose verdict gave way to later ones while the server was held up."""
        for camera, frame in list(self._images):
            if frame <= until.get(camera, -1):
                del self._images[camera, frame]

    def _see(self, passed: Passed) -> Json:
        verdict = passed.verdict
        at_s = (passed.decided_ns - self._started_ns) / 1e9
        edge_mm = self._line.across_mm.get(passed.camera) or 0
        entry = {
            **_where(verdict.stretch),
            "camera": passed.camera,
            "frame": verdict.frame_index,
            "called": self._line.called(verdict.stretch.start_um),
            "state": verdict.state.value,
            "at_s": round(at_s, 3),
            "latency_ms": round(passed.latency_ns / 1e6, 2),
            "defects": [_defect(each, edge_mm) for each in verdict.defects],
            "reported": [_defect(each, edge_mm) for each in verdict.reported],
            "orders": [_where(stretch) for stretch in reject_stretches(verdict)],
            "reasons": list(verdict.reasons),
        }
        self._passed.append(entry)
        self._count(verdict.state, at_s)
        if verdict.state is not State.OK:
            image = self._images.pop((passed.camera, verdict.frame_index), None)
            self._enter(passed.camera, verdict, image)
        self._last_states[passed.camera] = verdict.state
        return entry

    def _count(self, state: State, at_s: float) -> None:
        start_s = int(at_s // BIN_S) * BIN_S
        if not self._bins or self._bins[-1]["start_s"] != start_s:
            self._bins.append({"start_s": start_s, **{each.value: 0 for each in State}})
        self._bins[-1][state.value] += 1

    def _enter(self, camera: str, verdict: Verdict, inspection: Inspection | None) -> None:
        if self._is_shown_by_another(camera, verdict):
            return
        latest = self._latest_rejects.get(camera)
        goes_on = verdict.state is self._last_states.get(camera)
        if latest is not None and goes_on and _goes_on(latest.last, verdict):
            latest.last = verdict
            latest.frames += 1
            return
        cutting = None if inspection is None else cutting_of(inspection)
        self._numbered += 1
        utc = self._utc_now().isoformat(timespec="milliseconds")
        name = f"{self._run}-{self._numbered}"
        reject = Reject(name, utc, camera, verdict, verdict, 1, cutting)
        self._rejects.append(reject)
        self._latest_rejects[camera] = reject

    def _is_shown_by_another(self, camera: str, verdict: Verdict) -> bool:
        """Whether all that is wrong is the rest of what a neighbour has shown: then it is counted
        there. Numbers mean the same only of cameras that share a surface.
        """
        if verdict.state is not State.NG or self._line.across_mm.get(camera) is None:
            return False
        for reject in reversed(self._rejects):
            is_beside = self._line.across_mm.get(reject.camera) is not None
            if is_beside and reject.camera != camera and _goes_on(reject.last, verdict):
                reject.frames += 1
                return True
        return False

    def _reject_list(self) -> list[Json]:
        """The newest first."""
        return [self._reject(each) for each in islice(reversed(self._rejects), MOST_REJECTS)]

    def _reject(self, reject: Reject) -> Json:
        """Its place is called what it is called now: a later anchor moves the name."""
        return {**_reject(reject), "called": self._line.called(reject.verdict.stretch.start_um)}

    def _place_mm(self) -> float | None:
        place_um = self._line.place_um()
        return None if place_um is None else round(place_um / 1000)

    def _outcomes(self) -> list[Json]:
        return [{**_where(each.stretch), "missed": each.missed} for each in self._line.outcomes()]

    def _look_at_health(self, now_ns: int) -> Json:
        """The line's health, and beside it what only the page shows."""
        return {
            **health_json(self._line.health(now_ns)),
            "uptime_s": round((now_ns - self._started_ns) / 1e9, 1),
            "deadline_ms": self._deadline_ms(),
            "refusal": self._line.refusal(),
            "strip": {
                "lanes": lanes(self._line.across_mm, self._widths_mm()),
                "actuators": self._line.actuators,
            },
        }

    def _deadline_ms(self) -> float | None:
        """Of the camera whose verdicts have least time."""
        return min(
            (
                self._line.deadline_ns(camera, each.verdict.stretch) / 1e6
                for camera, each in self.newest.items()
            ),
            default=None,
        )

    def _widths_mm(self) -> dict[str, float]:
        """Of what each camera shows."""
        return {
            camera: each.seen.image.shape[1] * each.seen.across_um / 1000
            for camera, each in self.newest.items()
            if isinstance(each.seen, Frame)
        }


def lanes(across_mm: Mapping[str, float | None], widths_mm: Mapping[str, float]) -> list[Json]:
    """Where each camera looks, across all that is seen: as they lie on the surface that they share;
    those that share none one beside the other.
    """
    placed = {name: at_mm for name, at_mm in across_mm.items() if at_mm is not None}
    left_mm = min(placed.values(), default=0.0)
    widest_mm = max(widths_mm.values(), default=0.0)
    found = {
        name: (at_mm - left_mm, widths_mm.get(name, widest_mm)) for name, at_mm in placed.items()
    }
    end_mm = max((at_mm + width_mm for at_mm, width_mm in found.values()), default=0.0)
    for name in across_mm:
        if name not in placed:
            width_mm = widths_mm.get(name, widest_mm)
            found[name] = (end_mm, width_mm)
            end_mm += width_mm
    return [
        {"camera": name, "left_mm": found[name][0], "width_mm": found[name][1]}
        for name in across_mm
    ]


def _goes_on(before: Verdict, verdict: Verdict) -> bool:
    """Whether nothing new is wrong, of two frames on end with the same state."""
    known = {defect.number for defect in before.defects}
    return verdict.state is State.UNKNOWN or {d.number for d in verdict.defects} <= known


def health_json(health: LineHealth) -> Json:
    """In the words of the value itself; of times the means."""
    return {
        "facts": asdict(health.facts),
        "frames": {state.value: count for state, count in health.frames.items()},
        "lost_frames": health.lost_frames,
        "deadlines_missed": health.deadlines_missed,
        "last_frame_age_s": health.last_frame_age_s,
        "stages_ms": {name: round(each.mean_ms, 3) for name, each in health.stages.items()},
        "rejects": asdict(health.rejects),
        "outputs": asdict(health.outputs),
        "troubles": dict(health.keeping.troubles),
        "swap": None if health.swap is None else _swap(health.swap),
        "fleet": None if health.fleet is None else health.fleet.model_dump(mode="json"),
        "cameras": {name: _camera(each) for name, each in health.cameras.items()},
        "box": asdict(health.box),
    }


def _camera(health: CameraHealth) -> Json:
    """What may stand out of one camera."""
    return {
        "last_frame_age_s": health.last_frame_age_s,
        "drift": {name: round(index, 3) for name, index in health.drift.items()},
        "source": None if health.source is None else asdict(health.source),
    }


def _swap(swap: SwapStatus) -> Json:
    """Another bundle that is tried, and what became of the last one."""
    trying, last = swap.trying, swap.last
    return {
        "trying": None if trying is None else trying.model_dump(mode="json"),
        "last": None if last is None else last.model_dump(mode="json"),
    }


def _where(stretch: Stretch) -> Json:
    return {"start_mm": stretch.start_um / 1000, "end_mm": stretch.end_um / 1000}


def _defect(defect: Defect, edge_mm: float) -> Json:
    """Across it is told from the edge of its camera's lane, which all of it may lie beyond."""
    return {
        **_where(defect.stretch),
        "left_mm": defect.left_um / 1000 - edge_mm,
        "right_mm": defect.right_um / 1000 - edge_mm,
        "area_mm2": round(defect.area_mm2, 1),
        "score": round(defect.score, 2),
        "said": defect.said,
    }


def _reject(reject: Reject) -> Json:
    verdict = reject.verdict
    return {
        "name": reject.name,
        "utc": reject.utc,
        "camera": reject.camera,
        "state": verdict.state.value,
        "frame": verdict.frame_index,
        "frames": reject.frames,
        "start_mm": verdict.stretch.start_um / 1000,
        "end_mm": reject.last.stretch.end_um / 1000,
        "reasons": list(reject.last.reasons),
        "has_picture": reject.cutting is not None,
    }
