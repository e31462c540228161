"""`trackside tune`: it judges as the line does, counts exactly, writes one setting and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from benchmarks.marked_pictures import choose_pictures
from benchmarks.qualify.rates import share_at_least, share_at_most
from benchmarks.tune.costs import Cost, Share, choose
from benchmarks.tune.grid import Setting
from benchmarks.tune.study import Study, study
from edge.assembly import pictures_of
from edge.errors import ConfigurationError, UsageError
from edge.files import with_value
from edge.files.image_file import read_image
from edge.line_file import read_line
from edge.network import load_network
from edge.types import Image, State
from stands.bundles import HEIGHT, WIDTH, make_bundle

DEFECTS, SOUND = 12, 8
LINE = """\
name: bench # of the tests
bundle: smoother.bundle
cameras:
  top:
    type: folder
    path: data/images
    along_um: 250
    across_um: 250
    quality: {min_sharpness: 0, min_texture_share: 0, dark_below: 0}
engine: {type: onnxruntime}
encoder: {type: simulated, speed_mm_s: 500}
reject: {output: {type: memory}, offset_mm: 800,
  delay_ms: 20, margin_mm: 20, min_pulse_ms: 20, tolerance_mm: 20}
heartbeat: {output: {type: memory}, timeout_ms: 500}

rules:
  # what the customer wants
  reject_if:
    any:
      - min_area_mm2: 2.5 # by contract
"""


def picture(brightness: int, side: int) -> tuple[Image, Image]:
    """A square on dark ground, and its mask; the network is surer of it the brighter it is."""
    image, mask = np.full((HEIGHT, WIDTH), 60, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    image[10 : 10 + side, 12 : 12 + side] = brightness
    mask[10 : 10 + side, 12 : 12 + side] = 255
    return image, mask


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A line, and pictures of twelve squares, ever larger and brighter, and of eight soft spots."""
    data = tmp_path / "data"
    for folder in ("images", "masks", "good"):
        (data / folder).mkdir(parents=True)
    for number in range(DEFECTS):
        image, mask = picture(150 + 8 * number, 6 + number)
        cv2.imwrite(str(data / "images" / f"d{number:02}.png"), image)
        cv2.imwrite(str(data / "masks" / f"d{number:02}.png"), mask)
    for number in range(SOUND):
        cv2.imwrite(str(data / "good" / f"s{number}.png"), picture(80 + 15 * number, 8)[0])
    make_bundle(tmp_path / "smoother.bundle")
    path = tmp_path / "line.yaml"
    path.write_text(LINE, encoding="utf-8")
    return path


def studied(line: Path, **options: object) -> Study:
    usual = {
        "camera": None,
        "recipe": None,
        "side": None,
        "per": "defect",
        "keep_size": False,
        "quiet": True,
    }
    return study(line, line.parent / "data", **(usual | options))  # type: ignore[arg-type]


