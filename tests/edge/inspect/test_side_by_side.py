"""Several cameras judged side by side: in their order, a few at once, no failure kept silent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from edge.cameras import Camera
from edge.errors import CameraError
from edge.inspect import Inspection, Inspector, Watch, Watching
from edge.inspect.side_by_side import Turns
from edge.types import LostFrame, State, Stretch, Verdict
from stands.waiting import PATIENCE_S, eventually


@dataclass
class AnInspector:
    """Judges what is shown as its test wants."""

    camera: str
    judge: Callable[[int], None] = lambda index: None

    def inspect(self, seen: LostFrame) -> Inspection:
        self.judge(seen.index)
        verdict = Verdict(State.OK, seen.index, seen.stretch)
        return Inspection(seen, verdict, None, {}, seen.captured_ns, "", self.camera)


@dataclass
class ACamera:
    """Gives so many frames, and then what it is to end with."""

    count: int
    ends_with: Exception | None = None
    closed: threading.Event = field(default_factory=threading.Event)

    def frames(self) -> Iterator[LostFrame]:
        for index in range(self.count):
            yield LostFrame(index, index, Stretch(index, index + 1), "")
        if self.ends_with is not None:
            raise self.ends_with

    def close(self) -> None:
        self.closed.set()


def watch(
    name: str,
    count: int,
    judge: Callable[[int], None] = lambda index: None,
    ends_with: Exception | None = None,
) -> Watch:
    camera, inspector = ACamera(count, ends_with), AnInspector(name, judge)
    return Watch(cast(Camera, camera), cast(Inspector, inspector))


def judged(watches: list[Watch], at_once: int = 2) -> Iterator[Inspection]:
    return Watching(at_once, lambda _: None).judged(watches)


def test_each_cameras_verdicts_come_in_the_order_of_its_frames() -> None:
    seen = list(judged([watch("left", 40), watch("middle", 5), watch("right", 40)]))
    for name, count in (("left", 40), ("middle", 5), ("right", 40)):
        frames = [each.verdict.frame_index for each in seen if each.camera == name]
        assert frames == list(range(count))


def test_one_camera_is_judged_by_the_thread_that_asks() -> None:
    threads = set[int]()
    one = watch("top", 3, lambda _: threads.add(threading.get_ident()))
    assert len(list(judged([one]))) == 3
    assert threads == {threading.get_ident()}


def test_a_camera_is_not_touched_until_the_loop_has_dealt_with_its_frame() -> None:
    """So that a network can be changed between two frames."""
    judging = {"left": -1, "right": -1}
    watches = [watch(name, 20, lambda i, name=name: judging.update({name: i})) for name in judging]
    for each in judged(watches):
        assert judging[each.camera] == each.verdict.frame_index


def test_no_more_are_judged_at_once_than_there_are_workers() -> None:
    lock, busy, most = threading.Lock(), [0], [0]

    def judge(_: int) -> None:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        threading.Event().wait(0.002)
        with lock:
            busy[0] -= 1

    list(judged([watch(name, 10, judge) for name in ("a", "b", "c", "d")], at_once=2))
    assert most[0] == 2


def test_who_has_waited_for_longest_is_judged_first() -> None:
    turns, order, threads = Turns(1), list[int](), []

    def wait(since_ns: int) -> None:
        with turns.taken(since_ns):
            order.append(since_ns)

    with turns.taken(0):
        for count, since_ns in enumerate((30, 10, 20), start=1):
            threads.append(threading.Thread(target=wait, args=(since_ns,)))
            threads[-1].start()
            eventually(lambda count=count: len(turns._waiting) == count)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert order == [10, 20, 30]


@pytest.mark.parametrize("where", ["the camera", "the network"])
def test_what_ends_one_camera_ends_the_line(where: str) -> None:
    def fail(index: int) -> None:
        if index == 3 and where == "the network":
            raise CameraError("it broke")

    ends_with = CameraError("it broke") if where == "the camera" else None
    watches = [watch("left", 4, fail, ends_with), watch("right", 1000)]
    with pytest.raises(CameraError, match="it broke"):
        for _ in judged(watches):
            pass


def test_a_worker_that_hangs_leaves_the_others_and_makes_no_progress_of_its_own() -> None:
    mended, frames = threading.Event(), list[tuple[str, int]]()

    def hang(index: int) -> None:
        if index == 2:
            mended.wait(PATIENCE_S)

    for each in judged([watch("left", 4, hang), watch("right", 50)]):
        frames.append((each.camera, each.verdict.frame_index))
        if frames[-1] == ("right", 49):
            assert ("left", 2) not in frames
            mended.set()
    assert ("left", 3) in frames


def test_threads_end_with_whoever_asked_for_the_verdicts() -> None:
    before = threading.active_count()
    asked = Watching(2, lambda _: None).judged([watch("left", 1000), watch("right", 1000)])
    next(asked)
    asked.close()
    eventually(lambda: threading.active_count() == before)
