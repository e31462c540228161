"""The images as they lie in flash, what they find at their start, and the RP2040's decoder."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from struct import iter_unpack, unpack_from

import pytest

from firmware_bridge.board import requests
from firmware_bridge.board.answers import (
    Answer,
    Fault,
    ResetCause,
    State,
    parse_answer,
    parse_board,
    parse_events,
)
from firmware_bridge.board.packets import PacketReader
from firmware_bridge.board.requests import Kind
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.errors import LineError, RejectorStopped
from firmware_bridge.types import SECOND_NS
from stands.boards import Cable, EmulatedBoard, open_link
from stands.firmware import SOURCES, build, need
from stands.places import ROOT
from stands.waiting import eventually

FLASH, VECTORS, MEMORY = 0x1000_0000, 0x1000_0100, 0x2000_0000


# --- the RP2040's flash --------------------------------------------------------------------------


def flash_of(uf2: bytes) -> bytes:
    """As the boot ROM writes it: each page once, one behind another, from the first byte on."""
    flash, blocks = bytearray(), len(uf2) // 512
    for i in range(blocks):
        block = uf2[512 * i : 512 * (i + 1)]
        head = unpack_from("<8I", block)
        assert head[:3] == (0x0A324655, 0x9E5D5157, 0x2000)
        assert head[3:] == (FLASH + 256 * i, 256, i, blocks, 0xE48BFF56)
        assert unpack_from("<I", block, 508) == (0x0AB16F30,)
        flash += block[32 : 32 + 256]
    return bytes(flash)


def boot_rom_crc(stage: bytes) -> int:
    """Long division, bit by bit, by the polynomial that the RP2040's datasheet has in 2.8.1.3.1."""
    message = int.from_bytes(stage, "big") << 32 ^ 0xFFFF_FFFF << 8 * len(stage)
    for bit in range(8 * len(stage) + 31, 31, -1):
        if message >> bit & 1:
            message ^= 0x1_04C1_1DB7 << bit - 32
    return message


def test_the_sizes_in_the_readme_are_those_of_the_build(images: Path, tmp_path: Path) -> None:
    """By the compiler that it names; another's may differ."""
    need("make", "arm-none-eabi-gcc")
    version = subprocess.check_output(["arm-none-eabi-gcc", "-dumpversion"], text=True).strip()
    readme = (SOURCES / "README.md").read_text()
    if f"With gcc {version}," not in readme:
        pytest.skip(f"README.md has the sizes of another compiler than {version}")
    for target in ("an385", "rp2040"):
        build(target, images)
    copy = tmp_path / "firmware"
    shutil.copytree(SOURCES, copy)
    subprocess.run(["make", "-s", "-C", copy, f"BUILD={images}", "size"], check=True)
    assert (copy / "README.md").read_text() == readme


def test_the_rp2040_starts_behind_a_boot_stage_that_its_rom_takes(images: Path) -> None:
    build("rp2040", images)
    flash = flash_of((images / "rp2040.uf2").read_bytes())
    assert boot_rom_crc(flash[:252]) == int.from_bytes(flash[252:256], "little")
    stack, reset = unpack_from("<2I", flash, VECTORS - FLASH)
    assert MEMORY < stack <= MEMORY + 0x4000  # lowest in memory: what overflows leaves it
    assert reset & 1
    assert VECTORS < reset < FLASH + len(flash)
    assert all(
        VECTORS < handler < FLASH + len(flash)
        for (handler,) in iter_unpack("<I", flash[VECTORS - FLASH + 4 : VECTORS - FLASH + 64])
    )
    readelf = ["arm-none-eabi-readelf", "-lW", images / "rp2040.elf"]
    said = subprocess.check_output(readelf, text=True)
    segments = re.findall(r"LOAD +\w+ 0x\w+ 0x(\w+) 0x(\w+)", said)
    places = sorted((int(at, 16), int(at, 16) + int(size, 16)) for at, size in segments)
    in_flash = [place for place in places if place[0] < place[1]]
    assert in_flash[0] == (FLASH, VECTORS)
    assert all(end <= start for (_, end), (start, _) in pairwise(in_flash))


