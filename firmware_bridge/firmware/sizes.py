"""Writes into README.md how large what was built is: python3 sizes.py BUILD (`make size`)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).with_name("README.md")
ARM = "arm-none-eabi-"
WHAT = {
    "core-m3.o": "core, Cortex-M3, -O2",
    "core-m0plus.o": "core, Cortex-M0+, -Os",
    "an385.elf": "image, AN385, -O2",
    "rp2040.elf": "image, RP2040, -Os",
}


def table(build: Path) -> str:
    gcc = subprocess.check_output([f"{ARM}gcc", "-dumpversion"], text=True).strip()
    sizes: list[str | Path] = [f"{ARM}size", *(build / name for name in WHAT)]
    rows = [line.split() for line in subprocess.check_output(sizes, text=True).splitlines()[1:]]
    symbols = subprocess.check_output([f"{ARM}nm", "-S", build / "rp2040.elf"], text=True)
    bridge = next(int(row.split()[1], 16) for row in symbols.splitlines() if " b bridge" in row)
    lines = [f"With gcc {gcc}, in bytes; bss holds the 4,096 of the stack:", ""]
    lines += ["| | text | data | bss |", "| --- | --- | --- | --- |"]
    for what, row in zip(WHAT.values(), rows, strict=True):
        lines.append(f"| {what} | " + " | ".join(f"{int(n):,}" for n in row[:3]) + " |")
    lines += ["", f"All of the core's data is one `struct bridge` of {bridge:,} bytes."]
    return "\n".join(lines) + "\n"


def with_sizes(readme: str, build: Path) -> str:
    """The README with what is between its marks made anew."""
    marks = r"(<!-- make size -->\n).*?(<!-- end -->\n)"
    return re.sub(marks, lambda m: m[1] + table(build) + m[2], readme, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_sizes(README.read_text(), Path(sys.argv[1])))
