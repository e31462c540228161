"""The line file: what is read from it, and how each mistake in it is named."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle import Limits
from edge.errors import ConfigurationError, UsageError
from edge.line_file import (
    LineSettings,
    MinArea,
    OpenVinoSettings,
    StoreSettings,
    SwapSettings,
    line_schema,
    read_line,
)
from edge.line_file.camera import FolderSettings
from edge.line_file.rules import (
    AllOf,
    AnyOf,
    Classes,
    Condition,
    MinExtent,
    MinLength,
    MinScore,
    MinWidth,
    too_small,
)
from edge.types import Defect, Stretch
from stands.places import EXAMPLES

LINE = """\
name: rail-1
bundle: nets/rail.bundle
cameras:
  left:
    type: folder
    path: frames
    along_um: 250
    across_um: 200
engine:
  type: openvino
  device: GPU
encoder:
  type: simulated
  speed_mm_s: 1000
reject:
  output: {type: memory}
  offset_mm: 1500
  delay_ms: 25
heartbeat:
  output: {type: memory}
rules:
  reject_if:
    any:
      - all:
          - min_area_mm2: 20
          - min_score: 0.6
      - min_length_mm: 15
"""


# Ten thousand values by the last line, and a third of a million with one more like it.
LAUGHS = f"""\
a: &a [{", ".join("x" * 25)}]
b: &b [{", ".join(["*a"] * 25)}]
c: [{", ".join(["*b"] * 25)}]
"""

CAMERAS = ["folder", "genicam", "picamera2", "rtsp", "synthetic", "v4l2", "video"]
PLC = "{type: modbus, host: plc, address: 7}"


def read(folder: Path, text: str) -> LineSettings:
    path = folder / "line.yaml"
    path.write_text(text, encoding="utf-8")
    return read_line(path)


def mistakes(folder: Path, text: str) -> list[str]:
    """What is said of a line file, less the file's name."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 78
    said = str(caught.value).splitlines()
    assert all(line.startswith(f"{folder / 'line.yaml'}:") for line in said)
    return [line.removeprefix(f"{folder / 'line.yaml'}:") for line in said]


def defect(
    *, area_mm2: float = 1, length_mm: float = 1, score: float = 0.5, kind: str | None = None
) -> Defect:
    stretch = Stretch(0, round(length_mm * 1000))
    return Defect(stretch, 0, 2000, area_mm2, score, (0, 0, 8, 4), kind)


def test_a_line_file_becomes_frozen_settings_with_paths_from_its_own_folder(tmp_path: Path) -> None:
    line = read(tmp_path, LINE)
    assert line.cameras["left"] == FolderSettings(
        type="folder", path=tmp_path / "frames", along_um=250, across_um=200, colour=False
    )
    assert line.bundle == tmp_path / "nets/rail.bundle"
    assert line.engine == OpenVinoSettings(device="GPU")
    assert line.reject.on_unknown == "reject"
    assert line.rules.reject_if == AnyOf(
        any=(
            AllOf(all=(MinArea(min_area_mm2=20), MinScore(min_score=0.6))),
            MinLength(min_length_mm=15),
        )
    )


@pytest.mark.parametrize("word", ["strip", "rail"])
def test_a_shipped_bundle_is_no_path(word: str, tmp_path: Path) -> None:
    assert read(tmp_path, LINE.replace("nets/rail.bundle", word)).bundle == word


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_example_is_a_valid_line_file(example: Path) -> None:
    assert example.stem in read_line(example).name


WITH_WIRES = re.compile(r"^# With wires, write these instead(?s:.*?)^#\n((?:#.*\n)+)", re.MULTILINE)


@pytest.mark.parametrize("name", ["jetson", "nuc", "raspberrypi"])
def test_what_an_example_says_of_wires_is_valid_too(name: str, tmp_path: Path) -> None:
    example = (EXAMPLES / f"{name}.yaml").read_text()
    wired = WITH_WIRES.search(example)
    assert wired is not None
    sections = yaml.safe_load(re.sub(r"^# ?", "", wired[1], flags=re.MULTILINE))
    line = read(tmp_path, yaml.safe_dump({**yaml.safe_load(example), **sections}))
    assert line.heartbeat.output.type == sections["heartbeat"]["output"]["type"] != "memory"


