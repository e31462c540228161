"""Builds the box that boots: a Debian system with the package and a rail for its line, as a disk.

    python tests/box/build.py --deb dist/trackside_0.1.0_amd64.deb --out build/box

`mmdebstrap` makes two systems of Debian's packages. In the first one gpio-sim is compiled, which
Debian's kernel comes without, of Debian's own source of that kernel; the second one is the box.
Neither has a boot loader: QEMU starts the kernel itself. Wants root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).parent / "inside"
NOWHERE = Path("/dev/null")
SUITE = "bookworm"  # whose python3 the package stands on
DISK = "6G"  # sparse
COMPILER = "linux-headers-amd64,linux-source,make,xz-utils"
PACKAGES = (
    "systemd-sysv,systemd-timesyncd,udev,kmod,linux-image-amd64,initramfs-tools,python3,v4l-utils"
)
# What the initial file system needs to find the disk: with all modules a box boots a minute longer.
INITRD = (
    'cd "$1" && mkdir -p etc/initramfs-tools/conf.d usr/share/initramfs-tools/modules.d'
    " && echo MODULES=list >etc/initramfs-tools/conf.d/box"
    " && printf '%s\\n' virtio_pci virtio_blk ext4 crc32c_generic"
    " >usr/share/initramfs-tools/modules.d/box"
)
UNITS = "rig shell time-server trackside@rail"
SMALL = ("doc", "man", "locale")  # of /usr/share, which nobody reads there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deb", type=Path, required=True, help="the package, of `make deb`")
    parser.add_argument("--out", type=Path, required=True, help="where disk and kernel go")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the files of the box belong to its own users: build it as root")
    for program in ("mmdebstrap", "mke2fs"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: apt install mmdebstrap e2fsprogs")
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "box-gpio.ko").exists():
        compile_pins(out)
    system(asked.deb.resolve(), out)


def compile_pins(out: Path) -> None:
    """A module for the kernel that the box will have."""
    mmdebstrap(
        COMPILER,
        NOWHERE,
        f"copy-in {INSIDE / 'gpio'} /tmp",
        'chroot "$1" sh /tmp/gpio/compile.sh',
        f"copy-out /tmp/gpio/box-gpio.ko {out}",
    )


def system(deb: Path, out: Path) -> None:
    """The box's disk, with kernel and initial file system beside it."""
    root, files, disk = (out / name for name in ("root", "files", "disk.new"))
    lay_out(files, out / "box-gpio.ko")
    mmdebstrap(
        PACKAGES,
        root,
        f"sync-in {files} /",
        f"copy-in {deb} /tmp",
        f'chroot "$1" apt-get install --yes /tmp/{deb.name}',
        f'chroot "$1" systemctl --quiet enable {UNITS}',
        'rm "$1"/tmp/*.deb',
        essential=INITRD,
    )
    for name in ("vmlinuz", "initrd.img"):
        (found,) = root.glob(f"boot/{name}-*")
        shutil.copy(found, out / name)
    (modules,) = root.glob("lib/modules/*")
    if f"vermagic={modules.name} ".encode() not in (out / "box-gpio.ko").read_bytes():
        sys.exit(f"{out}/box-gpio.ko is of an older kernel: remove it, and build again")
    disk.unlink(missing_ok=True)
    make = ["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    subprocess.run([*make, "-d", root, disk, DISK], check=True)
    disk.replace(out / "disk")
    for left in (root, files):
        shutil.rmtree(left)


def lay_out(files: Path, module: Path) -> None:
    """What the box has beside packages, each file where it belongs."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from stands.box_rail import picture  # noqa: PLC0415, after the path

    shutil.rmtree(files, ignore_errors=True)
    for source, place in (
        *((each, f"opt/rig/{each.name}") for each in (*INSIDE.glob("*.py"), module)),
        *((each, f"etc/systemd/system/{each.name}") for each in INSIDE.glob("*.service")),
        (INSIDE / "timesyncd.conf", "etc/systemd/timesyncd.conf.d/plant.conf"),
        (INSIDE / "rail.yaml", "etc/trackside/lines/rail.yaml"),
    ):
        (files / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, files / place)
    (files / "opt/rig/rail.grey").write_bytes(picture().tobytes())
    (files / "etc/fstab").write_text("/dev/vda / ext4 errors=remount-ro 0 1\n", encoding="utf-8")
    (files / "etc/hostname").write_text("box\n", encoding="utf-8")


def mmdebstrap(packages: str, target: Path, *hooks: str, essential: str | None = None) -> None:
    """A system of these packages, with what the hooks do to it at its end."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in SMALL]
    command += [f"--essential-hook={essential}"] if essential else []
    command += [f"--customize-hook={each}" for each in hooks]
    kind = "null" if target == NOWHERE else "directory"
    if target != NOWHERE:
        shutil.rmtree(target, ignore_errors=True)
    subprocess.run([*command, f"--format={kind}", SUITE, target], check=True)


if __name__ == "__main__":
    main()