# --- the RP2040's decoder ------------------------------------------------------------------------


class StateMachine:
    """As much of a PIO's as the decoder asks for, by the datasheet's table of instructions."""

    def __init__(self, program: list[int], start: list[int]) -> None:
        self.program = program
        self.pc, self.isr, self.osr, self.y = 15, 0, 0, 0
        self.flag, self.pushed = False, 0
        self.pins = 0
        for instruction in start:
            self.execute(instruction)

    def step(self) -> None:
        at = self.pc
        self.pc = 15 if at == 25 else at + 1
        self.execute(self.program[at])

    def execute(self, word: int) -> None:
        kind, upper, lower = word >> 13, word >> 5 & 7, word & 31
        if kind == 0:  # jmp: always, or while y was not 0
            assert upper in {0, 4}
            if upper == 0 or self.y:
                self.pc = lower
            if upper == 4:
                self.y = (self.y - 1) % 2**32
        elif kind == 2:  # in pins, to the left
            self.isr = (self.isr << lower | self.pins & (1 << lower) - 1) % 2**32
        elif kind == 3:  # out isr, to the right
            assert upper == 6
            self.isr = self.osr & (1 << lower) - 1
            self.osr >>= lower
        elif kind == 4:  # push
            self.pushed, self.isr = self.isr, 0
        elif kind == 5:  # mov
            sources = {2: self.y, 3: 0, 6: self.isr}
            value = sources[lower & 7] ^ (0xFFFF_FFFF if lower >> 3 == 1 else 0)
            name = {2: "y", 5: "pc", 6: "isr", 7: "osr"}[upper]
            setattr(self, name, value)
        elif kind == 6:  # irq
            self.flag = True
        else:  # set y
            assert upper == 2
            self.y = lower


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], list[int]]:
    """The words that the port writes to the PIO, by the port's own compiler."""
    need("gcc")
    source = """
        #include <stdio.h>
        #include "quadrature.h"
        int main(void) {
            for (unsigned i = 0; i < sizeof QUADRATURE / 2; i++) printf("%u ", QUADRATURE[i]);
            puts("");
            for (unsigned i = 0; i < sizeof QUADRATURE_START / 2; i++)
                printf("%u ", QUADRATURE_START[i]);
        }
    """
    words = tmp_path_factory.mktemp("decoder") / "words"
    words.with_suffix(".c").write_text(source)
    ports = SOURCES / "ports" / "rp2040"
    subprocess.run(["gcc", f"-I{ports}", "-o", words, words.with_suffix(".c")], check=True)
    program, start = subprocess.check_output([words], text=True).splitlines()
    return [int(word) for word in program.split()], [int(word) for word in start.split()]


def test_the_decoder_counts_every_edge_either_way_and_flags_those_it_cannot_tell(
    decoder: tuple[list[int], list[int]],
) -> None:
    chance, levels = random.Random(11), [0b00, 0b01, 0b11, 0b10]  # B and A, forward
    machine, count, phase = StateMachine(*decoder), 0, 0
    for i in range(3_000):
        way = chance.choice([-1, 0, 1, 1])
        count, phase = count + way, (phase + way) % 4
        machine.pins = levels[phase]
        for _ in range(12 if i % 10 else 24):  # cycles: 10 million edges a second
            machine.step()
        if i % 10 == 0:  # time to see the last and to push it
            assert (machine.pushed + 2**31) % 2**32 - 2**31 == count
    assert not machine.flag
    machine.pins ^= 0b11
    for _ in range(24):
        machine.step()
    assert machine.flag


# --- what an image finds at its start, and why it started (in QEMU) ------------------------------


@pytest.fixture
def image(images: Path) -> Path:
    need("qemu-system-arm")
    return build("an385", images)


