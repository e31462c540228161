"""What a picture spends on each kernel is sampled of the whole network."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from benchmarks.native_time import build, spent_ms, table
from edge.engines.native_engine import bodies
from stands.native_programs import Programs


@pytest.mark.skipif(
    platform.machine() != "x86_64" or shutil.which("g++") is None,
    reason="needs an x86-64 and g++",
)
def test_each_kernel_has_its_share_of_a_picture(tmp_path: Path) -> None:
    artefact = tmp_path / "artefact"
    artefact.write_bytes(Programs(1).minet().to_bytes())
    built = build(tmp_path, optimised="-O1")
    # So many that hundreds of samples fall on them, also where the kernel's clock ticks slowly.
    spent = spent_ms(built, artefact, ["128", "128", bodies()[0]], 5000)
    assert {"pointwise", "depthwise"} <= spent.keys()
    assert spent["depthwise"] > sum(spent.values()) / 20
    lines = table({"before": [spent], "now": [spent]})
    assert lines[0].split() == ["ms", "before", "now", "times"]
    assert lines[-1].split()[0] == "all"
    assert lines[-1].split()[-1] == "1.00"
