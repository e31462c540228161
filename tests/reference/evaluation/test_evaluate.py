"""Evaluation: each metric on cases worked out by hand, and the command on folders and networks."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from py_sod_metrics import MAE, Emeasure, FmeasureHandler, FmeasureV2, Smeasure, WeightedFmeasure

from edge.errors import ConfigurationError, UsageError
from edge.network import engine_by_name, load_network
from edge.simulation import SimulatedLine
from quantize.evaluate_commands import evaluate as evaluate_command
from quantize.evaluated import DataChoice, checkpoint_on
from reference.commands import maps
from reference.data import read
from reference.datasets import DataError
from reference.evaluation import (
    LINE,
    Case,
    Evaluation,
    Said,
    Scoring,
    by_class,
    by_size,
    cases_of_folders,
    cases_of_maps,
    evaluate,
    score,
    score_cases,
    scoring_processes,
    summarise,
    write_report,
)
from reference.evaluation.evaluate import LEAST_SHARED_OUT, Answer
from reference.evaluation.metrics import ScoreError, pfom
from reference.evaluation.summary import curves
from reference.networks.layers import NetworkError
from reference.trained import open_network
from reference.trained.views import Views
from stands.datasets_on_disk import WRITERS, magnetic_tile, picture, write
from stands.places import ROOT

CHECKPOINT = ROOT / "reference" / "checkpoints" / "minet_line.safetensors"
NAMING = CHECKPOINT.with_name("minet_line_names.safetensors")


def square(value: float = 1) -> NDArray[np.float64]:
    """40 x 40 with a square of 15 x 15."""
    p = np.zeros((40, 40))
    p[5:20, 5:20] = value
    return p


EMPTY, FULL, SQUARE = np.zeros((40, 40)), np.ones((40, 40)), square()


@pytest.mark.parametrize(
    ("truth", "p", "expected"),
    [
        (EMPTY, EMPTY, (0, 0, 1, 0, 0)),
        (EMPTY, SQUARE, (225 / 1600, 0, 1 - 225 / 1600, 0, 0.860)),
        (EMPTY, FULL, (1, 0, 0, 0, 0)),
        (SQUARE, SQUARE, (0, 1, 1, 1, 1600 / 1599)),
        (FULL, FULL, (0, 1, 1, 1, 1600 / 1599)),
    ],
)
def test_the_saliency_metrics_are_pysodmetrics_at_the_extremes(
    truth: NDArray[Any], p: NDArray[Any], expected: tuple[float, ...]
) -> None:
    scores = score(p, truth.astype(np.uint8))
    found = (scores.mae, scores.weighted_f, scores.s_measure, scores.adaptive_f, scores.adaptive_e)
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_defect_in_the_last_column_has_a_structure_too() -> None:
    """Its centre divides the picture to four quarters, two of which hold no pixel."""
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 39] = 1
    found, missed = (score(p, truth).s_measure for p in (truth.astype(float), EMPTY))
    assert found == pytest.approx(1, abs=1e-3)
    assert 0 < missed < 0.6


def test_stretched_maps_give_what_papers_tables_are_made_with() -> None:
    """pysodmetrics' own way through 8-bit maps and masks, which is CSEPNet's and MINet's."""
    rng = np.random.default_rng(1)
    mae, s, weighted, e = MAE(), Smeasure(), WeightedFmeasure(), Emeasure()
    f = FmeasureV2({"f": FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=0.3)})
    scores = []
    for number in range(5):
        mask = picture(number)[1]
        grey = cv2.GaussianBlur(mask, (0, 0), 2) // 2 + rng.integers(10, 60, mask.shape, np.uint8)
        for metric in (mae, s, weighted, e, f):
            metric.step(pred=grey, gt=mask)
        scores.append(score(grey / 255, (mask > 128).astype(np.uint8), Scoring(stretch=True)))
    figures, e_measure = summarise(scores), e.get_results()["em"]
    f_measure = f.get_results()["f"]
    expected = {
        "mae": mae.get_results()["mae"],
        "s_measure": s.get_results()["sm"],
        "weighted_f": weighted.get_results()["wfm"],
        "adaptive_f": f_measure["adaptive"],
        "max_f": f_measure["dynamic"].max(),
        "mean_f": f_measure["dynamic"].mean(),
        "adaptive_e": e_measure["adp"],
        "max_e": e_measure["curve"].max(),
        "mean_e": e_measure["curve"].mean(),
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_counts_at_the_threshold_give_each_papers_figures() -> None:
    truth = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], np.uint8)
    p = np.array([[0.9, 0.6, 0.5, 0.8], [0.1, 0.5, 0, 0]])  # 0.5 is not above 0.5
    counts = score(p, truth).confusion
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (2, 1, 1, 4)
    assert counts.iou == 2 / 4
    assert counts.dice == 4 / 6
    assert counts.pa_recall == 2 / 3  # NaDiNet's pixel accuracy
    assert counts.pa_overall == 6 / 8  # LSA-Net's
    assert counts.f1_weighted == pytest.approx(3 / 8 * 4 / 6 + 5 / 8 * 8 / 10)
    overlap = 0.9 + 0.6 + 0.5
    assert score(p, truth).soft_iou == pytest.approx(overlap / (p.sum() + 3 - overlap))


