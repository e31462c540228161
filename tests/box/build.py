"""Builds the box that boots: a Debian system with our package and a rail for its line, as a disk.

    python tests/box/build.py --out build/box [--extras gpio,serial]

Three things are made at once: the package, of this tree; gpio-sim, which Debian's kernel comes
without, of Debian's own source of that kernel, in a system of its own; and the system of the box,
into which they go. It has no boot loader: QEMU starts the kernel itself. Wants root. Where a
machine cannot build it at all, that is said in one line, and the exit code is 75.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
OTHERS = "e2scrub_reap"  # looks for volumes that it has not, seconds long
LEFT_OUT = (  # what nobody reads there, and drivers of what it has not
    *(f"/usr/share/{each}/*" for each in ("doc", "man", "locale")),
    "/lib/modules/*/kernel/sound/*",
    *(f"/lib/modules/*/kernel/drivers/{each}/*" for each in ("gpu", "infiniband", "net", "scsi")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where disk and kernel go")
    parser.add_argument("--extras", help="of the package, where not all that it ships with")
    asked = parser.parse_args()
    if (why := cannot()) is not None:
        print(f"the box that boots is left out: {why}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    root = out / "root"
    with ThreadPoolExecutor() as at_once:
        made = [
            at_once.submit(make_package, out, asked.extras),
            at_once.submit(compile_pins, out),
            at_once.submit(mmdebstrap, PACKAGES, root, essential=INITRD),
        ]
    deb, pins, _ = (each.result() for each in made)
    furnish(root, deb, pins)
    make_disk(root, out)
    shutil.rmtree(root)


def cannot() -> str | None:
    """Why this machine builds no box, and what would help."""
    if os.geteuid() != 0:
        return "its files belong to its own users: build it as root"
    for program in ("mmdebstrap", "mke2fs"):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt install mmdebstrap e2fsprogs"
    look = ["mmdebstrap", "--quiet", "--simulate", "--variant=essential", SUITE, NOWHERE]
    looked = subprocess.run(look, capture_output=True, text=True, check=False)
    if looked.returncode:
        return f"no mirror of Debian is to be reached: {looked.stderr.strip().splitlines()[0]}"
    return None


def make_package(out: Path, extras: str | None) -> Path:
    """Of this tree, by the release's own tools; not compressed."""
    for deb in out.glob("*.deb"):
        deb.unlink()
    tools = [sys.executable, ROOT / ".ci" / "wheels.py"], [sys.executable, ROOT / ".ci" / "deb.py"]
    subprocess.run([*tools[0], "--only=x86_64", "--out", out], check=True)
    some = [] if extras is None else ["--extras", extras]
    made = ["--only=amd64", "--plain", *some, "--wheels", out, "--out", out]
    subprocess.run([*tools[1], *made], check=True)
    (deb,) = out.glob("*.deb")
    return deb


def compile_pins(out: Path) -> Path:
    """A module for the kernel that the box will have, unless it lies there."""
    module = out / "box-gpio.ko"
    if not module.exists():
        mmdebstrap(
            COMPILER,
            NOWHERE,
            f"copy-in {INSIDE / 'gpio'} /tmp",
            'chroot "$1" sh /tmp/gpio/compile.sh',
            f"copy-out /tmp/gpio/{module.name} {out}",
        )
    return module


def furnish(root: Path, deb: Path, pins: Path) -> None:
    """What the box has beside Debian's packages: ours, and its surroundings."""
    (modules,) = root.glob("lib/modules/*")
    if f"vermagic={modules.name} ".encode() not in pins.read_bytes():
        sys.exit(f"{pins} is of an older kernel: remove it, and build again")
    lay_out(root, pins)
    shutil.copy(deb, root / "tmp")
    commands = (
        f"mount -t proc proc {root}/proc",
        f"chroot {root} dpkg --install /tmp/{deb.name}",
        f"chroot {root} systemctl --quiet enable {UNITS}",
        f"chroot {root} systemctl --quiet disable {OTHERS}",
        f"rm {root}/tmp/{deb.name}",
    )
    subprocess.run(["unshare", "--mount", "sh", "-ec", "\n".join(commands)], check=True)


def make_disk(root: Path, out: Path) -> None:
    """With kernel and initial file system beside it."""
    for name in ("vmlinuz", "initrd.img"):
        (found,) = root.glob(f"boot/{name}-*")
        shutil.copy(found, out / name)
    disk = out / "disk.new"
    disk.unlink(missing_ok=True)
    make = ["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    subprocess.run([*make, "-d", root, disk, DISK], check=True)
    disk.replace(out / "disk")


def lay_out(root: Path, module: Path) -> None:
    """Each file of ours where it belongs."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from stands.box_rail import picture  # noqa: PLC0415, after the path

    for source, place in (
        *((each, f"opt/rig/{each.name}") for each in (*INSIDE.glob("*.py"), module)),
        *((each, f"etc/systemd/system/{each.name}") for each in INSIDE.glob("*.service")),
        (INSIDE / "timesyncd.conf", "etc/systemd/timesyncd.conf.d/plant.conf"),
        *((each, f"etc/trackside/lines/{each.name}") for each in INSIDE.glob("*.yaml")),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, root / place)
    (root / "opt/rig/rail.grey").write_bytes(picture().tobytes())
    (root / "etc/fstab").write_text("/dev/vda / ext4 errors=remount-ro 0 1\n", encoding="utf-8")
    (root / "etc/hostname").write_text("box\n", encoding="utf-8")


def mmdebstrap(packages: str, target: Path, *hooks: str, essential: str | None = None) -> None:
    """A system of these packages, with what the hooks do to it at its end."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
    command += [
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT),
    ]
    command += [f"--essential-hook={essential}"] if essential else []
    command += [f"--customize-hook={each}" for each in hooks]
    kind = "null" if target == NOWHERE else "directory"
    if target != NOWHERE:
        shutil.rmtree(target, ignore_errors=True)
    subprocess.run([*command, f"--format={kind}", SUITE, target], check=True)


if __name__ == "__main__":
    main()
