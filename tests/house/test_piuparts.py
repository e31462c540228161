"""The Debian package's life by Debian's own piuparts: what it leaves behind, and what it breaks.

`make test-deb` builds the package first, and one that is older and bare; it says where they are in
TRACKSIDE_DEBS. Without that, all of this is skipped. The system has what a box has before, by
mmdebstrap; between installing and removing, it has been lived in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SUITE = "bookworm"  # whose python3 the package stands on
FOLDER = os.environ.get("TRACKSIDE_DEBS")
LIVED_IN = """#!/bin/sh
# What administrator, lines and root leave, of a line that ran and of one that was only enabled.
set -e
[ -e /opt/trackside/bin/trackside ] || exit 0
mkdir -p /var/lib/trackside/a /var/lib/trackside-package
touch /var/lib/trackside/a/ledger.sqlite /var/lib/trackside-package/package.json
echo 'name: a' >/etc/trackside/lines/a.yaml
systemctl --quiet enable trackside@a trackside-package@a.timer
"""

if FOLDER is None:
    pytest.skip("make test-deb builds the packages first", allow_module_level=True)
for program in ("piuparts", "mmdebstrap", "dpkg-scanpackages"):
    if shutil.which(program) is None or os.geteuid() != 0:
        pytest.skip(
            "wanted, as root, are Debian's piuparts, mmdebstrap and dpkg-dev",
            allow_module_level=True,
        )
assert FOLDER is not None


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("system") / "base.tar.gz"
    packages = "--include=eatmydata,systemd,python3"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", packages, SUITE, str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.mark.parametrize(
    "life",
    [
        "--no-upgrade-test",  # installed, removed, purged
        "--no-install-purge-test",  # the older one installed, upgraded, removed, purged
        "--install-remove-install",  # removed, and installed again over what was left
    ],
)
def test_the_package_leaves_the_system_as_it_was(life: str, system: Path, tmp_path: Path) -> None:
    (new,), (old,) = (Path(FOLDER or "", each).glob("*.deb") for each in ("", "old"))
    scripts, archive = tmp_path / "scripts", tmp_path / "archive"
    for folder in (scripts, archive):
        folder.mkdir()
    lived_in = scripts / "post_install_lived_in"
    lived_in.write_text(LIVED_IN)
    lived_in.chmod(0o755)
    shutil.copy(old, archive)
    index = ["dpkg-scanpackages", "--multiversion", "."]
    listed = subprocess.run(index, cwd=archive, capture_output=True, check=True).stdout
    (archive / "Packages").write_bytes(listed)
    command = ["piuparts", f"--distribution={SUITE}", f"--basetgz={system}", life]
    command += [f"--scriptsdir={scripts}", f"--bindmount={archive}", "--fail-on-broken-symlinks"]
    command += [f"--extra-repo=deb [trusted=yes] file:{archive} ./", str(new)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors="replace")
    (tmp_path / "log").write_text(said)
    assert done.returncode == 0, "".join(
        part for part in said.splitlines(keepends=True) if "DEBUG" not in part
    )[-6000:]
    assert "PASS: All tests." in said
    assert "post_install_lived_in" in said
