"""What a picture costs an ARM is counted, kernel by kernel, under an emulator."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.arm_instructions import BODIES, COMPILER, EMULATOR, build, count, table
from stands.native_programs import Programs


@pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None,
    reason="needs g++-aarch64-linux-gnu and qemu-user",
)
def test_each_kernel_is_counted_and_twice_the_rows_take_twice_the_instructions(
    tmp_path: Path,
) -> None:
    artefact = tmp_path / "artefact"
    artefact.write_bytes(Programs(1).minet().to_bytes())
    built = build(tmp_path, optimised="-O1")
    counted = {}
    for body in BODIES:
        small, large = (count(built, artefact, (height, 64), body) for height in (64, 128))
        for kernel in ("pointwise", "depthwise", "sum", "head"):
            assert small[kernel] > 10_000
            assert large[kernel] / small[kernel] == pytest.approx(2, rel=0.05)
        counted[body, "now"] = large
    assert counted["i8mm", "now"]["pointwise"] < counted["neon", "now"]["pointwise"]
    lines = table(counted)
    assert [line.split()[0] for line in lines[-3:]] == ["Raspberry", "Jetson", "Jetson"]
    assert [line.count(" ms") for line in lines[-3:]] == [1, 1, 1]  # of its fastest body alone