def tune(line: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "tune", str(line), "--data"]
    command += [str(line.parent / "data"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_every_setting_costs_what_the_line_itself_makes_of_it(line: Path) -> None:
    made = studied(line)
    thresholds = {cost.setting.threshold for cost in made.costs}
    sizes = {cost.setting.size for cost in made.costs}
    assert len(thresholds) > 15
    assert {1.0, 2.5} < sizes
    assert len({cost.defects.count for cost in made.costs}) > 5
    assert len({cost.false_rejects.count for cost in made.costs}) > 5
    for cost in made.costs[::17]:
        text = with_value(LINE, ("rules", "threshold"), cost.setting.threshold)
        place = ("rules", "reject_if", "any", 0, "min_area_mm2")
        line.write_text(with_value(text, place, cost.setting.size or 0), encoding="utf-8")
        config = read_line(line)
        network = load_network(config.engine, config.bundle)
        inspector = pictures_of(config.lookout(), network)
        states = {
            path.stem: inspector.inspect(read_image(path, colour=False)).verdict.state
            for path in (line.parent / "data").glob("*/*.png")
            if path.parent.name != "masks"
        }
        network.engine.close()
        let_by = [name for name, state in states.items() if name[0] == "d" and state is State.OK]
        rejected = [name for name, state in states.items() if name[0] == "s" and state is State.NG]
        assert (cost.pictures.count, cost.pictures.of) == (len(let_by), DEFECTS)
        assert (cost.false_rejects.count, cost.false_rejects.of) == (len(rejected), SOUND)


def test_what_is_proposed_is_written_and_every_other_character_stays(line: Path) -> None:
    answered = tune(line, "--escapes", "0.1", "--write")
    assert answered.returncode == 0, answered.stderr
    assert "TOO FEW to promise 0.1: 12 defects" in answered.stdout
    settings = read_line(line).rules
    assert settings.threshold is not None
    again = studied(line)
    assert again.now.defects.count <= 1
    assert again.now == again.propose(0.1).cost
    kept = [
        row
        for row in line.read_text(encoding="utf-8").splitlines()
        if "threshold:" not in row and "min_area_mm2" not in row
    ]
    assert kept == [row for row in LINE.splitlines() if "min_area_mm2" not in row]
    assert "# by contract" in line.read_text(encoding="utf-8")


def test_of_several_cameras_one_is_tuned_by_the_rules_that_are_its_own(line: Path) -> None:
    """And written where they lie; of the other camera, which has the line's, nothing changes."""
    left = LINE[LINE.index("  top:") : LINE.index("engine:")].replace("top", "left")
    own = "    rules: {reject_if: {min_area_mm2: 2.5}}\n"
    text = LINE.replace("engine:", f"{own}{left}engine:", 1)
    line.write_text(text, encoding="utf-8")
    unsaid = tune(line, "--escapes", "0.1")
    assert unsaid.returncode == 2
    assert "several cameras, and one is wanted: top, left" in unsaid.stderr
    answered = tune(line, "--escapes", "0.1", "--write", "--camera", "top")
    assert answered.returncode == 0, answered.stderr
    assert "cameras.top.rules.threshold: " in answered.stdout
    top, other = read_line(line).lookouts
    assert top.rules.threshold is not None
    assert other.rules.threshold is None
    again = studied(line, camera="top")
    assert again.now == again.propose(0.1).cost


def test_scripts_get_one_object_and_a_wish_that_nothing_reaches_is_exit_1(line: Path) -> None:
    hopeless = LINE.replace("2.5", "100")  # more than a picture shows
    line.write_text(hopeless, encoding="utf-8")
    answered = tune(line, "--escapes", "0.01", "--keep-size", "--json", "--write")
    assert answered.returncode == 1
    told = json.loads(answered.stdout)
    assert told["proposed"]["reached"] is False
    assert told["written"] is None
    assert told["proposed"]["escaped_defects"]["count"] == DEFECTS
    assert line.read_text(encoding="utf-8") == hopeless
    assert tune(line, "--write").returncode == 2


def test_twelve_defects_without_an_escape_promise_no_less_than_22_percent() -> None:
    assert share_at_most(0, 12) == pytest.approx(1 - 0.05 ** (1 / 12))
    assert round(share_at_most(0, 12), 3) == 0.221
    # Of Clopper and Pearson's tables, each end at 95%.
    assert round(share_at_most(1, 20), 3) == 0.216
    assert round(share_at_least(19, 20), 3) == 0.784
    assert (share_at_most(5, 5), share_at_least(0, 5)) == (1.0, 0.0)


def test_the_cheapest_of_what_can_be_promised_is_chosen_before_what_only_looks_good() -> None:
    def cost(threshold: float, escapes: int, rejects: int) -> Cost:
        share = Share(escapes, 300)
        return Cost(Setting(threshold, None), share, share, Share(rejects, 100), rejects)

    costs = [cost(0.2, 3, 40), cost(0.4, 6, 9), cost(0.6, 14, 2), cost(0.8, 60, 0)]
    promised = choose(costs, 0.05, "defect")
    assert (promised.cost.setting.threshold, promised.promised) == (0.4, True)
    hoped = choose(costs[2:], 0.05, "defect")
    assert (hoped.cost.setting.threshold, hoped.reached, hoped.promised) == (0.6, True, False)
    assert hoped.needed == 59
    missed = choose(costs[3:], 0.05, "defect")
    assert (missed.cost.setting.threshold, missed.reached) == (0.8, False)


def test_pictures_that_the_recipe_beside_the_line_holds_out_are_taken_and_no_others(
    line: Path,
) -> None:
    recipe = {
        "network": {"name": "minet"},
        "data": [{"layout": "plain", "path": "data", "share": 1, "hold_out": 6}],
        "validation": {"size": 64, "every": 1},
        "mean": 0.45,
        "std": 0.225,
        "crop": 64,
        "learning_rate": 0.003,
        "iterations": 1,
        "seed": 1,
    }
    (line.parent / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    made = studied(line)
    assert "recipe.yaml holds out" in made.chosen.said
    assert len(made.looked.cases) == 6
    assert len(studied(line, side="all").looked.cases) == DEFECTS + SOUND
    with pytest.raises(UsageError, match="leave --split out"):
        studied(line, side="all", recipe=line.parent / "recipe.yaml")


def test_what_a_recipe_of_several_sections_holds_out_by_a_list_is_taken_whole(line: Path) -> None:
    sections = [
        {"layout": "plain", "path": "data", "classes": [name], "hold_out": {"list": "held.txt"}}
        for name in ("defect", "free")
    ]
    recipe = line.parent / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"data": sections}), encoding="utf-8")
    held = ["good/s3.png", "images/d01.png", "images/d07.png"]
    (line.parent / "held.txt").write_text("\n".join(["# these", *held]), encoding="utf-8")
    chosen = choose_pictures(line.parent / "data", line, None, None)
    root = line.parent / "data"
    assert sorted(s.image.relative_to(root).as_posix() for s in chosen.samples) == held


