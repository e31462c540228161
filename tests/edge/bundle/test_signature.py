"""A line that pins a key runs what the key's owner signed, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from edge.assembly import open_line
from edge.bundle import MANIFEST, open_bundle, pack_directory, write_bundle
from edge.bundle.bundle import SIGNATURE
from edge.bundle.signature import sign
from edge.errors import BundleError, ConfigurationError
from edge.line_file import read_line
from stands.bundles import make_bundle, make_files, manifest
from stands.places import ROOT


def bundle(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "bundle", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a bundle that is signed with it, by the commands."""
    home = tmp_path_factory.mktemp("home")
    make_bundle(home / "plain.bundle")
    made = bundle("keygen", "--out", home / "key.pem")
    assert made.returncode == 0, made.stderr
    (home / "key.pub").write_text(made.stdout.strip())
    arguments = ("--key", home / "key.pem", "--out", home / "signed.bundle")
    signed = bundle("sign", home / "plain.bundle", *arguments)
    assert (signed.returncode, signed.stdout) == (0, made.stdout), signed.stderr
    return home


@pytest.fixture
def key(home: Path) -> str:
    return (home / "key.pub").read_text()


def test_the_private_key_is_its_owners_alone_and_never_overwritten(home: Path) -> None:
    private = home / "key.pem"
    assert private.stat().st_mode & 0o077 == 0
    before = private.read_bytes()
    refused = bundle("keygen", "--out", private)
    assert refused.returncode == 2
    assert "exists, and may be a key in use" in refused.stderr
    assert private.read_bytes() == before


def test_a_signature_changes_nothing_but_itself(home: Path, key: str) -> None:
    plain, signed = open_bundle(home / "plain.bundle"), open_bundle(home / "signed.bundle", key)
    assert (plain.is_signed, signed.is_signed) == (False, True)
    assert signed.digest == plain.digest
    names = zipfile.ZipFile(home / "signed.bundle").namelist()
    assert set(names) - set(zipfile.ZipFile(home / "plain.bundle").namelist()) == {SIGNATURE}


def test_a_signed_bundle_passes_where_no_key_is_pinned(home: Path) -> None:
    assert open_bundle(home / "signed.bundle").is_signed


def _rewrite(home: Path, tmp_path: Path, change: Callable[[Path], object]) -> Path:
    open_bundle(home / "signed.bundle").unpack(tmp_path / "folder")
    change(tmp_path / "folder")
    return tmp_path / "folder"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: (b / SIGNATURE).unlink(), "is not signed, and a key is pinned: sign it"),
        (lambda b: (b / SIGNATURE).write_bytes(bytes(64)), "is not of the pinned key"),
        (lambda b: (b / SIGNATURE).write_bytes(b"short"), "is not of the pinned key"),
        (
            lambda b: (b / "manifest.json").write_text(
                (b / "manifest.json").read_text().replace('"threshold": 0.6', '"threshold": 0.9')
            ),
            "is not of the pinned key",
        ),
        (
            lambda b: (b / "model.onnx").write_bytes(b"another"),
            "model.onnx is not the file that was packed",
        ),
    ],
)
def test_what_was_changed_after_it_was_signed_is_refused(
    change: Callable[[Path], object], message: str, home: Path, key: str, tmp_path: Path
) -> None:
    spoilt = _rewrite(home, tmp_path, change)
    with pytest.raises(BundleError, match=re.escape(message)) as caught:
        open_bundle(spoilt, key)
    assert caught.value.exit_code == 78


def test_nothing_but_manifest_and_signature_of_anothers_bundle_is_unpacked(
    home: Path, tmp_path: Path
) -> None:
    """Any other file of it may be a bomb, or what a decoder has a hole for."""
    data = bytearray((home / "signed.bundle").read_bytes())
    with zipfile.ZipFile(home / "signed.bundle") as archive:
        for info in archive.infolist():
            if not info.filename.startswith("manifest"):
                data[info.header_offset + 40] ^= 0xFF
    (tmp_path / "a.bundle").write_bytes(data)
    other = bundle("keygen", "--out", tmp_path / "other.pem").stdout.strip()
    with pytest.raises(BundleError, match="its signature is not of the pinned key"):
        open_bundle(tmp_path / "a.bundle", other)
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(tmp_path / "a.bundle", (home / "key.pub").read_text())


