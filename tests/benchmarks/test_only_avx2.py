"""What is held to AVX2 chooses as if the CPU had no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.only_avx2 import CannotHold, build, environment
from edge.engines.native_engine import bodies

CHOICES = """
from threading import Thread
from edge.engines.native_engine import bodies
print(*bodies())
other = Thread(target=lambda: print(*bodies()))
other.start()
other.join()
"""


def test_an_engine_in_any_thread_finds_avx2_and_nothing_after_it(tmp_path: Path) -> None:
    if "avx2" not in bodies():
        pytest.skip("this CPU has no AVX2 to be held to")
    try:
        environment(build(tmp_path))
    except CannotHold as reason:
        pytest.skip(str(reason))
    held = [sys.executable, "-m", "benchmarks.only_avx2", sys.executable, "-c", CHOICES]
    ran = subprocess.run(held, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "avx2 portable\navx2 portable\n"), ran.stderr


def test_a_command_keeps_its_exit_status_and_a_missing_one_is_named() -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        only = [sys.executable, "-m", "benchmarks.only_avx2", *command]
        return subprocess.run(only, capture_output=True, text=True, check=False)

    assert run().returncode == 2
    missing = run("no-such-command")
    assert missing.returncode == 1
    assert missing.stderr.strip()
    if "CPUID" not in missing.stderr:
        assert "no-such-command" in missing.stderr
        assert run("sh", "-c", "exit 7").returncode == 7