A_CAMERA = re.compile(r"^# cameras:\n(?:#   .*\n)+", re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "types"),
    [("jetson", ["genicam"]), ("nuc", ["v4l2", "rtsp"]), ("raspberrypi", ["picamera2"])],
)
def test_what_an_example_says_of_cameras_is_valid_too(
    name: str, types: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "secret")
    example = (EXAMPLES / f"{name}.yaml").read_text()
    found = []
    for part in A_CAMERA.findall(example):
        section = yaml.safe_load(re.sub(r"^# ?", "", part, flags=re.MULTILINE))
        line = read(tmp_path, yaml.safe_dump({**yaml.safe_load(example), **section}))
        found.append(line.lookout().camera.type)
    assert found == types


LEFT_OUT = re.compile(r"^# (?:store|swap):\n(?:#   .*\n)+", re.MULTILINE)


@pytest.mark.parametrize("name", ["jetson", "nuc", "raspberrypi"])
def test_what_an_example_says_of_store_and_swap_are_the_defaults(name: str, tmp_path: Path) -> None:
    example = (EXAMPLES / f"{name}.yaml").read_text()
    store, swap = (re.sub("^# ?", "", part, flags=re.M) for part in LEFT_OUT.findall(example))
    line = read(tmp_path, example + store + swap)
    assert line.store is not None and line.store == StoreSettings(path=line.store.path)
    assert line.swap is not None and line.swap == SwapSettings(folder=line.swap.folder)