def test_the_curves_run_over_the_threshold_from_the_lowest() -> None:
    truth = SQUARE.astype(np.uint8)
    p = square(0.8)
    p[30:, 30:] = 0.4  # 100 px of false alarm
    scores = score(p, truth)
    at = [0, round(0.3 * 255), round(0.6 * 255), 255]
    precision, recall = [225 / 1600, 225 / 325, 1, 0], [1, 1, 1, 0]
    assert scores.precision[at] == pytest.approx(precision)
    assert scores.recall[at] == pytest.approx(recall)
    f = [1.3 * a * b / (0.3 * a + b) if b else 0 for a, b in zip(precision, recall, strict=True)]
    assert scores.f[at] == pytest.approx(f)
    figures = summarise([scores])
    assert figures["max_f"] == pytest.approx(1)
    assert figures["mean_f"] == pytest.approx(scores.f.mean())


def test_the_merit_of_edges_falls_with_their_distance() -> None:
    truth = SQUARE > 0
    merit = [pfom(np.roll(SQUARE, shift, axis=1), truth) for shift in range(4)]
    assert merit[0] == 1
    assert merit == sorted(merit, reverse=True)
    assert pfom(EMPTY, truth) == 0
    # A line two columns thick, its edges three columns apart from those of the truth.
    step, far = np.zeros((10, 40)), np.zeros((10, 40))
    step[:, 20:], far[:, 23:] = 1, 1
    assert pfom(far, step > 0) == pytest.approx(np.mean([1 / (1 + 9 / 9), 1 / (1 + 4 / 9)]))


def test_dms_counts_an_empty_map_of_a_sound_image_as_found() -> None:
    """Against a plain reading of R3Net's convention: every threshold, strictly above."""
    rng = np.random.default_rng(3)
    truths = [SQUARE, EMPTY, SQUARE, EMPTY]
    maps = [np.round(rng.random((40, 40)) * 255) / 255, EMPTY, square(0.7), square(0.2)]
    scores = [score(p, t.astype(np.uint8)) for p, t in zip(maps, truths, strict=True)]
    best = 0.0
    for t in range(256):
        precision, recall = [], []
        for p, truth in zip(maps, truths, strict=True):
            said = np.rint(p * 255) > t
            right = np.count_nonzero(said & (truth > 0)) + 1e-4
            precision.append(right / (np.count_nonzero(said) + 1e-4))
            recall.append(right / (np.count_nonzero(truth) + 1e-4))
        a, b = np.mean(precision), np.mean(recall)
        best = max(best, 1.3 * a * b / (0.3 * a + b))
    assert summarise(scores)["max_f_dms"] == pytest.approx(best)


def test_stretching_is_for_tables_and_turns_a_clean_frames_noise_into_defects() -> None:
    noise = np.random.default_rng(0).uniform(0.01, 0.02, (40, 40))
    sound = EMPTY.astype(np.uint8)
    assert not score(noise, sound).rejected
    assert score(noise, sound, Scoring(stretch=True)).rejected
    assert score(square(0.4), SQUARE.astype(np.uint8), Scoring(stretch=True)).mae == 0


