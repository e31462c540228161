"""Builds the Debian packages: an environment below /opt/trackside, units, user, man page.

    python .ci/deb.py --wheels dist --out dist [--only amd64|arm64] [--bare] [--plain]
        [--extras gpio,serial]

The environment is a venv by its layout alone, and what goes into it are wheels for the package's
processor; nothing of that processor is run here, so one machine builds for both. It stands on the
`python3` of one Debian release, by default 12 (Python 3.11). `--bare` leaves the dependencies out,
for tests of the package itself; `--plain` does not compress, for a box that is thrown away, and
`--extras` leaves out what such a box has no use for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from wheels import same_each_time

ROOT = Path(__file__).resolve().parents[1]
PARTS = Path(__file__).parent / "deb"
PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
# Beside the native engine, one that runs everywhere; what a plant's network wants; pins and ports.
EXTRAS = "fleet,gpio,metrics,modbus,mqtt,onnxruntime,serial,sign,web"
PLATFORMS = (
    "manylinux_2_34",
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux_2_17",
    "manylinux2014",
)
SCRIPT = """#!/opt/trackside/bin/python3 -I
from edge.cli import main

main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheels", type=Path, required=True, help="where `make wheels` left them")
    parser.add_argument("--out", type=Path, required=True, help="where the packages go")
    parser.add_argument("--only", choices=PROCESSORS, help="one of the packages")
    parser.add_argument("--python", default="3.11", help="of the Debian release that it is for")
    parser.add_argument("--bare", action="store_true", help="without what it depends on")
    parser.add_argument("--extras", default=EXTRAS, help="of setup.cfg, that it brings")
    parser.add_argument(
        "--plain", action="store_true", help="not compressed: in no time, and large"
    )
    parser.add_argument("--version", default=version(), help="that the package says it is of")
    asked = parser.parse_args()
    for debian in [asked.only] if asked.only else PROCESSORS:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "root"
            environment(
                root, debian, asked.wheels, asked.python, None if asked.bare else asked.extras
            )
            system_files(root)
            control(root, debian, asked.version, asked.python)
            path = asked.out / f"trackside_{asked.version}_{debian}.deb"
            print(packed(root, path, "none" if asked.plain else "xz"))


def version() -> str:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["metadata"]["version"]


def environment(root: Path, debian: str, wheels: Path, python: str, extras: str | None) -> None:
    """As `python3 -m venv` would lay it out on the box; without extras no dependencies either."""
    home = root / "opt" / "trackside"
    packages = home / "lib" / f"python{python}" / "site-packages"
    packages.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to("/usr/bin/python3")
    (home / "bin" / "python").symlink_to("python3")
    cfg = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
    (home / "pyvenv.cfg").write_text(cfg, encoding="utf-8")
    processor = PROCESSORS[debian]
    (wheel,) = wheels.glob(f"trackside-{version()}-py3-none-manylinux*_{processor}.whl")
    platforms = [f"--platform={each}_{processor}" for each in PLATFORMS]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--upgrade"]
    command += ["--target", str(packages), "--only-binary=:all:", "--implementation=cp"]
    command += [f"--python-version={python}", *platforms, "--disable-pip-version-check"]
    wanted = ["--no-deps", wheel] if extras is None else [f"{wheel}[{extras}]"]
    subprocess.run([*command, *wanted], check=True)
    shutil.rmtree(
        packages / "bin", ignore_errors=True
    )  # scripts that begin with this machine's python
    for record in ("direct_url.json", "RECORD", "REQUESTED"):  # which tell of this machine
        for path in packages.glob(f"*.dist-info/{record}"):
            path.unlink()
    script = home / "bin" / "trackside"
    script.write_text(SCRIPT, encoding="utf-8")
    script.chmod(0o755)