@pytest.mark.parametrize(
    ("typed", "instead", "said"),
    [
        ("device:", "devise:", "11: engine.devise: unknown key: did you mean device? "),
        ("folder", "foldr", "5: cameras.left.type: unknown: did you mean folder? "),
        ("folder", "gige", "5: cameras.left.type: unknown: choose from folder, video, synthetic"),
        ("  type: openvino\n", "", "9: engine: `type:` is missing: choose from "),
        ("simulated", "gpio", "13: encoder.type: unknown: did you mean gpiod? choose from simulat"),
        (
            "simulated",
            "modbus\n  host: plc\n  address: 7\n  um_per_count: 0.0001",
            "16: encoder.um_per_count: a count must stand for some rail",
        ),
        ("type: memory", "type: gpiod, line: 5", "16: reject.output.chip: missing: The chip's "),
        ("type: memory", "type: serial", "15: reject: its output is a board's: give `encoder:` "),
        (
            "delay_ms: 25",
            "delay_ms: 5\n  on_missed: stop_line",
            "15: reject: nothing can stop the line: give ",
        ),
        (
            "delay_ms: 25",
            "delay_ms: 25\n  also: [{output: {type: memory}, offset_mm: 2000, delay_ms: 5}]",
            "15: reject: two actuators are called reject: give each its own `name:`",
        ),
        (
            "{type: memory}",
            f"{PLC}\n  stop_line: {PLC}",
            "15: reject: two outputs are wired to type modbus, host plc, port 502, unit 1, ad",
        ),
        (
            "rules:",
            "inputs:\n  - {name: key, input: {type: jetson, pin: 41}, then: bypass}\nrules:",
            "22: inputs[0].input.pin: should be less than or equal to 40 (it is 41)",
        ),
        ("  offset_mm: 1500\n", "", "15: reject.offset_mm: missing: Along the rail, from"),
        (
            "1000",
            "-3",
            "14: encoder.speed_mm_s: should be greater than or equal to 0.001 (it is -3)",
        ),
        ("1000", "yes", "14: encoder.speed_mm_s: should be a valid number (it is yes)"),
        ("1000", ".inf", "14: encoder.speed_mm_s: should be a finite number (it is .inf)"),
        ("rail-1", "12", "1: name: should be text: put quotes around 12"),
        ("rail-1", "2024-13-45", "1: name: 2024-13-45 is no value that YAML knows: put it in quot"),
        (
            "min_score",
            "min_scor",
            "26: rules.reject_if.any[0].all[1].min_scor: unknown: did you me",
        ),
        ("- min_score", "  min_score", "25: rules.reject_if.any[0].all[0]: 2 keys in one cond"),
        (
            "min_length_mm: 15",
            "classes: [gap]\n  report_only: [gap, dirt]",
            "21: rules: reject_if.any[1].classes [gap] never matches, because these",
        ),
        (
            "min_length_mm: 15",
            "all: [classes: [crack], classes: [spall]]",
            "27: rules.reject_if.any[1].all: no class is in each `classes` of this `all`",
        ),
        ("min_length_mm: 15", "any: []", "27: rules.reject_if.any[1].any: needs 1 item or more"),
        ("min_length_mm: 15", "any: 15", "27: rules.reject_if.any[1].any: needs a list: one dash"),
        ("min_length_mm: 15", "15", "27: rules.reject_if.any[1]: a condition is one key and its"),
        (
            "  output: {type: memory}\nrules",
            "  - 3\nrules",
            "19: heartbeat: needs keys under it: out",
        ),
        (
            "path: frames",
            "path: frames\n    quality: {dark_below: 250}",
            "7: cameras.left.quality: dark_below 250 must be les",
        ),
        (
            "path: frames",
            "path: frames\n    quality: {max_unfamiliar: 3}",
            "4: cameras.left: quality.max_unfamiliar: nothing is known to be familiar: name a",
        ),
        ("rules:", "name: rail-2\nrules:", "21: name: given twice, first on line 1: keep one"),
        ("rules:", "web: {host: 0.0.0.0}\nrules:", "21: web: 0.0.0.0 can be reached from elsewh"),
        (
            "rules:",
            "web: {controls: key}\nrules:",
            "21: web: no input is called key: give `controls:` never, always or",
        ),
        (
            "    across_um: 200\n",
            "",
            "4: cameras.left: give along_um and across_um, or a calibration, ",
        ),
        (
            "across_um: 200",
            "across_um: 200\n    calibration: rail.json",
            "4: cameras.left: calibration gives along_um and across_um: leave them out, or it",
        ),
        (
            "path: frames",
            "path: frames\n    region: {roi: [[0, 0], [9, 9]]}",
            "7: cameras.left.region.roi: needs 3 items or ",
        ),
        (
            "path: frames",
            "path: frames\n    region: {ignore: [[[0, 0], [9, 9], [0, -9]]]}",
            "7: cameras.left.region.ignore[0][2][1]: should be greater than or equal to 0 ",
        ),
        (
            "path: frames",
            "path: frames\n    region: {follow: rail, roi: [[0, 0], [9, 0], [9, 9]]}",
            "7: cameras.left.region: roi and ignore lie still, and the rail sways und",
        ),
        (
            "device: GPU",
            "streams: 2",
            "9: engine: 2 streams need a thread each: give `threads: 2` o",
        ),
        (
            "path: frames",
            "path: frames\n    tiles: {}",
            "7: cameras.left.tiles.overlap_px: missing: Pixels that neighbouring",
        ),
        (
            "path: frames",
            "path: frames\n    tiles: {overlap_px: 0}",
            "7: cameras.left.tiles.overlap_px: should be greater ",
        ),
        (
            "1000",
            "1.0e+308",
            "14: encoder.speed_mm_s: should be less than or equal to 100000 (it is",
        ),
        ("1500", "1.0e+300", "17: reject.offset_mm: should be less than or equal to 1000000 (it i"),
        ("1500", "9" * 5000, "17: reject.offset_mm: longer than 4096 characters: write less"),
        (
            "frames",
            '"frames\\0"',
            "6: cameras.left.path: U+0000 is no character of a text: take it out",
        ),
        (
            "frames",
            '"frames\\uD800"',
            "6: cameras.left.path: U+D800 is no character of a text: take it",
        ),
        ("rail-1", '"\\e[31mred"', "1: name: U+001B is no character of a text: take it out"),
        (
            "frames",
            "${NO_SUCH_NAME}",
            "6: cameras.left.path: the environment variable NO_SUCH_NAME is ",
        ),
    ],
)
def test_a_mistake_names_line_key_and_remedy(
    tmp_path: Path, typed: str, instead: str, said: str
) -> None:
    assert LINE.count(typed) >= 1
    (mistake,) = mistakes(tmp_path, LINE.replace(typed, instead, 1))
    assert mistake.startswith(said)


TWO = LINE.replace(
    "    across_um: 200\n",
    """    across_um: 200
    across_mm: 0
    rejects: [reject]
  right:
    type: synthetic
    seed: 1
    width_px: 400
    um_per_px: 250
    across_mm: 80
""",
)