def test_otsu_finds_the_threshold_between_two_levels() -> None:
    p = np.where(SQUARE > 0, 0.30, 0.10)
    assert score(p, SQUARE.astype(np.uint8), Scoring(threshold="otsu")).confusion.iou == 1


def test_a_map_that_cannot_be_scored_says_why() -> None:
    with pytest.raises(ScoreError, match=r"a is \(40, 40\) but its mask is \(40, 39\)"):
        score(EMPTY, np.zeros((40, 39), np.uint8), name="a")
    for p in (square(1.5), square(np.nan)):
        with pytest.raises(ScoreError, match="give probabilities"):
            score(p, SQUARE.astype(np.uint8))


def test_sound_images_are_counted_apart_from_those_with_a_defect() -> None:
    shown = square(0.9)
    spot = EMPTY.copy()
    spot[0, :3] = 1
    answers = [  # class, map, truth
        ("free", EMPTY, EMPTY),
        ("free", spot, EMPTY),
        ("dent", shown, SQUARE),
        ("dent", EMPTY, SQUARE),
    ]
    for min_share, false_rejects in ((0, 0.5), (3 / 1600, 0.5), (4 / 1600, 0.0)):
        how = Scoring(min_share=min_share)
        scores = [score(p, t.astype(np.uint8), how, class_name=c) for c, p, t in answers]
        figures = summarise(scores)
        assert figures["false_reject_rate"] == false_rejects
    assert (figures["images"], figures["defect_free"]) == (4, 2)
    assert figures["escape_rate"] == 0.5
    assert figures["decision_accuracy"] == 3 / 4
    assert figures["iou"] == (1 + 0 + 1 + 0) / 4
    assert figures["iou_of_defects"] == 0.5
    assert figures["weighted_f"] == pytest.approx(np.mean([s.weighted_f for s in scores[2:]]))
    assert figures["classification_accuracy"] is None
    assert by_class(scores)["free"]["weighted_f"] is None
    assert by_size(scores).keys() == {"large"}  # the square is 14 % of the image
    assert curves(scores[:2]) is None


def test_what_is_put_aside_as_sound_has_its_price_in_misses_and_its_gain_in_rejects() -> None:
    defect, nothing = square() > 0, np.zeros_like(square(), np.uint8)
    truths = [defect.astype(np.uint8)] * 2 + [nothing] * 2
    sound = [0.95, 0.5, 0.95, 0.5]

    def figures(above: float | None) -> dict[str, Any]:
        scoring = Scoring(sound_above=above)
        pairs = zip(truths, sound, strict=True)
        return summarise([score(square(), truth, scoring, sound=share) for truth, share in pairs])

    asked, unasked = figures(0.9), figures(None)
    assert (unasked["escape_rate"], unasked["false_reject_rate"]) == (0, 1)
    assert (unasked["missed_as_sound"], unasked["spared_as_sound"]) == (0, 0)
    assert (asked["escape_rate"], asked["false_reject_rate"]) == (0.5, 0.5)
    assert (asked["missed_as_sound"], asked["spared_as_sound"]) == (0.5, 0.5)


def test_a_network_that_names_classes_is_held_to_them() -> None:
    mask = SQUARE.astype(np.uint8)
    cases = [
        Case(str(n), "dent", lambda named=named: Answer(SQUARE, mask, class_name=named))
        for n, named in enumerate(("dent", "dent", "scratch", "dent"))
    ]
    scores = list(score_cases(cases, Scoring()))
    assert summarise(scores)["classification_accuracy"] == 3 / 4


def test_a_perfect_predictor_scores_perfectly(tmp_path: Path) -> None:
    magnetic_tile(tmp_path)
    pairs = read(tmp_path, "magnetic_tile")
    said = [Said(p.mask.astype(np.float32)) for p in pairs]
    figures = evaluate(said, pairs)
    perfect = ("s_measure", "weighted_f", "max_f", "iou", "pfom", "overlap_ratio", "dice", "f1")
    assert [figures[name] for name in perfect] == pytest.approx([1] * len(perfect), abs=1e-3)
    assert figures["mae"] == figures["false_reject_rate"] == figures["escape_rate"] == 0


