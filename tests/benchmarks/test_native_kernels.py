"""What `python -m benchmarks.native_kernels` measures: each kernel, on each body of this CPU."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.native_kernels import build, measure, table
from edge.engines.native_engine import bodies
from edge.errors import EngineUnavailable

try:
    BODIES = bodies()
except EngineUnavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)


def test_every_kernel_of_every_body_is_measured_and_has_its_place_in_the_table(
    tmp_path: Path,
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    rows = measure(build(tmp_path, "-O0"), width=64, rounds=1)
    kernels = ["stem", "sum", "head", "depthwise", "pointwise"]
    assert list(dict.fromkeys(row.body for row in rows)) == BODIES
    for body in BODIES:
        assert list(dict.fromkeys(row.kernel for row in rows if row.body == body)) == kernels
    assert all(row.gops > 0 for row in rows)
    head, *lines = table(rows, gops=1000.0)
    assert head.split() == ["kernel", "shape", *BODIES]
    assert len(lines) == len(rows) / len(BODIES)
    assert all(line.count("%") == len(BODIES) for line in lines)