def system_files(root: Path) -> None:
    """What lies elsewhere than below /opt."""
    unit = "usr/lib/systemd/system/trackside@.service"
    overview = "usr/lib/systemd/system/trackside-overview.service"
    for source, place in (
        (ROOT / "edge" / "run" / "trackside@.service", unit),
        (PARTS / "lines.conf", f"{unit}.d/10-package.conf"),
        (ROOT / "edge" / "overview" / "trackside-overview.service", overview),
        (PARTS / "overview.conf", f"{overview}.d/10-package.conf"),
        (PARTS / "package.service", "usr/lib/systemd/system/trackside-package@.service"),
        (PARTS / "package.timer", "usr/lib/systemd/system/trackside-package@.timer"),
        (PARTS / "sysusers.conf", "usr/lib/sysusers.d/trackside.conf"),
        (PARTS / "udev.rules", "usr/lib/udev/rules.d/60-trackside.rules"),
        (ROOT / "LICENSE", "usr/share/doc/trackside/copyright"),
        (ROOT / "CHANGELOG.md", "usr/share/doc/trackside/changelog"),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, root / place)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/trackside").symlink_to("/opt/trackside/bin/trackside")
    (root / "etc/trackside/lines").mkdir(parents=True)
    command = whole_command()
    write(root / "usr/share/bash-completion/completions/trackside", completion(command))
    write(root / "usr/share/man/man1/trackside.1", man_page(command))
    for pressed in ("usr/share/man/man1/trackside.1", "usr/share/doc/trackside/changelog"):
        subprocess.run(["gzip", "-9n", str(root / pressed)], check=True)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def whole_command() -> Any:
    """The command as the box has it: without what only desktops run."""
    sys.path.insert(0, str(ROOT))
    import typer  # noqa: PLC0415, after the path

    from edge.cli.app import app  # noqa: PLC0415

    return typer.main.get_command(app)


def completion(command: Any) -> str:
    """Words of the first and the second place, files after that; options anywhere."""
    cases = "".join(
        f"    {name}) words='{' '.join(words_of(each))}' ;;\n"
        for name, each in sorted(command.commands.items())
    )
    return f"""# Completes trackside's commands.
_trackside() {{
  local words='{" ".join(sorted(command.commands))}'
  [ "$COMP_CWORD" -gt 1 ] && case "${{COMP_WORDS[1]}}" in
{cases}  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o bashdefault -o default -F _trackside trackside
"""


def words_of(command: Any) -> list[str]:
    """What may come after it: its own commands, or its options."""
    if below := getattr(command, "commands", None):
        return sorted(below)
    return sorted(name for each in command.params for name in each.opts if name.startswith("--"))


def man_page(command: Any) -> str:
    """What each command is for; its options are told by itself."""
    parts = []
    for name, each in sorted(command.commands.items()):
        for word, below in sorted(getattr(each, "commands", {"": each}).items()):
            said = " ".join((below.help or "").split("\n\n")[0].split())
            parts.append(f".TP\n.B trackside {name} {word}\n{said}\n".replace(" \n", "\n"))
    return f""".TH TRACKSIDE 1 "" "trackside {version()}"
.SH NAME
trackside \\- edge inspection for rail and strip-steel surfaces
.SH SYNOPSIS
.B trackside
.I COMMAND
[\\fIARGUMENT\\fR]...
.SH COMMANDS
Each tells of its options by \\fB--help\\fR.
{"".join(parts)}.SH FILES
.TP
.I /etc/trackside/lines/NAME.yaml
A line file; the line is started by \\fBsystemctl enable --now trackside@NAME\\fR.
.TP
.I /etc/trackside/lines/NAME.env
Secrets that it takes from the environment.
.TP
.I /etc/trackside/overview.env
Where the page of all lines is served; it is started by
\\fBsystemctl enable --now trackside-overview\\fR.
.TP
.I /var/lib/trackside/NAME
What the line keeps.
.SH EXIT STATUS
0 ok, 1 failure, 2 usage, 75 to be started again with another line file, 78 configuration.
"""


def control(root: Path, debian: str, said: str, python: str) -> None:
    major, minor = map(int, python.split("."))
    folder = root / "DEBIAN"
    folder.mkdir()
    size = sum(each.lstat().st_size for each in root.rglob("*")) // 1024
    write(
        folder / "control",
        f"""Package: trackside
Version: {said}
Architecture: {debian}
Maintainer: Trackside <trackside@localhost>
Installed-Size: {size}
Depends: python3 (>= {python}), python3 (<< {major}.{minor + 1}), libc6 (>= 2.34),
 systemd | systemd-standalone-sysusers
Section: science
Priority: optional
Description: edge inspection for rail and strip-steel surfaces
 A camera watches the surface, a small network finds the defects, and a reject
 actuator fires when the defective stretch reaches it.
""",
    )
    for script in ("preinst", "postinst", "prerm", "postrm"):
        shutil.copyfile(PARTS / script, folder / script)
        (folder / script).chmod(0o755)


def packed(root: Path, path: Path, compression: str) -> Path:
    """Owned by root, with the commit's time: two builds of the same files are the same bytes."""
    for each in root.rglob("*"):
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() or each.stat().st_mode & 0o100 else 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build"]
    environ = {**os.environ, **same_each_time()}
    subprocess.run([*command, root, path], check=True, stdout=subprocess.DEVNULL, env=environ)
    return path


if __name__ == "__main__":
    main()