@pytest.mark.parametrize(
    ("typed", "instead", "said"),
    [
        ("across_mm: 80", "across_mm: 0", "16: cameras.right.across_mm: left begins there as well"),
        (
            "rejects: [reject]",
            "rejects: [valve]",
            "10: cameras.left.rejects: no actuator is called valve: give the name of one (reject)",
        ),
        ("rejects: [reject]", "rejects: []", "10: cameras.left.rejects: needs 1 item or more"),
        (
            "rejects: [reject]",
            "rejects: [reject]\n    along_mm: yes",
            "11: cameras.left.along_mm: should be a valid number (it is yes)",
        ),
        ("  right:", "  right rail:", "11: cameras.right rail: a camera's name has letters, digit"),
        (
            "seed: 1",
            "seed: 1\n    seeds: 1",
            "14: cameras.right.seeds: unknown key: did you mean seed? ",
        ),
        (
            "heartbeat:\n",
            "heartbeat:\n  cameras: [top]\n",
            "27: heartbeat: no camera is called top: give the name of one (left, right)",
        ),
        (
            "heartbeat:\n",
            "heartbeat:\n  cameras: [left]\n",
            "27: heartbeat: no heartbeat stands for the camera right: name it in the `cameras:` of",
        ),
    ],
)
def test_a_mistake_among_several_cameras_names_the_one(
    tmp_path: Path, typed: str, instead: str, said: str
) -> None:
    assert TWO.count(typed) == 1
    assert mistakes(tmp_path, TWO.replace(typed, instead))[0].startswith(said)


def test_a_strip_that_no_camera_sees_and_an_actuator_that_none_orders_are_named(
    tmp_path: Path,
) -> None:
    text = TWO.replace("    across_mm: 80", "    across_mm: 200\n    rejects: [reject]")
    third = "  far:\n    type: synthetic\n    seed: 2\n    across_mm: 320\n    rejects: [reject]\n"
    text = text.replace("engine:", f"{third}engine:")
    assert mistakes(tmp_path, text) == [
        "21: cameras.far.across_mm: nobody sees the 20 mm between right, which ends at 300, and "
        "far: move them together, or leave across_mm out if they look at surfaces of their own"
    ]
    also = "  also: [{name: mark, output: {type: memory}, offset_mm: 9, delay_ms: 5}]\n"
    text = TWO.replace("    across_mm: 80", "    rejects: [reject]").replace(
        "heartbeat:", f"{also}heartbeat:"
    )
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("10: cameras.left.rejects: no camera orders the actuator mark: name")


def test_a_camera_has_rules_of_its_own_or_the_lines(tmp_path: Path) -> None:
    own = "    across_mm: 80\n    rules: {reject_if: {min_area_mm2: 1}}"
    left, right = read(tmp_path, TWO.replace("    across_mm: 80", own)).lookouts
    assert left.rules == read(tmp_path, LINE).rules
    assert right.rules.reject_if == MinArea(min_area_mm2=1)


def test_a_camera_alone_is_a_line_with_its_rules_its_actuators_and_its_heartbeat(
    tmp_path: Path,
) -> None:
    own = "    rejects: [mark]\n    rules: {reject_if: {min_area_mm2: 1}}"
    also = "  also: [{name: mark, output: {type: memory}, offset_mm: 9, delay_ms: 5}]\n"
    beats = "  cameras: [left]\n  also: [{output: {type: memory}, timeout_ms: 70}]\n"
    text = TWO.replace("    across_mm: 80", own).replace(
        "heartbeat:\n", f"{also}heartbeat:\n{beats}"
    )
    right = read(tmp_path, text).alone("right")
    assert list(right.cameras) == ["right"]
    assert [each.name for each in right.reject.actuators] == ["mark"]
    assert right.heartbeat.timeout_ms == 70
    assert right.rules.reject_if == MinArea(min_area_mm2=1)
    assert right.reject.tolerance_mm == read(tmp_path, text).reject.tolerance_mm
    with pytest.raises(UsageError, match="several cameras, and one is wanted: left, right"):
        read(tmp_path, text).alone()


