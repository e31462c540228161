"""Builds the wheels for both kinds of processor on one x86-64 machine, and the sdist.

    python .ci/wheels.py --out dist [--only x86_64|aarch64]

The native engine is compiled by Zig's clang, against the oldest C library that a box may have, and
brings its C++ library with it; it is no module of Python's, so one wheel serves every Python from
3.10 on. `auditwheel` proves what the wheel's name promises. Two builds of one commit are the same
bytes: every file has the commit's time.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GLIBC = "2.17"  # of CentOS 7, the oldest that wheels are made for
LIBRARY = "edge/engines/libtrackside.so.1"
PROCESSORS = ("x86_64", "aarch64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where they go")
    parser.add_argument("--only", choices=PROCESSORS, help="one of the wheels, and no sdist")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = tracked(Path(scratch))
        for processor in [asked.only] if asked.only else PROCESSORS:
            print(wheel(source, processor, asked.out))
        if asked.only is None:
            print(sdist(source, asked.out))


def tracked(scratch: Path) -> Path:
    """The files that git knows, as they are now, in a folder that has the same name each time."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    source = scratch / "trackside"
    for name in listed.decode().rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    return source


def wheel(source: Path, processor: str, out: Path) -> Path:
    """One that says what it runs on, and does."""
    compiler = f"{sys.executable} -m ziglang c++ -target {processor}-linux-gnu.{GLIBC} -g0 -s"
    tag = "manylinux_" + GLIBC.replace(".", "_") + "_" + processor
    environ = {
        **os.environ,
        **same_each_time(),
        "CC": compiler,
        "CXX": compiler,
        "LDSHARED": f"{compiler} -shared",
        "LDCXXSHARED": f"{compiler} -shared",
        "CXXFLAGS": f"-ffile-prefix-map={source}=.",
        "_PYTHON_HOST_PLATFORM": f"linux-{processor}",
    }
    made = build(source, environ, out, "--wheel", f"-C--build-option=--plat-name={tag}")
    prove(made, tag)
    return made


def sdist(source: Path, out: Path) -> Path:
    """What setuptools packs has the time of the build in it, and is packed again without."""
    made = build(source, {**os.environ, **same_each_time()}, out, "--sdist")
    moment = int(same_each_time()["SOURCE_DATE_EPOCH"])
    packed = io.BytesIO()
    with tarfile.open(made) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member) if member.isfile() else None
            member.mtime, member.uid, member.gid, member.uname, member.gname = moment, 0, 0, "", ""
            member.pax_headers = {}
            new.addfile(member, content)
    made.write_bytes(gzip.compress(packed.getvalue(), mtime=moment))
    return made


def build(source: Path, environ: dict[str, str], out: Path, *arguments: str) -> Path:
    """By the packages that are installed: nothing is fetched."""
    with tempfile.TemporaryDirectory(dir=out) as fresh:
        for left in ("build", "trackside.egg-info"):
            shutil.rmtree(source / left, ignore_errors=True)
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", fresh, *arguments]
        done = subprocess.run(
            [*command, str(source)], env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
        (made,) = Path(fresh).iterdir()
        is_wheel = "--wheel" in arguments
        if is_wheel and LIBRARY not in zipfile.ZipFile(made).namelist():
            sys.exit(
                f"{made.name} has no native engine:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
            )
        return made.replace(out / made.name)


def same_each_time() -> dict[str, str]:
    """The time of the latest commit, and an order that is no matter of chance."""
    asked = ["git", "log", "-1", "--format=%ct"]
    at = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return {"SOURCE_DATE_EPOCH": at, "PYTHONHASHSEED": "0", "ZERO_AR_DATE": "1"}


def prove(made: Path, tag: str) -> None:
    """`auditwheel` must find the library to run wherever the wheel's name says."""
    shown = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(shown.stdout.split())
    found = re.search(r'consistent with the following platform tag: "([^"]+)"', said)
    if shown.returncode or found is None:
        sys.exit(f"{made.name}: auditwheel says {said or shown.stderr}")
    if glibc_of(found[1]) > glibc_of(tag):
        sys.exit(f"{made.name}: {said}")


def glibc_of(tag: str) -> tuple[int, ...]:
    """(2, 17) of manylinux_2_17_x86_64; of any other name more than there is."""
    found = re.match(r"manylinux_(\d+)_(\d+)_", tag)
    return tuple(map(int, found.groups())) if found else (99,)


if __name__ == "__main__":
    main()
