"""A release is refused, by every reason at once, until nothing is wrong with it any more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from stands.places import ROOT

WHEELS = [f"trackside-1.2.3-py3-none-manylinux_2_17_{each}.whl" for each in ("aarch64", "x86_64")]
SDIST = "trackside-1.2.3.tar.gz"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of version 1.2.3, with dist/ beside what git looks at."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release.py", tmp_path / ".ci")
    (tmp_path / "setup.cfg").write_text("[metadata]\nversion = 1.2.3\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.2 (2026-01-01)\n")
    (tmp_path / ".gitignore").write_text("/dist/\n")
    (tmp_path / "dist").mkdir()
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(tree: Path, *asked: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *asked], cwd=tree, check=True)


def commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "all")


def against(tree: Path, *more: str) -> list[str]:
    """What is said against a release, shortened; nothing of one that may be."""
    command = [sys.executable, ".ci/release.py", "--dist", "dist", *more]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert (done.returncode == 1) is bool(done.stderr)
    said = done.stderr.splitlines()
    assert all(each.startswith("no release: ") for each in said)
    return [each.removeprefix("no release: ").partition(":")[0] for each in said]


def test_a_release_wants_a_clean_tagged_commit_its_changes_and_all_of_its_files(
    tree: Path,
) -> None:
    untold = "CHANGELOG.md has no `## 1.2.3 (YYYY-MM-DD)`"
    untagged = "the commit is not tagged v1.2.3"
    files = [f"{name} is missing" for name in sorted([SDIST, *WHEELS])]
    assert against(tree) == [untagged, untold, *files]
    (tree / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.3 (2026-02-01)\n")
    git(tree, "tag", "v1.2.3")
    assert against(tree, "--before") == ["there are changes beside the commit"]
    commit(tree)
    assert against(tree, "--before") == [untagged]  # the tag is of the commit before
    git(tree, "tag", "--force", "v1.2.3")
    assert against(tree, "--before") == []
    assert against(tree) == files
    old = tree / "dist" / "trackside-1.2.2.tar.gz"
    for name in (old.name, SDIST, *WHEELS):
        (tree / "dist" / name).write_bytes(name.encode())
    assert against(tree) == [f"{old.name} is of another build"]
    assert not (tree / "dist" / "SHA256SUMS").exists()
    old.unlink()
    assert against(tree) == []
    sums = (tree / "dist" / "SHA256SUMS").read_text()
    assert sums.splitlines() == [
        f"{sha256(name.encode()).hexdigest()}  {name}" for name in sorted([SDIST, *WHEELS])
    ]