def test_a_damaged_image_opens_no_session(image: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(image.read_bytes().replace(b"mps2-an385", b"mps2-an386"))
    with closing(EmulatedBoard(tmp_path, damaged)) as board, closing(Cable(board.link)) as cable:
        with pytest.raises(LineError, match="its program is damaged: flash it anew"):
            open_link(cable.port, ActuatorTraits(0))
        assert board.rejects()


@pytest.mark.parametrize(
    ("at", "bytes_there", "says"),
    [
        ("stack_guard", "00000000", "its stack overflowed"),
        ("port_turn", "00de00de", "its program met what it cannot execute"),
    ],
)
def test_what_ended_a_program_is_told_after_the_reset(
    at: str, bytes_there: str, says: str, image: Path, tmp_path: Path
) -> None:
    said = subprocess.check_output(["arm-none-eabi-nm", image], text=True)
    addresses = {name: int(address, 16) for address, _, name in map(str.split, said.splitlines())}
    with closing(EmulatedBoard(tmp_path, image)) as board, closing(Cable(board.link)) as cable:
        link = open_link(cable.port, ActuatorTraits(0))
        assert link.board.faults == Fault(0)
        assert link.board.reset_cause is ResetCause.UNKNOWN
        board.debug(f"M{addresses[at]:x},4:{bytes_there}")
        eventually(lambda: link._failure is not None)
        with pytest.raises(RejectorStopped, match=says):
            link.check()
        assert board.rejects()


# --- the RP2040's image, from its boot stage on (in rp2040js) ------------------------------------


class EmulatedChip:
    """The chip with its image, and a host that asks it, in the chip's own time."""

    def __init__(self, uf2: Path) -> None:
        command = ["node", ROOT / "tests" / "stands" / "rp2040.mjs", uf2]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._packets = PacketReader()
        self._sequence = self._heard = 0
        self.passes = False

    def do(self, command: str) -> list[Answer]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        assert said["resets"] == 0
        self.passes = said["pass"]
        bodies = self._packets.feed(bytes.fromhex(said["sent"]))
        return [answer for answer in map(parse_answer, bodies) if answer is not None]

    def ask(self, kind: Kind, body: bytes, speed: int = 0) -> Answer:
        self._sequence += 1
        request = requests.request(kind, self._sequence, 5, self._heard, body)
        self.do(f"send {request.hex()}")
        (answer,) = self.do(f"run 6 {speed}")
        self._heard = answer.number
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def test_the_rp2040_boots_from_its_uf2_counts_and_fires(images: Path) -> None:
    if "RP2040JS" not in os.environ:
        pytest.skip("npm install rp2040js, and name its dist/esm/index.js in RP2040JS")
    need("node")
    build("rp2040", images)
    opening = requests.opening(
        ActuatorTraits(0),
        nm_per_count=1_000,
        silence_ns=60 * SECOND_NS,
        fastest_um_s=10_000_000,
        default_reject=False,
    )
    with closing(EmulatedChip(images / "rp2040.uf2")) as chip:
        chip.do("run 60 0")
        hello = chip.ask(Kind.HELLO, requests.hello())
        assert parse_board(hello.body).faults == Fault(0)
        assert not chip.passes
        chip.ask(Kind.OPEN, requests.greeted(hello.reading.at_ns, opening))
        chip.ask(Kind.ORDER, requests.stretches(1, [(300, 400)]))
        passing = [chip.passes for _ in range(30) if chip.do("run 1 20000") == []]
        assert passing.count(False) == pytest.approx(5, abs=1)  # ms, of 20 um each
        answer = chip.ask(Kind.POLL, requests.poll(0), speed=20_000)
        assert parse_events(answer.body)[1][0].order == 1
        chip.do("cut")
        for _ in range(40):
            chip.do("run 10 20000")
        assert chip.ask(Kind.POLL, requests.poll(0)).state is State.ENCODER_FAILED
