"""Says whether dist/ is a release: one version, a changelog that tells of it, a clean tree.

    python .ci/release.py --dist dist [--before]

Writes SHA256SUMS there; `--before` says what is known to be wrong before anything is built. The
version is that of setup.cfg, from where `trackside --version` has it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from configparser import ConfigParser
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dist", type=Path, required=True)
    parser.add_argument("--before", action="store_true", help="nothing has been built yet")
    asked = parser.parse_args()
    dist = asked.dist
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    version = setup["metadata"]["version"]
    files = sorted(path for path in dist.glob("*") if path.name != "SHA256SUMS")
    missing, others = of_the_files(version, files)
    wrong = [*of_the_tree(version), *others, *([] if asked.before else missing)]
    if wrong:
        sys.exit("\n".join(f"no release: {why}" for why in wrong))
    if asked.before:
        return
    sums = "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (dist / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(f"trackside {version}: {len(files)} files")


def of_the_tree(version: str) -> list[str]:
    """What is against it in the repository."""
    wrong = []
    if said := git("status", "--porcelain"):
        wrong.append(f"there are changes beside the commit: {said.splitlines()[0]}")
    if git("tag", "--points-at", "HEAD") != f"v{version}":
        wrong.append(f"the commit is not tagged v{version}: git tag v{version}")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changes, re.MULTILINE):
        wrong.append(f"CHANGELOG.md has no `## {version} (YYYY-MM-DD)`: say what a user sees")
    return wrong


def of_the_files(version: str, files: list[Path]) -> tuple[list[str], list[str]]:
    """What is against it in the folder: what it has not, and what it has of something else."""
    wanted = {
        f"trackside-{version}.tar.gz",
        *(
            f"trackside-{version}-py3-none-manylinux_2_17_{each}.whl"
            for each in ("aarch64", "x86_64")
        ),
    }
    names = {path.name for path in files}
    missing = [f"{name} is missing: make wheels" for name in sorted(wanted - names)]
    return missing, [f"{name} is of another build: remove it" for name in sorted(names - wanted)]


def git(*asked: str) -> str:
    done = subprocess.run(["git", *asked], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