def test_figures_are_the_same_by_themselves_and_shared_out_among_processes(tmp_path: Path) -> None:
    magnetic_tile(tmp_path)
    pairs = read(tmp_path, "magnetic_tile")
    maps = [cv2.GaussianBlur(p.mask.astype(np.float32), (0, 0), 3) for p in pairs]
    every = evaluate(map(Said, maps), pairs)
    with scoring_processes(LEAST_SHARED_OUT) as pool:
        shared = evaluate(map(Said, maps), pairs, figures={"weighted_f"}, pool=pool)
    assert shared == {name: every[name] for name in shared}
    assert {"weighted_f", "mae", "escape_rate"} < shared.keys()
    assert "s_measure" not in shared
    for figure in every.keys() - {"images", "defect_free", "classification_accuracy"}:
        alone = evaluate(map(Said, maps), pairs, figures={figure})
        assert alone[figure] == every[figure]


def write_maps(root: Path, count: int = 3) -> tuple[Path, Path]:
    """Folders of maps and masks, of which each map is its mask made fainter and blurred."""
    for number in range(count):
        _, mask = picture(number)
        write(root / "gt" / f"{number}.png", mask)
        write(root / "pred" / f"{number}.png", cv2.GaussianBlur(mask, (0, 0), 1) // 5 * 4)
    return root / "pred", root / "gt"


def test_folders_that_do_not_match_are_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    pred, gt = write_maps(tmp_path, 4)
    (pred / "0.png").unlink()
    (gt / "1.png").unlink()
    write(pred / "2.png", np.zeros((9, 9), np.uint8))
    write(gt / "3.png", np.ones((64, 64), np.uint8))
    with pytest.raises(DataError) as caught:
        cases_of_folders(pred, gt)
    listed = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in listed] == [
        "0: no map",
        "1: no mask",
        "2: the map is (9, 9), the mask (64, 64)",
        "3: the mask's brightest value is 1, not 255",
    ]
    with pytest.raises(DataError, match="is no folder"):
        cases_of_folders(tmp_path / "nowhere", gt)
    write(pred / "2.bmp", np.zeros((9, 9), np.uint8))
    with pytest.raises(DataError, match=r"2\.bmp and .*2\.png|2\.png and .*2\.bmp"):
        cases_of_folders(pred, gt)


def test_what_predict_writes_can_be_evaluated(tmp_path: Path) -> None:
    pred, gt = write_maps(tmp_path)
    for number in range(3):
        write(pred / f"{number}_overlay.png", np.zeros((64, 64, 3), np.uint8))
    assert [case.name for case in cases_of_folders(pred, gt)] == ["0", "1", "2"]


def test_maps_of_a_data_set_have_its_classes(tmp_path: Path) -> None:
    magnetic_tile(tmp_path / "data")
    pairs = read(tmp_path / "data", "magnetic_tile")
    for pair in pairs:
        write(tmp_path / "pred" / f"{pair.name}.png", pair.mask * 255)
    cases = cases_of_maps(tmp_path / "pred", pairs)
    scores = list(score_cases(cases, Scoring()))
    assert by_class(scores).keys() == {"blowhole", "free"}
    assert summarise(scores)["mae"] == 0


