"""Found against false alarms: what counts as a hit, as a false alarm, and as neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edge.errors import ConfigurationError
from edge.inspect import by_bundle, predict
from edge.network import engine_by_name, load_network
from edge.simulation import SimulatedLine
from reference.evaluation.found import Labelled, Picture, Spot, best_within, curve, judge
from reference.found_commands import found
from reference.networks import build
from reference.recipe.sources import read_sources
from reference.trained.rail_answer import Maps, Reading, look_with, maps_of
from reference.training.track import held_out_track
from stands.datasets_on_disk import WRITERS
from stands.tiny_recipe import recipe_with

DENT = Labelled((100, 100, 200, 180), "d_dent", "defect")
GAP = Labelled((0, 300, 400, 360), "gap", "sound")
STAIN = Labelled((300, 100, 340, 140), "unknown", "ignored")


@pytest.mark.parametrize(
    ("sides", "found", "on_sound", "on_other"),
    [
        ((140, 130, 160, 150), 1, 0, 0),  # small, its centre inside
        ((90, 60, 230, 190), 1, 0, 0),  # its centre inside
        ((0, 90, 205, 185), 1, 0, 0),  # by overlap alone
        ((0, 0, 110, 110), 0, 0, 0),  # touches the defect: no false alarm, nor a hit
        ((210, 100, 290, 180), 0, 1, 0),  # beside both
        ((100, 310, 120, 340), 0, 0, 1),  # a joint called a defect
        ((310, 110, 330, 130), 0, 0, 0),  # what nobody knows harms nobody
        ((300, 130, 380, 310), 0, 0, 0),  # nor where it reaches to a joint
    ],
)
def test_a_spot_is_a_hit_by_its_centre_or_overlap_and_false_if_it_touches_no_defect(
    sides: tuple[float, float, float, float], found: int, on_sound: int, on_other: int
) -> None:
    tally = judge([Picture("a", [Spot(sides, 0.9, "d_dent")], [DENT, GAP, STAIN])])
    assert tally.defects.total() == 1
    assert (tally.found.total(), tally.on_sound, tally.on_other.total()) == (
        found,
        on_sound,
        on_other,
    )


def test_the_curve_tells_what_each_score_would_find_and_at_what_price() -> None:
    right = Spot((120, 110, 180, 170), 0.6, "d_crush", 0.7)
    false = [Spot((0, 0, 20, 20), 0.4), Spot((0, 310, 20, 330), 0.8)]
    points = curve(
        [Picture("a", [right, *false], [DENT, GAP]), Picture("b", [], [])], [0.3, 0.5, 0.7]
    )
    assert [p.tally.found_share for p in points] == [1, 1, 0]
    assert [p.tally.false_alarms for p in points] == [1, 0.5, 0.5]
    assert dict(points[0].tally.named) == {("d_dent", "d_crush"): 1}
    assert best_within(points, 0.5) is points[1]
    assert best_within(points, 0.4) is None


def test_a_crush_beside_a_joint_is_a_spot_of_its_own_and_the_joint_is_none() -> None:
    decided = np.zeros((64, 64), np.float32)
    decided[10:50, 5:60] = 0.9
    names = np.zeros((3, 64, 64), np.float32)
    names[2, :30], names[0, 30:], names[1, 30:] = 1, 0.8, 0.2  # a joint above, a crush below
    reading = Reading(("d_crush", "damage", "gap"), frozenset({"gap"}))
    (spot,) = reading.spots(Maps(decided, names, left=100), 0.5)
    assert spot.sides == (105, 30, 160, 50)
    assert (spot.class_name, spot.class_score) == ("d_crush", pytest.approx(0.8))


@pytest.mark.parametrize("classes", [0, 3])
def test_windows_down_the_head_make_maps_of_a_whole_picture(classes: int) -> None:
    network = build("minet", align_corners=False, class_maps=classes).eval()
    names = tuple("abc"[:classes])
    recipe = recipe_with(network={"name": "minet", "class_maps": classes}, names=names)
    picture = np.full((160, 640), 5, np.uint8)
    picture[:, 200:480] = 90
    maps = maps_of(picture, look_with(network, recipe), rows=96, width_px=320)
    assert maps.left == pytest.approx(340 - 160, abs=2)
    assert maps.decided.shape == (160, 320) and maps.names.shape == (classes, 160, 320)
    assert (maps.decided > 0).all() and np.allclose(maps.names.sum(0), bool(classes), atol=1e-4)
    spots = Reading(names, frozenset()).spots(maps, 0.0)
    assert [spot.sides[1::2] for spot in spots] == [(0, 160)]


def test_predicted_results_are_counted_by_a_command(tmp_path: Path) -> None:
    WRITERS["rail_defect"](tmp_path)
    results = tmp_path / "results.jsonl"
    dent = {"box_px": [300, 20, 30, 20], "score": 0.9, "class": "d_dent", "class_score": 0.8}
    gap = dent | {"box_px": [100, 10, 300, 5], "class": "gap"}
    rows = [
        {"image": "in/1028010100005.jpg", "defects": [gap]},
        {"image": "in/1501200200007.jpg", "defects": [dent]},
    ]
    results.write_text("\n".join(map(json.dumps, rows)))
    first = points_of(str(results), tmp_path)[0.0]
    assert (first["found"], first["false_alarms"], first["named_right"]) == (0.5, 0, 1)
    results.write_text(json.dumps(rows[0]))
    with pytest.raises(ConfigurationError, match="lacks 1 of 2 pictures"):
        points_of(str(results), tmp_path)


def test_what_is_said_of_a_bundle_is_what_predict_finds_with_it(tmp_path: Path) -> None:
    line = SimulatedLine(1, "track", 700, 250, defects_per_metre=9, distractors_per_metre=5)
    image = tmp_path / "images/1028010100005.jpg"
    image.parent.mkdir()
    cv2.imwrite(str(image), line.render(0, 1400)[0])
    truth = line.true_defects(0, 1400)
    document = {
        "images": [{"id": 0, "file_name": image.name, "height": 1400, "width": 700}],
        "categories": [{"id": 1 + n, "name": name} for n, name in enumerate(line.classes)],
        "annotations": [
            {
                "image_id": 0,
                "category_id": 1 + line.classes.index(true.kind),
                "segmentation": [],
                "bbox": [
                    true.left_um / 250,
                    true.stretch.start_um / 250,
                    true.width_mm * 4,
                    (true.stretch.end_um - true.stretch.start_um) / 250,
                ],
            }
            for true in truth
        ],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/boxes.json").write_text(json.dumps(document))
    network = load_network(engine_by_name("onnxruntime"), "rail")
    list(predict([image], by_bundle(network), tmp_path / "out"))
    network.engine.close()
    predicted = points_of(str(tmp_path / "out/results.jsonl"), tmp_path)[0.0]
    ran = points_of("rail", tmp_path, "--engine", "onnxruntime")
    shipped = ran[network.bundle.manifest.threshold]
    assert shipped | {"threshold": 0.0} == predicted
    assert shipped["found"] == 1 and len(truth) == 4 and shipped["false_alarms"] == 0
    assert ran[0.05]["false_alarms"] > 0


def test_a_run_is_chosen_by_the_pictures_that_its_recipe_holds_out(tmp_path: Path) -> None:
    WRITERS["rail_defect"](tmp_path / "rail")
    section = {"layout": "rail_defect", "path": "rail", "boxes": "hold"}
    kept_back = {"list": "kept_back.txt", "images": ["images/1028010100005.jpg"]}
    for hold_out, names in (("runs", ["1501200200007"]), (kept_back, ["1028010100005"])):
        recipe = recipe_with(
            data=[section | {"hold_out": hold_out}],
            loss={"boxes": {"outside": 1}},
            validation={"size": 352, "every": 2, "best": "found"},
        )
        _, held_out = read_sources(recipe, tmp_path)
        track = held_out_track(recipe, tmp_path, held_out)
        assert track is not None
        assert [sample.name for sample in track.samples] == names


def points_of(network: str, data: Path, *more: str) -> dict[float, dict[str, Any]]:
    app = typer.Typer()
    app.command()(found)
    said = CliRunner().invoke(
        app, [network, "--data", str(data), "--split", "all", "--json", *more]
    )
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    assert said.exit_code == 0, said.output
    return {point["threshold"]: point for point in json.loads(said.stdout)["points"]}
