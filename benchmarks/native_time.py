"""What a picture spends on each of the native engine's kernels: `python -m benchmarks.native_time`.

The whole network is run, and at each tick of the kernel's clock it is noted where: in processor
time, so that others' work beside it does not count. With `--before`, another version's sources are
run in turns with these. x86-64 alone.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.arm_instructions import PICTURES, kernel_of
from benchmarks.native_kernels import ENGINE, shared_library, with_engine
from edge.bundle import open_bundle
from edge.engines.native_engine import bodies
from edge.network import resolve_bundle

SAMPLER = Path(__file__).with_suffix(".c")


def build(folder: Path, sources: Path = ENGINE, optimised: str = "-O3") -> tuple[Path, Path]:
    """The engine with a program that runs it, and the sampler to preload."""
    for tool in ("g++", "gcc", "nm"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed: install it (Debian: g++)")
    if platform.machine() != "x86_64":
        raise SystemExit(f"it reads the registers of an x86-64, and this is {platform.machine()}")
    # At fixed addresses, by which the symbols are known.
    compiler = ["g++", optimised, "-no-pie"]
    program = with_engine(PICTURES, compiler, folder / "program", sources)
    return program, shared_library(SAMPLER, folder / "sampler.so")


def spent_ms(
    built: tuple[Path, Path], artefact: Path, shown: Sequence[str], pictures: int
) -> dict[str, float]:
    """Milliseconds of a picture's processor time by kernel; shown are height, width and body."""
    program, sampler = built
    samples = program.with_name("samples")
    run: list[Path | str] = [program, artefact, *shown, str(pictures)]
    environment = {**os.environ, "LD_PRELOAD": str(sampler), "SAMPLES": str(samples)}
    before_s = os.times().children_user
    subprocess.run(run, env=environment, check=True)
    spent_s = os.times().children_user - before_s
    functions = _functions(program)
    starts = [start for start, _ in functions]
    by_kernel: Counter[str] = Counter()
    for line in samples.read_text(encoding="ascii").splitlines():
        nearest = bisect(starts, int(line, 16)) - 1
        by_kernel[kernel_of(functions[nearest][1] if nearest >= 0 else "")] += 1
    each_ms = 1000 * spent_s / pictures / by_kernel.total()
    return {kernel: count * each_ms for kernel, count in by_kernel.most_common()}


def _functions(program: Path) -> list[tuple[int, str]]:
    """Where each begins, in order."""
    listed = subprocess.run(["nm", "-nC", program], check=True, capture_output=True, text=True)
    lines = (line.split(" ", 2) for line in listed.stdout.splitlines() if line[:1] != " ")
    return [(int(start, 16), name) for start, kind, name in lines if kind in "tTwW"]


def table(rounds: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """A line for each kernel, a column for each version: medians over its rounds."""
    kernels = list(dict.fromkeys(name for runs in rounds.values() for run in runs for name in run))
    columns = {
        name: {kernel: median(run.get(kernel, 0) for run in runs) for kernel in kernels}
        for name, runs in rounds.items()
    }
    lines = [
        f"{'ms':14}" + "".join(f"{name:>10}" for name in [*columns, *["times"][: len(columns) - 1]])
    ]
    for kernel in [*kernels, "all"]:
        cells = [
            sum(column.values()) if kernel == "all" else column[kernel]
            for column in columns.values()
        ]
        line = f"{kernel:14}" + "".join(f"{cell:10.2f}" for cell in cells)
        if len(cells) > 1 and cells[1]:
            line += f"{cells[0] / cells[1]:10.2f}"
        lines.append(line)
    return lines


def main(
    bundle: Annotated[str, typer.Argument(help="A bundle with a native artefact.")] = "strip",
    *,
    height: Annotated[int, typer.Option(help="Rows of a picture.")] = 352,
    width: Annotated[int, typer.Option(help="Columns of a picture.")] = 352,
    body: Annotated[str | None, typer.Option(help="The fastest here, if left out.")] = None,
    before: Annotated[
        Path | None, typer.Option(help="Another version's edge/engines/native, to compare with.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="About how long each version runs.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each version.")] = 3,
) -> None:
    """Sample what a picture takes."""
    opened = open_bundle(resolve_bundle(bundle))
    versions = {"before": before, "now": ENGINE} if before is not None else {"now": ENGINE}
    chosen = body or bodies()[0]
    shown = [str(height), str(width), chosen]
    pictures = max(20, round(seconds / rounds * 5e7 / (height * width)))
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
    with TemporaryDirectory() as folder:
        artefact = Path(folder, "artefact")
        artefact.write_bytes(opened.read(opened.artefact("native").path))
        built = {}
        for name, sources in versions.items():
            Path(folder, name).mkdir()
            built[name] = build(Path(folder, name), sources)
        for _ in range(rounds):
            for name, programs in built.items():
                seen[name].append(spent_ms(programs, artefact, shown, pictures))
    print(f"Milliseconds of processor time for a picture of {width}x{height} on {chosen}")
    print("\n".join(table(seen)))


if __name__ == "__main__":
    typer.run(main)
