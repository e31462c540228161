"""Where the native engine's time goes: `python -m benchmarks.native_kernels [--width 1024]`.

Each kernel on each body that this CPU runs, for one row of each of the shipped network's shapes:
how many operations a second, and what share that is of the fastest INT8 matrix product of the stock
engines that are installed, measured in the same run on one core. A shape is channels x pixels and
the number of branches, or inputs > outputs x pixels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.bench.roofline import CeilingBench, ceiling

ENGINE = Path(__file__).parents[1] / "edge" / "engines" / "native"
SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-std=c++17", "-ffp-contract=off", "-pthread")  # as setup.py builds the engine


@dataclass(frozen=True, slots=True)
class Row:
    """The fastest time of one kernel on one body."""

    body: str
    kernel: str
    shape: str
    operations: float
    ns: float

    @property
    def gops(self) -> float:
        return self.operations / self.ns


def build(folder: Path, optimised: str = "-O3") -> Path:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise SystemExit(f"{compiler} is not installed: install it, or name another in CXX")
    return with_engine(SOURCE, [compiler, optimised], folder / "native_kernels")


def with_engine(main: Path, compiler: Sequence[str], program: Path, engine: Path = ENGINE) -> Path:
    """A program out of its main file and the engine's sources, built by this command."""
    sources = [path for path in sorted(engine.glob("*.cpp")) if path.name != "api.cpp"]
    command: list[Path | str] = [*compiler, *FLAGS, f"-I{engine}", main, *sources, "-o", program]
    subprocess.run(command, check=True)
    return program


def shared_library(source: Path, library: Path, compiler: str = "gcc") -> Path:
    """What a program can be given to load, such as a sampler."""
    command: list[Path | str] = [compiler, "-O2", "-shared", "-fPIC", source, "-o", library]
    subprocess.run(command, check=True)
    return library


def measure(program: Path, width: int, rounds: int) -> list[Row]:
    answer = subprocess.run(
        [program, str(width), str(rounds)], check=True, capture_output=True, text=True
    )
    cells = [line.split() for line in answer.stdout.splitlines()]
    return [
        Row(body, kernel, shape, float(operations), float(ns))
        for body, kernel, shape, operations, ns in cells
    ]


def table(rows: Sequence[Row], gops: float | None) -> Iterator[str]:
    """A line for each kernel and shape, a column for each body."""
    bodies = list(dict.fromkeys(row.body for row in rows))
    by_name = {(row.kernel, row.shape, row.body): row for row in rows}
    yield f"{'kernel':10} {'shape':20}" + "".join(f"{body:>18}" for body in bodies)
    for kernel, shape in dict.fromkeys((row.kernel, row.shape) for row in rows):
        line = f"{kernel:10} {shape:20}"
        for body in bodies:
            row = by_name[kernel, shape, body]
            share = "" if gops is None else f" {row.gops / gops:6.1%}"
            line += f"{f'{row.gops:.0f}{share}':>18}"
        yield line


def main(
    width: Annotated[int, typer.Option(min=64, help="Of the picture; a multiple of 32.")] = 352,
    rounds: Annotated[int, typer.Option(min=1, help="The fastest of so many counts.")] = 100,
) -> None:
    """Measure every kernel."""
    if width % 32:
        raise typer.BadParameter(f"{width} is not a multiple of 32")
    bench = CeilingBench(threads=1)
    with TemporaryDirectory() as folder:
        program = build(Path(folder))
        turns = [bench.turn()]
        rows = measure(program, width, rounds)
        turns.append(bench.turn())
    most = ceiling(turns)
    by = "no stock engine is installed" if most.int8_gemm_by is None else f"by {most.int8_gemm_by}"
    print(f"GOP/s of one row of a picture {width} wide, and share of the INT8 ceiling of")
    print(f"{most.int8_gemm_gops} GOP/s ({by}), one core", end="\n\n")
    print("\n".join(table(rows, most.int8_gemm_gops)))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    typer.run(main)