def test_what_is_signed_says_its_version(home: Path, key: str, tmp_path: Path) -> None:
    files = make_files()
    write_bundle(manifest().model_copy(update={"version": None}), files, tmp_path / "none.bundle")
    refused = bundle("sign", tmp_path / "none.bundle", "--key", home / "key.pem")
    assert refused.returncode == 2
    assert "does not say its version: give --version" in refused.stderr
    arguments = ("--key", home / "key.pem", "--version", 20261128)
    assert bundle("sign", tmp_path / "none.bundle", *arguments).returncode == 0
    signed = open_bundle(tmp_path / "none.bundle", key)
    assert signed.manifest.version == 20261128
    assert {name: signed.read(name) for name in signed.manifest.files} == files


def test_a_signature_of_what_says_no_version_is_not_enough(
    home: Path, key: str, tmp_path: Path
) -> None:
    unnumbered = manifest().model_copy(update={"version": None})
    made = write_bundle(unnumbered, make_files(), tmp_path / "a.bundle")
    made.signed_by(sign(made.read(MANIFEST), home / "key.pem")[0]).save(made.path)
    with pytest.raises(BundleError, match="does not say its version"):
        open_bundle(made.path, key)


def test_another_owners_signature_is_refused(home: Path, tmp_path: Path) -> None:
    other = bundle("keygen", "--out", tmp_path / "other.pem").stdout.strip()
    refused = bundle("verify", home / "signed.bundle", "--key", other)
    assert refused.returncode == 78
    assert "its signature is not of the pinned key" in refused.stderr


def test_packing_keeps_a_signature_only_of_what_was_signed(
    home: Path, key: str, tmp_path: Path
) -> None:
    folder = _rewrite(home, tmp_path, lambda b: b)
    assert pack_directory(folder, tmp_path / "same.bundle").is_signed
    assert open_bundle(tmp_path / "same.bundle", key)
    (folder / "model.onnx").write_bytes(b"another")
    assert not pack_directory(folder, tmp_path / "other.bundle").is_signed


def test_a_line_refuses_a_bundle_without_the_pinned_signature(
    home: Path, key: str, tmp_path: Path
) -> None:
    line = yaml.safe_load((ROOT / "edge" / "examples" / "steel.yaml").read_text())
    path = tmp_path / "line.yaml"

    def configured(name: str) -> None:
        path.write_text(yaml.safe_dump(line | {"bundle": str(home / name), "bundle_key": key}))
        with open_line(read_line(path), frames=1):
            pass

    configured("signed.bundle")
    with pytest.raises(BundleError, match="is not signed"):
        configured("plain.bundle")


def test_a_key_that_is_none_is_a_mistake_in_the_line_file(tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    text = (ROOT / "edge" / "examples" / "steel.yaml").read_text()
    path.write_text(text.replace("bundle: strip", "bundle: strip\nbundle_key: secret"))
    with pytest.raises(ConfigurationError, match=r"line\.yaml:4: bundle_key: "):
        read_line(path)


def test_the_box_needs_neither_torch_nor_cryptography_but_to_check_a_signature(
    home: Path, key: str
) -> None:
    program = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "cryptography"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
sys.meta_path.insert(0, Absent())
from edge.cli import main
main()
"""

    def without(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, "bundle", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    path = str(home / "signed.bundle")
    shown, verified = without("show", path), without("verify", path)
    assert (shown.returncode, verified.returncode) == (0, 0), shown.stderr + verified.stderr
    assert "there is one: verify it with --key" in shown.stdout
    assert "golden pair with IoU" in verified.stdout
    refused = without("verify", path, "--key", key)
    assert refused.returncode == 78
    assert "cryptography is not installed: pip install 'trackside[sign]'" in refused.stderr
