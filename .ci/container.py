"""Builds the container image of one line: Debian's python3, the package, and nothing else.

    python .ci/container.py --deb dist/trackside_0.1.0_amd64.deb --out dist

`mmdebstrap` makes the files, `buildah` the image, without a daemon and in a store of its own; what
comes out is an archive for `podman load` or `docker load`. Wants root, or a user with subordinate
ids.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wheels import same_each_time

PARTS = Path(__file__).parent / "container"
SUITE = "bookworm"  # whose python3 the package stands on
# The package makes its user by the one program of systemd's that a container has a use for.
PACKAGES = "python3,systemd-standalone-sysusers,ca-certificates"
UNREAD = ("doc", "man", "locale")  # of /usr/share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deb", type=Path, required=True, help="the package, of `make deb`")
    parser.add_argument("--out", type=Path, required=True, help="where the archive goes")
    asked = parser.parse_args()
    for program in ("mmdebstrap", "buildah"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: apt install {program}")
    deb = asked.deb.resolve()
    _, version, processor = deb.stem.split("_")
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        shutil.copy(PARTS / "Containerfile", context)
        files(context / "root.tar", deb, processor)
        archive = asked.out.resolve() / f"trackside_{version}_{processor}.container.tar"
        image(context, f"trackside:{version}", processor, archive)
        print(archive)


def files(tar: Path, deb: Path, processor: str) -> None:
    """All that the container has."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--architectures={processor}"]
    command += [f"--include={PACKAGES}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in UNREAD]
    for hook in (
        f"copy-in {deb} /tmp",
        f'chroot "$1" apt-get install --yes --no-install-recommends /tmp/{deb.name}',
        f"copy-in {PARTS / 'line.py'} /opt/trackside",
        'chmod 755 "$1"/opt/trackside/line.py',
        'rm "$1"/tmp/*.deb',
    ):
        command += [f"--customize-hook={hook}"]
    subprocess.run([*command, SUITE, tar], env={**os.environ, **same_each_time()}, check=True)


def image(context: Path, name: str, processor: str, archive: Path) -> None:
    """Of a Containerfile; in Docker's format, since OCI's knows no healthcheck."""
    buildah = ["buildah", "--storage-driver=vfs", f"--root={context / 'store'}"]
    buildah += [f"--runroot={context / 'run'}"]
    moment = same_each_time()["SOURCE_DATE_EPOCH"]
    build = ["build", "--quiet", "--format=docker", "--isolation=chroot", f"--arch={processor}"]
    build += [f"--timestamp={moment}", f"--tag={name}", str(context)]
    for command in (build, ["push", "--quiet", name, f"docker-archive:{archive}:{name}"]):
        archive.unlink(missing_ok=True)
        subprocess.run([*buildah, *command], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
