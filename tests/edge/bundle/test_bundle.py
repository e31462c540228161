"""A bundle is exactly what was packed, or it is refused with a remedy."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle import MANIFEST, open_bundle, pack_directory, write_bundle
from edge.errors import BundleError, UsageError
from stands.bundles import make_bundle, make_files, manifest


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("packed") / "smoother.bundle").path


@pytest.fixture
def unpacked(packed: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "smoother.bundle"
    zipfile.ZipFile(packed).extractall(directory)
    return directory


def test_a_zip_and_a_directory_open_to_the_same_bundle(packed: Path, unpacked: Path) -> None:
    zipped, plain = open_bundle(packed), open_bundle(unpacked)
    assert zipped.manifest == plain.manifest
    assert zipped.digest == plain.digest
    assert {name: zipped.read(name) for name in zipped.manifest.files} == make_files()
    assert {name: plain.read(name) for name in plain.manifest.files} == make_files()


def test_a_zip_made_by_hand_from_a_directory_opens(unpacked: Path, tmp_path: Path) -> None:
    by_hand = tmp_path / "by_hand.bundle"
    with zipfile.ZipFile(by_hand, "w") as archive:
        for path in unpacked.rglob("*"):  # directories have entries of their own
            archive.write(path, path.relative_to(unpacked))
    assert open_bundle(by_hand).digest == open_bundle(unpacked).digest


def test_the_same_content_packs_to_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.bundle"
    write_bundle(manifest(), dict(reversed(make_files().items())), again)
    assert again.read_bytes() == packed.read_bytes()
    assert list(tmp_path.iterdir()) == [again]


def test_what_is_unpacked_packs_to_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    open_bundle(packed).unpack(tmp_path / "folder")
    pack_directory(tmp_path / "folder", tmp_path / "again.bundle")
    assert (tmp_path / "again.bundle").read_bytes() == packed.read_bytes()


def test_a_folder_is_packed_as_it_now_is(unpacked: Path, tmp_path: Path) -> None:
    manifest = json.loads((unpacked / MANIFEST).read_text())
    (unpacked / MANIFEST).write_text(json.dumps(manifest | {"threshold": 0.7}))
    (unpacked / "NOTES.txt").write_text("made stricter")
    changed = pack_directory(unpacked, tmp_path / "changed.bundle")
    assert open_bundle(tmp_path / "changed.bundle").digest == changed.digest
    assert changed.manifest.threshold == 0.7
    assert changed.read("NOTES.txt") == b"made stricter"


def test_nothing_is_unpacked_among_other_files(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    with pytest.raises(UsageError, match="is not an empty folder: name a new one"):
        open_bundle(packed).unpack(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_what_could_not_be_opened_is_not_written(tmp_path: Path) -> None:
    files = make_files()
    del files["openvino/model.bin"]
    with pytest.raises(BundleError, match=r"openvino/model\.bin"):
        write_bundle(manifest(), files, tmp_path / "a.bundle")
    assert not list(tmp_path.iterdir())


def test_a_later_change_on_disk_does_not_reach_an_open_bundle(unpacked: Path) -> None:
    bundle = open_bundle(unpacked)
    (unpacked / "model.onnx").write_bytes(b"other")
    assert bundle.read("model.onnx") == make_files()["model.onnx"]


def test_an_artefact_is_the_first_listed_unless_a_precision_is_asked_for(packed: Path) -> None:
    bundle = open_bundle(packed)
    assert bundle.artefact("litert").path == "model.tflite"
    assert bundle.artefact("litert", "int8").path == "model_int8.tflite"


def _change(name: str) -> Callable[[Path], object]:
    def change(bundle: Path) -> None:
        data = bytearray((bundle / name).read_bytes())
        data[len(data) // 2] ^= 1
        (bundle / name).write_bytes(data)

    return change


NAMES = {"height": 4, "width": 6, "unsure_below": 0.5, "report_only": []}


def _edit(**changes: Any) -> Callable[[Path], object]:
    def edit(bundle: Path) -> None:
        path = bundle / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_change("model.onnx"), "model.onnx is not the file that was packed: copy"),
        (_change("golden/output.png"), "golden/output.png is not the file that was packed"),
        (lambda b: (b / "model.tflite").unlink(), "model.tflite is missing: copy"),
        (lambda b: (b / "extra.pkl").touch(), "extra.pkl is not in manifest.json: take it out"),
        (lambda b: (b / "link").symlink_to("model.onnx"), "'link' is a link"),
        (lambda b: (b / "link").symlink_to("/"), "'link' is a link"),
        (lambda b: (b / "manifest.json").unlink(), "has no manifest.json: give a bundle's"),
        (lambda b: (b / "manifest.json").write_text("{"), "manifest.json: the whole: Invalid JSON"),
        (_edit(format=1), "is of format 1, and this trackside reads format 2: install"),
        (_edit(threshold=1.5), "manifest.json: threshold: Input should be less than 1"),
        (_edit(threshold="0.5"), "manifest.json: threshold: Input should be a valid number"),
        (_edit(treshold=0.5), "manifest.json: treshold: Extra inputs are not permitted"),
        (_edit(artefacts=[]), "manifest.json: artefacts: List should have at least 1 item"),
        *(
            (_edit(limits={"min_area_mm2": area, "min_extent_mm": 1}), why)
            for area, why in (
                (float("inf"), "limits.min_area_mm2: Input should be a finite number: pack"),
                (float("nan"), "limits.min_area_mm2: Input should be a finite number: pack"),
                (1e12, "min_area_mm2 1e+12 is more than the 96 that the network is shown at once"),
                (-1, "limits.min_area_mm2: Input should be greater than 0"),
            )
        ),
        (
            _edit(limits={"min_area_mm2": 1, "min_extent_mm": 13}),
            "min_extent_mm 13 is more than the 12 that the network is shown at once",
        ),
        (_edit(classes=["a", "b"]), "classes has more than one, and names does not say where"),
        (_edit(names=NAMES), "names and golden.names go together"),
        (
            _edit(names=NAMES | {"report_only": ["dirt"]}),
            "names.report_only 'dirt' is none of its classes",
        ),
        (
            _edit(names=NAMES | {"report_only": ["defect"]}),
            "names.report_only has every class, so that no defect would count",
        ),
        (_edit(files={"../../etc/passwd": "00"}), "'../../etc/passwd' is not a plain relative"),
        (
            _edit(golden={"input": "no.png", "output": "no.png", "min_iou": 1, "max_mae": 0}),
            "manifest.json names no.png and does not list it: pack",
        ),
    ],
)
def test_a_spoilt_directory_is_refused_with_the_remedy(
    spoil: Callable[[Path], object], message: str, unpacked: Path
) -> None:
    spoil(unpacked)
    with pytest.raises(BundleError, match=re.escape(message)) as caught:
        open_bundle(unpacked)
    assert caught.value.exit_code == 78


def test_a_bundle_that_is_not_there_or_is_no_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        open_bundle(tmp_path / "none.bundle")
    (tmp_path / "text.bundle").write_text("not a zip")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(tmp_path / "text.bundle")


def test_a_zip_that_is_cut_short_anywhere_is_refused(packed: Path, tmp_path: Path) -> None:
    whole, cut = packed.read_bytes(), tmp_path / "cut.bundle"
    for length in range(0, len(whole), 29):
        cut.write_bytes(whole[:length])
        with pytest.raises(BundleError):
            open_bundle(cut)


def test_a_zip_with_a_byte_changed_is_refused_or_is_still_the_same_bundle(
    packed: Path, tmp_path: Path
) -> None:
    whole, changed = packed.read_bytes(), tmp_path / "changed.bundle"
    for position in range(0, len(whole), 13):  # dates and the like bear no meaning
        changed.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        )
        try:
            bundle = open_bundle(changed)
        except BundleError:
            continue
        assert {name: bundle.read(name) for name in bundle.manifest.files} == make_files()


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "../x", "a/../../x", "a\\..\\x", "a//x", "./x"])
def test_a_zip_whose_paths_leave_it_is_refused(name: str, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="leaves it"):
        open_bundle(_with_member(packed, tmp_path, zipfile.ZipInfo(name)))


def test_a_zip_with_a_link_in_it_is_refused(packed: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(BundleError, match="'link' is a link"):
        open_bundle(_with_member(packed, tmp_path, link))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_a_name_twice_is_refused(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="comes twice"):
        open_bundle(_with_member(packed, tmp_path, zipfile.ZipInfo("model.onnx")))


def refused_within(path: Path, most_bytes: int, key: str | None = None) -> str:
    """Why a bundle is refused, having taken no more memory than that."""
    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as caught:
            open_bundle(path, key)
        assert tracemalloc.get_traced_memory()[1] < most_bytes
    finally:
        tracemalloc.stop()
    return str(caught.value)


def bomb(path: Path, kind: int, unpacked: int, says: int) -> Path:
    """A manifest that unpacks to more bytes than the zip says."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(MANIFEST, bytes(unpacked))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, says)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (zipfile.ZIP_BZIP2, "'manifest.json' is neither stored nor deflated: do not trust it"),
        (zipfile.ZIP_LZMA, "'manifest.json' is neither stored nor deflated: do not trust it"),
        (zipfile.ZIP_DEFLATED, "cannot be read (Bad CRC-32 for file 'manifest.json')"),
    ],
)
@pytest.mark.parametrize("key", [None, f"ed25519:{'A' * 43}="])
def test_a_zip_that_is_a_bomb_is_refused_before_it_goes_off(
    kind: int, said: str, key: str | None, tmp_path: Path
) -> None:
    path = bomb(tmp_path / "a.bundle", kind, unpacked=32 << 20, says=1000)
    assert said in refused_within(path, 2 << 20, key)
    honest = bomb(tmp_path / "b.bundle", zipfile.ZIP_DEFLATED, unpacked=32 << 20, says=32 << 20)
    assert "manifest.json is of 33554432 bytes, more than 1048576" in refused_within(
        honest, 2 << 20
    )


