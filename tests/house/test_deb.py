"""The Debian package, by dpkg itself: installed, upgraded while lines run, taken back, removed.

The environment in it is a stand-in of a few lines, and so is systemctl, whose lines come up with a
version or do not; what installs, and what the package does meanwhile, is real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from stands.places import ROOT

if shutil.which("dpkg-deb") is None or os.geteuid() != 0:
    pytest.skip("dpkg, as root, is wanted", allow_module_level=True)

SYSTEMCTL = """#!/bin/sh
# Two lines; they come up unless what is installed says that it is bad.
echo "$*" >> "$STAND/calls"
case "$*" in
  *list-units*) echo trackside@a.service; echo trackside@b.service ;;
  *NRestarts*) if grep -q bad "$DPKG_ROOT"/opt/trackside/lib/python3.11/site-packages/edge/cli.py
    then echo 3; else echo 0; fi ;;
  *ActiveState*) echo active ;;
esac
"""


def version() -> str:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["metadata"]["version"]


def package(folder: Path, number: str, says: str) -> Path:
    """A whole package, around an `edge.cli` that says this."""
    folder.mkdir()
    name = f"trackside-{version()}-py3-none-manylinux_2_17_x86_64.whl"
    info = f"trackside-{version()}.dist-info"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("edge/__init__.py", "")
        wheel.writestr("edge/cli.py", f"def main():\n    print({says!r})\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: trackside\nVersion: {version()}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    build = [sys.executable, ROOT / ".ci" / "deb.py", "--wheels", folder, "--out", folder]
    more = ["--only", "amd64", "--bare", "--version", number]
    subprocess.run([*build, *more], check=True)
    return folder / f"trackside_{number}_amd64.deb"


class System:
    """A root of dpkg's own, and who speaks for systemd there."""

    def __init__(self, home: Path) -> None:
        self.root, self._home = home / "root", home
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "run/systemd/system", "bin"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        systemctl = home / "systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)

    def dpkg(self, *arguments: str | Path) -> int:
        command = ["dpkg", f"--root={self.root}", "--force-script-chrootless", "--force-depends"]
        path = f"{self._home}{os.pathsep}{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "STAND": str(self._home)}
        done = subprocess.run([*command, *arguments], env=environ, capture_output=True, check=False)
        return done.returncode

    def says(self) -> str:
        """What its command does."""
        packages = self.root / "opt/trackside/lib/python3.11/site-packages"
        code = "import sys; sys.path.insert(0, sys.argv[1]); from edge.cli import main; main()"
        asked = [sys.executable, "-I", "-c", code, str(packages)]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    def calls(self) -> list[str]:
        path = self._home / "calls"
        said = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [each for each in said if each.startswith(("restart", "disable", "daemon"))]


def test_the_package_installs_upgrades_comes_back_from_what_fails_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    one, two, bad = (
        package(tmp_path / says, number, says)
        for number, says in (("1", "one"), ("2", "two"), ("3", "bad"))
    )
    system = System(tmp_path)
    (system.root / "run/systemd/system").rmdir()
    assert system.dpkg("--install", one) == 0  # no systemd, as in an image that is built
    assert (system.says(), system.calls()) == ("one", [])
    (system.root / "run/systemd/system").mkdir()
    line = system.root / "etc/trackside/lines/a.yaml"
    line.write_text("name: a\n")
    kept = system.root / "var/lib/trackside/a/ledger.sqlite"
    kept.parent.mkdir(parents=True)
    kept.touch()
    roots = system.root / "var/lib/trackside-package/package.json"
    roots.parent.mkdir()
    roots.touch()
    enabled = [
        system.root / "etc/systemd/system" / each
        for each in (
            "multi-user.target.wants/trackside@c.service",
            "timers.target.wants/trackside-package@c.timer",
        )
    ]
    for each in enabled:
        each.parent.mkdir(parents=True)
        each.symlink_to("/usr/lib/systemd/system/trackside@.service")

    restarts = [f"restart --no-block trackside@{each}.service" for each in "ab"]
    assert system.dpkg("--install", two) == 0
    assert (system.says(), system.calls()) == ("two", ["daemon-reload", *restarts])
    assert system.dpkg("--install", bad) != 0  # its first line does not come up
    assert system.says() == "two"
    assert system.calls() == ["daemon-reload", restarts[0], *restarts]
    assert system.dpkg("--install", two) == 0  # and dpkg is content again
    assert line.exists() and kept.exists()

    system.calls()
    assert system.dpkg("--remove", "trackside") == 0
    assert [each for each in system.calls() if "disable" in each] == [
        f"disable --now trackside{each}.service" for each in ("-overview", "@a", "@b")
    ]
    assert not (system.root / "opt/trackside").exists()
    assert line.exists() and kept.exists() and roots.exists()
    assert not any(each.is_symlink() for each in enabled)
    assert system.dpkg("--purge", "trackside") == 0
    assert not (system.root / "etc/trackside").exists()
    assert not list((system.root / "var/lib").glob("trackside*"))
    assert (system.root / "opt").is_dir()  # which is no package's, and was there before


def test_the_package_holds_units_user_rule_completion_and_man_page_and_is_the_same_each_time(
    tmp_path: Path,
) -> None:
    deb, again = (package(tmp_path / name, "1", "one") for name in ("once", "again"))
    assert deb.read_bytes() == again.read_bytes()
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path / "out"], check=True)
    out = tmp_path / "out"
    unit = out / "usr/lib/systemd/system/trackside@.service"
    assert "/opt/trackside/bin/trackside run" in unit.read_text()
    in_place = (unit.with_name(f"{unit.name}.d") / "10-package.conf").read_text()
    assert "/etc/trackside/lines/%i.yaml" in in_place
    overview = unit.with_name("trackside-overview.service")
    assert "/opt/trackside/bin/trackside overview" in overview.read_text()
    in_place = (overview.with_name(f"{overview.name}.d") / "10-package.conf").read_text()
    assert "trackside overview /etc/trackside/lines" in in_place
    assert "u trackside" in (out / "usr/lib/sysusers.d/trackside.conf").read_text()
    assert 'GROUP="gpio"' in (out / "usr/lib/udev/rules.d/60-trackside.rules").read_text()
    completed = subprocess.run(
        [
            "bash",
            "-c",
            ". $0; COMP_WORDS=(trackside bundle a); COMP_CWORD=2; _trackside; echo ${COMPREPLY[*]}",
            out / "usr/share/bash-completion/completions/trackside",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "activate" in completed.split()
    page = subprocess.run(
        ["zcat", out / "usr/share/man/man1/trackside.1.gz"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ".B trackside bundle activate" in page
