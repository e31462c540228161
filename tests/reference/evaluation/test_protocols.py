"""From a network's map to its figures: each paper's own steps, held against a plain reading."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from py_sod_metrics import MAE, Smeasure

from edge.errors import UsageError
from quantize.evaluated import DataChoice, maps_on
from reference.data import Pair, read
from reference.evaluation import Said, cases_of, protocol_of, score, score_cases, summarise
from stands.datasets_on_disk import WRITERS, write

NETWORK_PX, IMAGE = 48, (40, 56)


def answer(smooth_px: float = 4) -> NDArray[np.float32]:
    """A map as a network gives it: smooth, never quite 0 and never quite 1."""
    noise = np.random.default_rng(0).normal(size=(NETWORK_PX, NETWORK_PX)).astype(np.float32)
    logits = cv2.GaussianBlur(noise, (0, 0), smooth_px) * 60 / 4 * smooth_px
    return 1 / (1 + np.exp(-logits))


def pair_of(seed: int = 0, levels: NDArray[np.uint8] | None = None) -> Pair:
    mask = np.zeros(IMAGE, np.uint8)
    mask[5:25, 10:30] = 1
    image = np.full(IMAGE, seed, np.uint8)
    return Pair(str(seed), image, mask, levels=levels)


def test_a_billionth_is_nothing_in_eight_bits_and_costs_a_quadrant_as_it_is() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[4:12, 4:12] = mask[28:36, 28:36] = 1  # round their middle two quadrants are sound
    exact = mask.astype(np.float64)
    nearly = np.where(mask > 0, 1, 1e-9 * np.random.default_rng(0).random((40, 40)))
    of = {name: protocol_of(name) for name in ("line", "float")}
    s = {name: score(of[name].finish(nearly, (40, 40)), mask).s_measure for name in of}
    assert s["line"] == score(exact, mask).s_measure == pytest.approx(1, abs=1e-3)
    assert s["float"] < s["line"] - 0.2


def saved_by_pillow(p: NDArray[np.float32], how: Pillow.Resampling) -> Pillow.Image:
    return Pillow.fromarray(p * 255).convert("L").resize((IMAGE[1], IMAGE[0]), how)


def test_minets_maps_are_stretched_cut_off_and_resized_with_antialiasing() -> None:
    p = answer(smooth_px=0.4)
    stretched = (p - p.min()) / (p.max() - p.min())
    wanted = np.asarray(saved_by_pillow(stretched, Pillow.Resampling.BILINEAR))
    shown = protocol_of("minet").finish(p, IMAGE)
    assert np.array_equal(np.rint(shown * 255), wanted)
    # The error is of the file as it is, the structure measure of one that is stretched again.
    pair = pair_of()
    scores = score(shown, pair.mask, protocol_of("minet").scoring)
    assert scores.mae == pytest.approx(np.abs(wanted / 255 - pair.mask).mean())
    mae, s = MAE(), Smeasure()
    for metric in (mae, s):
        metric.step(wanted, pair.mask * 255)
    assert scores.s_measure == pytest.approx(s.get_results()["sm"])
    assert wanted.max() < 255  # so that it matters
    assert scores.mae != pytest.approx(mae.get_results()["mae"], abs=1e-5)
    above = (shown - shown.min()) / (shown.max() - shown.min())
    over = above >= 2 * above.mean()
    union = np.count_nonzero(over | (pair.mask > 0))
    assert scores.overlap_ratio == np.count_nonzero(over & (pair.mask > 0)) / union


def test_csepnets_maps_are_cut_off_and_take_the_nearest_pixel() -> None:
    shown = protocol_of("csepnet").finish(answer(), IMAGE)
    wanted = np.asarray(saved_by_pillow(answer(), Pillow.Resampling.NEAREST))
    assert np.array_equal(np.rint(shown * 255), wanted)


def test_nadinets_maps_are_jpegs_in_which_only_white_counts() -> None:
    p, file = answer(), BytesIO()
    stretched = (p - p.min()) / (p.max() - p.min())
    saved_by_pillow(stretched, Pillow.Resampling.BILINEAR).save(file, "JPEG")
    grey = np.asarray(Pillow.open(file))
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    shown = protocol_of("nadinet").finish(p, IMAGE)
    assert set(np.unique(shown)) == {0, 1}
    above = grey > level
    # The second JPEG rings round every edge, and what is not quite white falls away.
    assert not (shown > 0)[~above].any()
    assert 0.5 < np.count_nonzero(shown) / np.count_nonzero(above) < 1
    levels = np.array([[254, 255, 128]], np.uint8)
    assert protocol_of("nadinet").masked(levels, (1, 3)).tolist() == [[0, 1, 0]]
    assert protocol_of("line").masked(levels, (1, 3)).tolist() == [[1, 1, 1]]


def test_lsanet_counts_at_the_networks_size_and_a_sound_image_as_no_dice() -> None:
    protocol, p = protocol_of("lsanet"), answer()
    pairs = [pair_of(0), Pair("sound", np.full(IMAGE, 1, np.uint8), np.zeros(IMAGE, np.uint8))]
    maps = {0: p, 1: p * 0}
    cases = cases_of(lambda image: Said(maps[int(image[0, 0])]), pairs, protocol)
    found, sound = score_cases(cases, protocol.scoring)
    mask = cv2.resize(pairs[0].mask, (NETWORK_PX, NETWORK_PX), interpolation=cv2.INTER_NEAREST)
    said = p > 0.5
    assert found.confusion.tp == np.count_nonzero(said & (mask > 0))
    assert found.confusion.fp == np.count_nonzero(said & (mask == 0))
    assert (sound.dice, sound.confusion.iou) == (0, 1)
    assert summarise([found, sound])["dice"] == found.dice / 2


def test_dms_measures_its_error_to_grey_masks(tmp_path: Path) -> None:
    levels = (pair_of().mask * 200).astype(np.uint8)
    protocol, p = protocol_of("dms"), answer()
    [case] = cases_of(lambda image: Said(p), [pair_of(0, levels)], protocol)
    [scores] = score_cases([case], protocol.scoring)
    shown = np.floor(cv2.resize(p, IMAGE[::-1]).astype(np.float64) * 255) / 255
    assert scores.mae == pytest.approx(np.abs(shown - levels / 255).mean())
    WRITERS["magnetic_tile"](tmp_path)
    assert all(pair.levels is None for pair in read(tmp_path, "magnetic_tile"))
    assert all(pair.levels is not None for pair in read(tmp_path, "magnetic_tile", levels=True))


def test_all_sides_together_are_said_to_hold_what_was_trained_on(tmp_path: Path) -> None:
    WRITERS["sd900"](tmp_path / "data")
    pairs = read(tmp_path / "data", "sd900")
    for pair in pairs:
        write(tmp_path / "maps" / f"{pair.name}.png", pair.mask * 255)
    every = maps_on(tmp_path / "maps", DataChoice(tmp_path / "data", None, "all"))
    assert every.taught == sum(pair.split != "test" for pair in pairs) > 0
    for pair in pairs:
        if pair.split != "test":
            (tmp_path / "maps" / f"{pair.name}.png").unlink()
    assert maps_on(tmp_path / "maps", DataChoice(tmp_path / "data", None, "test")).taught == 0


def test_an_unknown_protocol_lists_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="choose one of line, float, minet, csepnet, nadinet"):
        protocol_of("edrnet")
