"""The box that boots, with a co-processor at a serial port that counts and rejects for its line.

The firmware's image runs in an emulator of its own, on the box's rail: each step of the rail waits
for it (firmware/ports/an385/rig.c), and its output is what judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stands.boards import EmulatedImage
from stands.box_machine import LINK, PATIENCE_S, RAIL, BoxMachine
from stands.box_rail import OFFSET_UM, defects, got_away, passed, unseen
from stands.firmware import build, need
from stands.waiting import eventually

pytestmark = pytest.mark.timeout(3600)  # on a busy machine
LENGTH_UM = 3_000_000


class CoProcessor:
    """Its program, and its power."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self._program = folder, program
        self.give_power()

    def give_power(self) -> None:
        self._board = EmulatedImage(self.folder, self._program, LINK, RAIL)

    def cut(self) -> None:
        self._board.close()

    def rejects(self) -> bool:
        return self._board.rejects()


@pytest.fixture(scope="module")
def co_processor(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoProcessor]:
    need("qemu-system-arm")
    co_processor = CoProcessor(tmp_path_factory.mktemp("wires"), build("an385-rig", images))
    yield co_processor
    co_processor.cut()


@pytest.fixture(scope="module")
def box(image: Path, co_processor: CoProcessor) -> Iterator[BoxMachine]:
    with BoxMachine(image, co_processor=co_processor.folder) as box:
        box.start(at_um=0)
        yield box


def test_it_rejects_every_defect_from_boot_without_a_login(box: BoxMachine) -> None:
    box.await_passing()
    box.await_rail(LENGTH_UM)
    assert unseen(box.report) == []
    went_by = list(passed(box.report))
    came_by = defects(went_by[0].start_um, went_by[-1].end_um)
    assert len(came_by) >= 3 and got_away(box.report) == []


def test_nothing_passes_while_it_has_no_power_and_its_line_goes_on_when_it_is_back(
    box: BoxMachine, co_processor: CoProcessor
) -> None:
    box.await_passing()
    co_processor.cut()
    box.until(lambda: not box.report[-1].lets_by)
    since = len(box.report)
    box.await_rail(OFFSET_UM)
    assert not box.lets_by(since)
    co_processor.give_power()
    box.until(lambda: box.lets_by(since))
    box.await_rail(LENGTH_UM)
    assert got_away(box.report) == []


def test_it_rejects_by_itself_when_the_box_has_no_power(
    box: BoxMachine, co_processor: CoProcessor
) -> None:
    box.until(lambda: box.report[-1].lets_by)
    box.cut()
    eventually(co_processor.rejects, PATIENCE_S)
