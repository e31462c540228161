"""What the native engine costs a 64-bit ARM: `python -m benchmarks.arm_instructions [BUNDLE]`.

There is not always an ARM to time, but an emulator can count: the instructions that one picture
takes, by kernel, of the engine built for ARM and run under QEMU. Milliseconds are worked out from
the count by what such a processor usually does in a cycle; they are no measurement, and are marked
so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer

from benchmarks.native_kernels import ENGINE, shared_library, with_engine
from edge.bundle import open_bundle
from edge.network import resolve_bundle

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
PICTURES = Path(__file__).with_name("native_pictures.cpp")
PLUGIN = Path(__file__).with_suffix(".c")
KERNELS = {  # by the functions that the compiler leaves of them
    "pointwise": re.compile(r"::(block|pointwise\w*|along\w*|tiles?|add_\w+)\b"),
    "depthwise": re.compile(
        r"::(depthwise\w*|branch|weave\w*|roll\w*|slide|deal|use_woven|BranchOfPairs)\b"
    ),
    "sum": re.compile(r"::(add|sum(_as_large|_doubled|_rows)?|between|double_\w+)\b"),
    "head": re.compile(r"::(head|sums?_of\w*)\b"),
    "rows, copies": re.compile(r"Network::|^mem"),
}
A_CYCLE = 2.0  # instructions, of vectors mostly, on the cores below
CORES = {  # with their fastest body
    "Raspberry Pi 5, 2.4 GHz": (2.4, "neon"),
    "Jetson Orin, 2.2 GHz": (2.2, "neon"),
    "Jetson Thor, 2.6 GHz": (2.6, "i8mm"),
}
BODIES = tuple(sorted({body for _, body in CORES.values()}))


class Built(NamedTuple):
    """The engine with a program that runs it, for ARM, and the plugin that counts."""

    program: Path
    plugin: Path


def build(folder: Path, sources: Path = ENGINE, optimised: str = "-O3") -> Built:
    """As long as the folder lasts."""
    for tool in (COMPILER, EMULATOR, "gcc"):
        if shutil.which(tool) is None:
            raise SystemExit(
                f"{tool} is not installed: install it (Debian: gcc g++-aarch64-linux-gnu qemu-user)"
            )
    compiler = [COMPILER, optimised, "-static"]
    program = with_engine(PICTURES, compiler, folder / "program", sources)
    return Built(program, shared_library(PLUGIN, folder / "plugin.so"))


def count(built: Built, artefact: Path, size: tuple[int, int], body: str) -> dict[str, int]:
    """Instructions of one picture by kernel: what a second picture adds to a run."""
    runs = [_executed(built, artefact, size, body, pictures) for pictures in (1, 2)]
    by_kernel: Counter[str] = Counter()
    for name, instructions in (runs[1] - runs[0]).items():
        by_kernel[kernel_of(name)] += instructions
    return dict(by_kernel.most_common())


def _executed(
    built: Built, artefact: Path, size: tuple[int, int], body: str, pictures: int
) -> Counter[str]:
    run = [built.program, artefact, *size, body, pictures]
    done = subprocess.run(
        [EMULATOR, "-cpu", "max", "-plugin", str(built.plugin), *map(str, run)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{EMULATOR} ended with {done.returncode}: {done.stderr.strip()}")
    mangled = (line.partition(" ")[::2] for line in done.stderr.splitlines())
    counts, names = zip(*mangled, strict=True)
    plain = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    executed: Counter[str] = Counter()
    for name, instructions in zip(plain, counts, strict=True):
        executed[name] += int(instructions)
    return executed


def kernel_of(function: str) -> str:
    """The kernel that a function of the engine is a part of, by its plain name."""
    # Of the arguments' types nothing is taken for the function's name.
    name = function.replace("(anonymous namespace)", "").partition("(")[0]
    found = (kernel for kernel, pattern in KERNELS.items() if pattern.search(name))
    return next(found, "rows, copies")


def table(columns: Mapping[tuple[str, str], Mapping[str, int]]) -> list[str]:
    """A line for each kernel, a column for each body and version of the engine, in millions."""
    kernels = list(dict.fromkeys(kernel for column in columns.values() for kernel in column))
    lines = [f"{'':24}" + "".join(f"{body:>12}" for body, _ in columns)]
    lines.append(f"{'':24}" + "".join(f"{version:>12}" for _, version in columns))
    for kernel in kernels:
        counts = (column.get(kernel, 0) / 1e6 for column in columns.values())
        lines.append(f"{kernel:24}" + "".join(f"{each:12.2f}" for each in counts))
    totals = {column: sum(counts.values()) for column, counts in columns.items()}
    lines.append(f"{'all':24}" + "".join(f"{total / 1e6:12.2f}" for total in totals.values()))
    for core, (ghz, has) in CORES.items():
        times = (
            f"{total / (A_CYCLE * ghz * 1e6):.1f} ms" if body == has else ""
            for (body, _), total in totals.items()
        )
        lines.append((f"{core:24}" + "".join(f"{each:>12}" for each in times)).rstrip())
    return lines


def main(
    bundle: Annotated[str, typer.Argument(help="A bundle with a native artefact.")] = "strip",
    height: Annotated[int, typer.Option(help="Rows of a picture.")] = 352,
    width: Annotated[int, typer.Option(help="Columns of a picture.")] = 352,
    bodies: Annotated[list[str] | None, typer.Option("--body", help="Of the engine's.")] = None,
    before: Annotated[
        Path | None, typer.Option(help="Another version's edge/engines/native, to compare with.")
    ] = None,
) -> None:
    """Count what a picture takes."""
    opened = open_bundle(resolve_bundle(bundle))
    versions = {"before": before, "now": ENGINE} if before is not None else {"now": ENGINE}
    columns = {}
    with TemporaryDirectory() as folder:
        artefact = Path(folder, "artefact")
        artefact.write_bytes(opened.read(opened.artefact("native").path))
        for name, sources in versions.items():
            place = Path(folder, name)
            place.mkdir()
            built = build(place, sources)
            for body in bodies or BODIES:
                columns[body, name] = count(built, artefact, (height, width), body)
    print(f"Millions of instructions for a picture of {width}x{height}, and what that comes to at")
    print(f"{A_CYCLE:g} instructions a cycle: worked out, not measured", end="\n\n")
    print("\n".join(table(columns)))


if __name__ == "__main__":
    typer.run(main)
