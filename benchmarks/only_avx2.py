"""Runs a command as if the CPU ended at AVX2: `python -m benchmarks.only_avx2 COMMAND...`.

Not every engine has a switch for it. The kernel lets CPUID fault on most x86-64 CPUs, and a small
library answers in its stead, so that this command and all it starts are held to AVX2, each by its
own choice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.native_kernels import shared_library

SOURCE = Path(__file__).with_suffix(".c")
_UNSUPPORTED = 69  # the library's exit status where CPUID cannot be made to fault


class CannotHold(Exception):
    """Why nothing can be held to AVX2 here, and what would help."""


def build(folder: Path) -> Path:
    """The library to preload."""
    compiler = os.environ.get("CC", "gcc")
    if shutil.which(compiler) is None:
        raise CannotHold(f"{compiler} is not installed: install it, or name another in CC")
    return shared_library(SOURCE, folder / "only_avx2.so", compiler)


def environment(library: Path) -> dict[str, str]:
    """Of a command that is held; `CannotHold` if this CPU or its kernel knows no way."""
    held = {**os.environ, "LD_PRELOAD": str(library)}
    if subprocess.run(["true"], env=held, check=False).returncode == _UNSUPPORTED:
        raise CannotHold("this CPU, or its virtual machine, does not let CPUID fault")
    return held


def main(command: list[str]) -> int:
    if not command:
        print("name the command to run: python -m benchmarks.only_avx2 trackside bench strip")
        return 2
    with TemporaryDirectory() as folder:
        try:
            held = environment(build(Path(folder)))
            return subprocess.run(command, env=held, check=False).returncode
        except (CannotHold, FileNotFoundError) as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