def test_every_mistake_is_named_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = LINE.replace("rail-1", "12").replace("delay_ms: 25", "delay: 25").replace("0.6", "6")
    assert [mistake.split(": ")[1] for mistake in mistakes(tmp_path, text)] == [
        "name",
        "reject.delay_ms",  # missing, so named at `reject:`
        "reject.delay",
        "rules.reject_if.any[0].all[1].min_score",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINE.replace("rail-1", "rail-1: 2"), "1:13: not YAML, mapping values are not allowed"),
        (
            LINE.replace("    type: folder", "\ttype: folder"),
            "5:1: not YAML, found character '\\t'",
        ),
        (LINE.replace("frames", "*frames"), "6:11: not YAML, found undefined alias"),
        ("", "1: not keys and values"),
        ("- name: rail-1", "1: not keys and values"),
        ("name: \x00", " not YAML, unacceptable character"),
        ("[" * 5000, " nested too deep"),
        (f"{LINE}{LAUGHS}", "30: c[14]: more than 10000 values by here: write them out, without"),
        (f"{LINE}a: {'[' * 40}{']' * 40}", "28: a[0]: nested too deep: write it flat"),
        (f"{LINE}{'# comment' * 40_000}", " more than 262144 bytes: give the path of a line file"),
        ("name: &name [*name]", "1: name[0]: nested too deep"),
    ],
)
def test_a_file_that_is_not_a_mapping_of_keys_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(said)


def test_every_number_of_a_line_file_has_bounds() -> None:
    def unbounded(part: object, at: str) -> Iterator[str]:
        match part:
            case {"type": "number" | "integer", "enum": _}:
                return
            case {"type": "number" | "integer"}:
                kept = part.keys()
                if (
                    not {"minimum", "exclusiveMinimum"} & kept
                    or not {
                        "maximum",
                        "exclusiveMaximum",
                    }
                    & kept
                ):
                    yield at
            case dict():
                for name, inner in part.items():
                    yield from unbounded(inner, f"{at}.{name}")
            case list():
                for number, inner in enumerate(part):
                    yield from unbounded(inner, f"{at}[{number}]")

    assert list(unbounded(line_schema(), "")) == []


def paths(section: object) -> Iterator[tuple[str | int, ...]]:
    """Of all that is in a line file, down to its values."""
    yield ()
    match section:
        case dict():
            inside = list(section.items())
        case list():
            inside = list(enumerate(section))
        case _:
            inside = []
    for name, value in inside:
        yield from ((name, *rest) for rest in paths(value))


DEMO = yaml.safe_load((EXAMPLES / "steel.yaml").read_text())
HOSTILE = st.one_of(
    st.floats(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.text(max_size=20),
    st.sampled_from([None, True, [], {}, [[]], {"": ""}, "${HOME}", "\0", "\x1b[2J", "a" * 5000]),
)


@settings(max_examples=60)
@given(st.sampled_from([path for path in paths(DEMO) if path]), HOSTILE, st.booleans())
def test_whatever_a_line_file_says_it_is_read_or_refused_by_line_and_key(
    path: tuple[str | int, ...], value: object, as_key: bool
) -> None:
    line = copy.deepcopy(DEMO)
    inside = line
    for step in path[:-1]:
        inside = inside[step]
    if as_key and isinstance(inside, dict):
        inside[value if isinstance(value, str | float) else str(value)] = inside.pop(path[-1])
    else:
        inside[path[-1]] = value
    with TemporaryDirectory() as folder:
        file = Path(folder, "line.yaml")
        file.write_text(yaml.safe_dump(line), encoding="utf-8")
        with suppress(ConfigurationError):
            read_line(file)


@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(0, len(LINE)))
def test_bytes_anywhere_in_a_line_file_are_read_or_refused(junk: bytes, at: int) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "line.yaml")
        file.write_bytes(LINE[:at].encode() + junk + LINE[at:].encode())
        with suppress(ConfigurationError):
            read_line(file)


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("offset_mm: 800", "offset_mm: 1.0e+308"),
        ("delay_ms: 20", 'delay_ms: 20\n  ledger: "a\\0b"'),
        ("name: steel", 'name: steel\n"\\e[31mred": 3'),
    ],
)
def test_a_hostile_line_file_ends_the_check_with_one_readable_line(
    tmp_path: Path, typed: str, instead: str
) -> None:
    path = tmp_path / "line.yaml"
    path.write_text((EXAMPLES / "steel.yaml").read_text().replace(typed, instead))
    command = [sys.executable, "-m", "edge.cli", "check", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 78
    assert answer.stderr.startswith(f"trackside: {path}:")
    assert answer.stderr.count("\n") == 1 and answer.stderr.strip().isprintable()


def test_a_missing_file_is_told_where_the_examples_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"no such file: .*{EXAMPLES}"):
        read_line(tmp_path / "line.yaml")