def test_a_zip_that_unpacks_to_more_than_any_bundle_is_refused_unread(
    packed: Path, tmp_path: Path
) -> None:
    path = _with_member(packed, tmp_path, zipfile.ZipInfo("zeros"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, 1 << 30)
    path.write_bytes(data)
    assert re.search(r"unpacks to \d+ bytes, more than 268435456", refused_within(path, 2 << 20))


def test_a_zip_whose_list_of_members_is_hidden_long_or_of_too_many_is_refused(
    packed: Path, tmp_path: Path
) -> None:
    path = tmp_path / "many.bundle"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}", b"")
    assert "it holds more than 1000 files" in refused_within(path, 4 << 20)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, len(data) - 10, 2 << 20)
    path.write_bytes(data)
    assert "its list of members is of 2097152 bytes" in refused_within(path, 2 << 20)
    path.write_bytes(packed.read_bytes()[:-2] + b"\x05\0hello")
    assert "does not end as a small zip without a comment" in refused_within(path, 2 << 20)


def test_a_device_or_pipe_in_place_of_a_bundle_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        assert "is neither a file nor a folder" in refused_within(path, 1 << 20)


def test_a_manifest_says_only_what_can_be_printed(unpacked: Path) -> None:
    _edit(network="one \x1b]0;owned\x07")(unpacked)
    with pytest.raises(
        BundleError, match=r"manifest\.json: network: .* cannot be printed"
    ) as caught:
        open_bundle(unpacked)
    assert str(caught.value).isprintable()