def test_pictures_without_a_defect_and_rules_of_several_sizes_are_told(line: Path) -> None:
    rules = LINE.replace("      - min_area", "      - min_extent_mm: 8\n      - min_area")
    line.write_text(rules, encoding="utf-8")
    assert {cost.setting.size for cost in studied(line).costs} == {None}
    assert "The rules ask 2 sizes" in tune(line).stdout
    for path in (line.parent / "data" / "masks").iterdir():
        cv2.imwrite(str(path), picture(60, 6)[1] * 0)
    with pytest.raises(ConfigurationError, match="no defect is marked"):
        studied(line)


def test_it_needs_no_torch(line: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from edge.cli.app import main; "
        f"sys.argv = ['trackside', 'tune', '{line}', '--data', '{line.parent / 'data'}']; main()"
    )
    command = [sys.executable, "-c", program]
    answered = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert answered.returncode == 0, answered.stderr


@pytest.mark.parametrize(
    ("text", "place", "edited"),
    [
        ("rules: {reject_if: {}} # a\n", ("rules", "t"), "rules: {t: 0.4, reject_if: {}} # a\n"),
        ("rules:\n  # why\n  a: 1\n", ("rules", "t"), "rules:\n  # why\n  t: 0.4\n  a: 1\n"),
        ("rules:\n  t: 7 # é\n", ("rules", "t"), "rules:\n  t: 0.4 # é\n"),
        ("a: [1, {t: 2}]\n", ("a", 1, "t"), "a: [1, {t: 0.4}]\n"),
    ],
)
def test_one_value_of_a_yaml_text_is_changed(
    text: str, place: tuple[int | str, ...], edited: str
) -> None:
    assert with_value(text, place, 0.4) == edited
    with pytest.raises(LookupError):
        with_value(text, ("rules", "nowhere", "t"), 0.4)
