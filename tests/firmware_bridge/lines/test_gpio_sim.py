"""The GPIO adapters on the kernel's own simulated chip, where it has one (gpio-sim, as root)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge.errors import EncoderError, LineError
from firmware_bridge.lines.gpiod_line import GpiodEncoder, GpiodInput, GpiodOutput
from stands.gpio_chip import quadrature

CONFIG = Path("/sys/kernel/config/gpio-sim")
NM = 250_000

pytestmark = pytest.mark.skipif(
    not (CONFIG.is_dir() and os.access(CONFIG, os.W_OK)),
    reason="needs the kernel's gpio-sim: modprobe gpio-sim, and run as root",
)


class SimulatedChip:
    """Eight lines, of which line 3 is called GPIO3, and their wires."""

    def __init__(self) -> None:
        self._folder = CONFIG / "trackside-tests"
        bank = self._folder / "bank"
        (bank / "line3").mkdir(parents=True)
        (bank / "num_lines").write_text("8")
        (bank / "line3" / "name").write_text("GPIO3")
        (self._folder / "live").write_text("1")
        name = (bank / "chip_name").read_text().strip()
        device = (self._folder / "dev_name").read_text().strip()
        self.path = f"/dev/{name}"
        self._wires = Path("/sys/devices/platform") / device / name

    def level(self, line: int) -> bool:
        return (self._wires / f"sim_gpio{line}" / "value").read_text().strip() == "1"

    def drive(self, line: int, level: bool) -> None:
        pull = "pull-up" if level else "pull-down"
        (self._wires / f"sim_gpio{line}" / "pull").write_text(pull)
        time.sleep(0.02)  # a simulated interrupt may wait for the next tick of the clock

    def remove(self) -> None:
        (self._folder / "live").write_text("0")
        for folder in ("bank/line3", "bank", ""):
            (self._folder / folder).rmdir()


@pytest.fixture
def chip() -> Iterator[SimulatedChip]:
    chip = SimulatedChip()
    yield chip
    chip.remove()


def turn(chip: SimulatedChip, steps: list[int], start: int = 0) -> None:
    for a, b in quadrature(steps, start):
        for line, level in ((5, a), (6, b)):
            if chip.level(line) is not level:
                chip.drive(line, level)


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("safe", [False, True])
def test_an_output_is_on_the_wire(chip: SimulatedChip, safe: bool, low: bool) -> None:
    with GpiodOutput(chip.path, "GPIO3", safe_active=safe, active_low=low) as line:
        assert chip.level(3) is (safe != low)
        for active in (True, False, True):
            line.set(active)
            assert chip.level(3) is (active != low)


def test_an_input_is_the_wire(chip: SimulatedChip) -> None:
    with GpiodInput(chip.path, 4, active_low=True) as line:
        for level in (True, False, True):
            chip.drive(4, level)
            assert line.read() is not level


def test_a_line_is_held_by_one(chip: SimulatedChip) -> None:
    with (
        GpiodOutput(chip.path, 3, safe_active=True),
        pytest.raises(LineError, match="another program holds it"),
    ):
        GpiodInput(chip.path, "GPIO3")
    for missing in (8, "GPIO9"):
        with pytest.raises(LineError, match="gpioinfo"):
            GpiodInput(chip.path, missing)
    with pytest.raises(LineError, match="gpiodetect"):
        GpiodInput("/dev/gpiochip99", 0)


def test_an_encoder_counts_to_and_fro_by_the_kernels_times(chip: SimulatedChip) -> None:
    with GpiodEncoder(chip.path, 5, 6, clock=time.monotonic_ns, nm_per_count=NM) as encoder:
        before_ns = time.monotonic_ns()
        turn(chip, [1] * 40 + [-1] * 13)
        reading = encoder.read()
        assert reading.position_um == 27 * NM // 1000
        assert before_ns <= reading.at_ns <= time.monotonic_ns()


def test_edges_that_the_kernel_dropped_are_noticed(chip: SimulatedChip) -> None:
    with GpiodEncoder(
        chip.path, 5, 6, clock=time.monotonic_ns, nm_per_count=NM, events_kept=16
    ) as encoder:
        turn(chip, [1])
        encoder.read()
        turn(chip, [1] * 19, start=1)
        encoder.read()  # they may be late
        with pytest.raises(EncoderError, match="in time: 3: "):
            encoder.read()


def test_of_one_channel_the_kernels_numbers_count_what_it_dropped(
    chip: SimulatedChip,
) -> None:
    with GpiodEncoder(
        chip.path, 5, clock=time.monotonic_ns, nm_per_count=NM, events_kept=16
    ) as encoder:
        for count in range(24):
            chip.drive(5, not chip.level(5))
            if count == 0:
                encoder.read()
        assert encoder.read().position_um == 24 * NM // 1000