def test_what_a_bundle_says_of_itself_is_shown_as_it_is(unpacked: Path) -> None:
    _edit(provenance={"[red]made[/]": "by [link=http://x]us[/link] :smile:"})(unpacked)
    command = [sys.executable, "-m", "edge.cli", "bundle", "show", str(unpacked)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "[red]made[/]  by [link=http://x]us[/link] :smile:" in answer.stdout


@settings(max_examples=80)
@given(st.data())
def test_whatever_a_manifest_says_it_is_taken_or_refused(data: st.DataObject) -> None:
    said = json.loads(manifest().model_dump_json())
    name = data.draw(st.sampled_from(sorted(said)))
    hostile = st.one_of(st.floats(), st.integers(), st.text(), st.just([]), st.just({}))
    if isinstance(said[name], dict) and said[name]:
        said[name][data.draw(st.sampled_from(sorted(said[name])) | st.text())] = data.draw(hostile)
    else:
        said[name] = data.draw(hostile)
    with TemporaryDirectory() as folder:
        Path(folder, MANIFEST).write_text(json.dumps(said))
        with pytest.raises(BundleError):  # at the latest for the files that it lacks
            open_bundle(Path(folder))


def _with_member(
    packed: Path, directory: Path, member: zipfile.ZipInfo, data: bytes = b"data"
) -> Path:
    path = directory / "spoilt.bundle"
    path.write_bytes(packed.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, data)
    return path