def test_a_secret_comes_from_the_environment_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    line = read(tmp_path, LINE.replace("path: frames", "path: share-${SECRET}/frames"))
    camera = line.cameras["left"]
    assert camera == camera.model_copy(update={"path": tmp_path / "share-hunter2/frames"})
    for typed in ("1000", "folder", "GPU"):
        (mistake,) = mistakes(tmp_path, LINE.replace(typed, "${SECRET}"))
        assert "hunter2" not in mistake


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("type: folder\n    path: frames", "type: rtsp\n    url: http://me:hunter2@10.0.0.9/rail"),
        ("type: folder\n    path: frames", "type: rtsp\n    url: me:hunter2@10.0.0.9/rail"),
        ("rules:", "web: {token: hunter2}\nrules:"),
    ],
)
def test_a_secret_that_stands_in_the_line_file_is_not_repeated_where_it_is_wrong(
    tmp_path: Path, typed: str, instead: str
) -> None:
    (mistake,) = mistakes(tmp_path, LINE.replace(typed, instead))
    assert "hunter2" not in mistake


@pytest.mark.parametrize(
    ("condition", "at", "below"),
    [
        (MinArea(min_area_mm2=20), defect(area_mm2=20), defect(area_mm2=19.9)),
        (MinLength(min_length_mm=15), defect(length_mm=15), defect(length_mm=14.9)),
        (MinScore(min_score=0.6), defect(score=0.6), defect(score=0.59)),
        (Classes(classes=("crack",)), defect(kind="crack"), defect(kind="scratch")),
        # A defect of which the class is not known might be a crack.
        (Classes(classes=("crack",)), defect(kind=None), defect(kind="scratch")),
        (
            AllOf(all=(MinArea(min_area_mm2=2), MinWidth(min_width_mm=2))),
            defect(area_mm2=2),
            defect(area_mm2=1.9),
        ),
        (
            AnyOf(any=(MinArea(min_area_mm2=2), MinWidth(min_width_mm=2.1))),
            defect(area_mm2=2),
            defect(area_mm2=1.9),
        ),
    ],
)
def test_a_condition_holds_from_its_limit_on(
    condition: Condition, at: Defect, below: Defect
) -> None:
    assert condition.matches(at)
    assert not condition.matches(below)


def test_a_crack_across_the_rail_is_as_large_as_it_is_wide() -> None:
    crack = Defect(Stretch(0, 4000), 0, 64_000, 90, 0.9, (0, 0, 256, 16))
    assert MinExtent(min_extent_mm=64).matches(crack)
    assert not MinExtent(min_extent_mm=64.1).matches(crack)
    assert not MinLength(min_length_mm=5).matches(crack)  # which is said along the rail alone


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (MinArea(min_area_mm2=7.9), ["rule.min_area_mm2 7.9: nothing below 8 mm2 counts"]),
        (MinArea(min_area_mm2=0), []),  # whatever counts
        (MinLength(min_length_mm=3), ["rule.min_length_mm 3: nothing below 4 mm counts"]),
        # A narrow one may be as long as the bundle can find.
        (AllOf(all=(MinWidth(min_width_mm=2), MinExtent(min_extent_mm=4))), []),
        (
            AnyOf(any=(AllOf(all=(MinScore(min_score=0.5), MinWidth(min_width_mm=2))),)),
            ["rule.any[0].all[1].min_width_mm 2: nothing below 4 mm counts"],
        ),
    ],
)
def test_a_rule_for_what_is_too_small_to_count_is_told(
    condition: Condition, said: list[str]
) -> None:
    assert list(too_small(condition, "rule", Limits(min_area_mm2=8, min_extent_mm=4))) == said


def test_the_schema_offers_each_type_and_explains_each_key() -> None:
    schema = line_schema()
    cameras = schema["properties"]["cameras"]["additionalProperties"]["discriminator"]["mapping"]
    assert sorted(cameras) == CAMERAS
    for part in ("SyntheticSettings", "RejectSettings", "GpiodOutputSettings", "Quality"):
        keys = schema["$defs"][part]["properties"]
        assert [name for name, key in keys.items() if "description" not in key] in ([], ["type"])


def test_reading_a_line_file_loads_no_vision_library() -> None:
    heavy = "{'cv2', 'torch', 'openvino', 'onnxruntime', 'ai_edge_litert'}"
    code = f"import sys, edge.line_file.line; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