def test_a_report_holds_every_figure_every_image_and_the_worst(tmp_path: Path) -> None:
    pred, gt = write_maps(tmp_path)
    cases = cases_of_folders(pred, gt)
    scores = list(score_cases(cases, Scoring()))
    write_report(Evaluation("maps", "masks", LINE, Scoring(), scores), cases, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "curves.csv",
        "f-measure.svg",
        "images.csv",
        "precision-recall.svg",
        "report.md",
        "summary.json",
        "worst.png",
    ]
    rows = list(csv.DictReader((tmp_path / "out" / "images.csv").open()))
    assert [row["name"] for row in rows] == ["0", "1", "2"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    mean = np.mean([float(row["s_measure"]) for row in rows])
    assert summary["s_measure"] == pytest.approx(mean)
    assert len((tmp_path / "out" / "curves.csv").read_text().splitlines()) == 257
    assert (
        f"| mae | {summary['mae']:.4f}".replace("0.", ".")
        in (tmp_path / "out" / "report.md").read_text()
    )


WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torch':
            raise ModuleNotFoundError(name, name='torch')
sys.meta_path.insert(0, NoTorch())
from edge.cli import main
main()
"""


def trackside(*arguments: str, torch: bool = True) -> subprocess.CompletedProcess[str]:
    code = ["-m", "edge.cli"] if torch else ["-c", WITHOUT_TORCH]
    return subprocess.run(
        [sys.executable, *code, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},  # a busy machine's threads wait
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


KEYS = """
s_measure max_f mean_f adaptive_f max_e mean_e adaptive_e mae weighted_f overlap_ratio pfom
iou soft_iou dice f1 pa_recall pa_overall false_reject_rate by_class by_size"""


def test_two_folders_are_compared_without_torch(tmp_path: Path) -> None:
    pred, gt = write_maps(tmp_path)
    answer = trackside("evaluate", "--pred", str(pred), "--gt", str(gt), "--json", torch=False)
    assert answer.returncode == 0, answer.stderr
    figures = json.loads(answer.stdout)
    wanted = set(KEYS.split())
    assert wanted <= figures.keys()
    assert figures["stretch"] is False
    stretched = trackside(
        "evaluate", "--pred", str(pred), "--gt", str(gt), "--json", "--stretch", torch=False
    )
    assert json.loads(stretched.stdout)["mae"] < figures["mae"]


HERE = Path()


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({}, "give either a NETWORK or a folder of maps"),
        ({"network": "strip", "pred": HERE}, "give either a NETWORK or a folder of maps"),
        ({"pred": HERE}, "give the truth once"),
        ({"network": "strip", "gt": HERE}, "give the truth once"),
        ({"pred": HERE, "gt": HERE, "data": HERE}, "give the truth once"),
        ({"pred": HERE, "gt": HERE, "threshold": "half"}, "a number from 0 to 1, or otsu"),
        ({"pred": HERE, "gt": HERE, "layout": "plain"}, "leave them out with --gt"),
        ({"pred": HERE, "gt": HERE, "split": "test"}, "leave them out with --gt"),
        ({"pred": HERE, "gt": HERE, "engine": "openvino"}, "--engine is for a bundle"),
        ({"network": str(CHECKPOINT), "data": HERE, "engine": "openvino"}, "runs on torch"),
        ({"network": "strip", "data": HERE, "size": 368}, "--size is for a checkpoint"),
        ({"network": "strip", "data": HERE, "output": 1}, "--output is for a checkpoint"),
    ],
)
def test_a_question_without_sense_is_refused(arguments: dict[str, Any], remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy):
        evaluate_command(**arguments)


def test_a_checkpoint_is_scored_at_any_size_that_its_network_takes(tmp_path: Path) -> None:
    WRITERS["sd900"](tmp_path)
    data = DataChoice(tmp_path, None, "validation")
    own, paper = (checkpoint_on(CHECKPOINT, data, size) for size in (None, 368))
    assert paper.name == f"{own.name} at 368x368"
    maps = [evaluated.cases[0].answer().probability for evaluated in (own, paper)]
    assert 0 < np.abs(maps[0] - maps[1]).max() < 1
    side = checkpoint_on(CHECKPOINT, data, None, 4)
    assert side.name == f"{own.name}, output 4"
    assert 0 < np.abs(maps[0] - side.cases[0].answer().probability).max() < 1
    with pytest.raises(UsageError, match="--output 5: the network has maps 0 to 4"):
        checkpoint_on(CHECKPOINT, data, None, 5).cases[0].answer()
    with pytest.raises(NetworkError, match="pad to 112"):
        checkpoint_on(CHECKPOINT, data, 100).cases[0].answer()
    with pytest.raises(UsageError, match="does not say of an image that it is sound"):
        evaluate_command(str(CHECKPOINT), data=tmp_path, sound_above=0.9)


def test_a_checkpoints_maps_are_written_and_score_as_the_checkpoint_does(tmp_path: Path) -> None:
    WRITERS["sd900"](tmp_path / "data")
    data = DataChoice(tmp_path / "data", None, "validation")
    pairs = data.pairs()
    for pair in pairs:
        write(tmp_path / "images" / f"{pair.name}.png", pair.image)
    maps(CHECKPOINT, [tmp_path / "images"], tmp_path / "maps", size=[64])
    own = list(score_cases(checkpoint_on(CHECKPOINT, data, 64).cases, Scoring()))
    written = list(score_cases(cases_of_maps(tmp_path / "maps", pairs), Scoring()))
    assert [w.s_measure for w in written] == pytest.approx([o.s_measure for o in own])
    with pytest.raises(UsageError, match=r"would overwrite .*: give another folder"):
        maps(CHECKPOINT, [tmp_path / "images"], tmp_path / "images", size=[64])
    with pytest.raises(UsageError, match=r"is a checkpoint: .* `trackside maps`"):
        load_network(engine_by_name("onnxruntime"), CHECKPOINT)


def test_eight_views_of_a_turned_image_are_those_of_the_image_turned() -> None:
    image, _ = SimulatedLine(3, width_px=96, defects_per_metre=20).render(0, 64)
    networks, finish = [open_network(CHECKPOINT), open_network(NAMING)], LINE.finish
    looks = Views(networks, [64, 96], 0, finish, views=True)
    mean = looks.mean(image)
    assert mean.shape == image.shape
    turned = looks.mean(np.ascontiguousarray(np.rot90(image)))
    assert np.abs(turned - np.rot90(mean)).max() < 1e-4
    singly = [
        Views([n], [s], 0, finish, views=True).mean(image) for n in networks for s in (64, 96)
    ]
    assert np.abs(np.mean(singly, axis=0) - mean).max() < 1e-5
    assert (
        np.abs(singly[0] - Views(networks[:1], [64], 0, finish, views=False).mean(image)).max() > 0
    )


def test_a_side_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    WRITERS["orssd"](tmp_path)
    with pytest.raises(ConfigurationError, match="take --split test, train or --split all"):
        DataChoice(tmp_path, None, "validation").pairs()


def test_a_checkpoint_and_its_bundle_score_alike(tmp_path: Path) -> None:
    WRITERS["sd900"](tmp_path)
    figures = []
    for network in (str(CHECKPOINT), "strip"):
        answer = trackside("evaluate", network, "--data", str(tmp_path), "--json")
        assert answer.returncode == 0, answer.stderr
        figures.append(json.loads(answer.stdout))
    assert [f["images"] for f in figures] == [2, 2]  # the held-out ones
    assert figures[0]["subject"].endswith("minet_line.safetensors on torch fp32")
    assert [f["by_class"].keys() for f in figures] == [{"patches", "scratches"}] * 2
    assert figures[1]["mae"] == pytest.approx(figures[0]["mae"], abs=0.02)


@pytest.mark.parametrize("network", ["strip", str(NAMING)], ids=["bundle", "checkpoint"])
def test_the_command_tells_what_a_network_with_names_calls_the_pixels_of_each_class(
    network: str, tmp_path: Path
) -> None:
    WRITERS["sd900"](tmp_path)
    arguments = ("evaluate", network, "--data", str(tmp_path))
    record = json.loads(trackside(*arguments, "--json").stdout)
    pixels = {
        name: sum(said.values()) for name, said in record["confusion"].items() if any(said.values())
    }
    assert list(pixels) == ["sound", "patches", "scratches"], "what is there"
    assert record["iou_of_class"].keys() == record["confusion"].keys() - {"sound"}
    printed = trackside(*arguments).stdout
    assert f"mean IoU {record['miou']:.4f}".replace(" 0.", " .") in printed
    for name in ("patches", "scratches"):
        said = record["confusion"][name]
        shares = [f"{100 * count / pixels[name]:.1f}" for count in said.values()]
        assert re.search(rf"│ {name} +│ +{' +│ +'.join(map(re.escape, shares))} +│", printed)
    none_found = json.loads(trackside(*arguments, "--threshold", "1", "--json").stdout)
    assert sum(said["sound"] for said in none_found["confusion"].values()) == sum(pixels.values())
    assert none_found["iou_of_class"]["patches"] == 0 < record["iou_of_class"]["patches"]


def test_track_is_not_evaluated_shrunk_to_one_look(tmp_path: Path) -> None:
    WRITERS["rail_defect"](tmp_path)
    for network in ("rail", str(CHECKPOINT.with_name("minet_rail.safetensors"))):
        answer = trackside("evaluate", network, "--data", str(tmp_path))
        assert answer.returncode == 2
        assert f"trackside found NETWORK --data {tmp_path}" in " ".join(answer.stderr.split())
