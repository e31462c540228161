"""Which pictures are believed: rail that moved is new, a picture that is coded again is not."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from edge.cameras.sight import Sight
from edge.errors import CameraError
from edge.simulation import SURFACES, SimulatedLine, SurfaceKind
from edge.types import Image

HEIGHT, UM = 352, 250
NEW, AGAIN, DOUBTED, AGAINST = "new", "again", "doubted", "against the rail"


class Camera:
    """What becomes of the pictures that a camera shows while the rail moves by `step_rows`."""

    def __init__(self, step_rows: int) -> None:
        self._sight = Sight(lambda _: (), along_um=UM, blind_um=10**9)
        self._step_um, self._position_um = step_rows * UM, 0

    def show(self, image: Image) -> str:
        self._position_um += self._step_um
        try:
            self._sight.check(image, self._position_um)
        except CameraError as error:
            assert re.search("the same picture again|moves against the rail", str(error))
            return AGAIN if "again " in str(error) else AGAINST
        return DOUBTED if self._sight.is_doubted else NEW


def coded(image: Image, quality: int) -> Image:
    """As a lossy codec gives it back."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def rail(seed: int, surface: SurfaceKind, start_row: int) -> Image:
    image, _ = SimulatedLine(seed, surface).render(start_row, HEIGHT)
    return image


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("step_rows", [1, 2, 7, 8, 33, 272, 352])
def test_sound_rail_that_moves_is_new_at_any_speed(surface: SurfaceKind, step_rows: int) -> None:
    """Its pictures overlap, or do not; a codec may take its noise away."""
    for seed in range(4):
        plain, lossy = Camera(step_rows), Camera(step_rows)
        for number in range(10):
            image = rail(seed, surface, number * step_rows)
            assert (plain.show(image), lossy.show(coded(image, 50))) == (NEW, NEW)


def test_what_stands_still_beside_the_rail_is_not_taken_for_it() -> None:
    camera, beside = Camera(step_rows=33), rail(3, "strip", 0)[:, :264]
    for number in range(10):
        image = np.hstack([beside, rail(7, "rail", number * 33)[:, :88]])
        assert camera.show(image) == NEW


@pytest.mark.parametrize("step_rows", [3, 8, 80])
def test_a_picture_that_is_coded_again_is_not_new_however_it_is_coded(step_rows: int) -> None:
    camera, still = Camera(step_rows), rail(7, "rail", 0)
    moved = [camera.show(rail(7, "rail", 1000 + n * step_rows)) for n in range(6)]
    qualities = np.random.default_rng(0).integers(70, 96, 100).tolist()
    shown = [camera.show(coded(still, quality)) for quality in qualities]
    assert moved == [NEW] * 6
    until_known = shown.index(AGAIN)
    assert (until_known - 1) * step_rows < 16  # it is compared each 8 rows
    assert NEW not in shown[until_known:]


def test_a_camera_that_froze_is_believed_when_three_pictures_in_a_row_are_new() -> None:
    camera, number = Camera(step_rows=80), iter(range(0, 8000, 80))
    shown = [camera.show(image) for image in [rail(7, "rail", next(number))] * 3]
    shown += [camera.show(rail(7, "rail", next(number))) for _ in range(2)]
    shown += [camera.show(image) for image in [rail(7, "rail", next(number))] * 2]
    shown += [camera.show(rail(7, "rail", next(number))) for _ in range(4)]
    assert shown == [
        *(NEW, AGAIN, DOUBTED, DOUBTED, DOUBTED),
        *(NEW, AGAIN),
        *(DOUBTED, DOUBTED, NEW, NEW),
    ]


@pytest.mark.parametrize("how", ["to the bit", "coded", "under noise"])
def test_a_camera_that_begins_with_one_picture_each_time_is_believed_and_one_that_froze_never(
    how: str,
) -> None:
    chance = np.random.default_rng(3)
    camera, frozen = Camera(step_rows=272), Camera(step_rows=272)

    def shown(number: int) -> Image:
        image = rail(7, "rail", number * 272)
        if how == "coded":
            return coded(image, int(chance.integers(70, 96)))
        return noisy(image, 3, chance) if how == "under noise" else image

    said = [camera.show(shown(number)) for number in (0, 1, 1)]  # and is opened anew
    assert said == [NEW, NEW, AGAIN]
    said = [camera.show(shown(number)) for number in (1, 2, 3, 4, 5, 6)]
    assert said == [*[DOUBTED] * 3, *[NEW] * 3]
    said = [frozen.show(shown(number)) for number in (0, *[1] * 20)]
    assert said[:2] == [NEW, NEW] and NEW not in said[2:]
    assert said[2::2] == [AGAIN] * 10  # it is opened anew for ever


def noisy(image: Image, deviation: float, chance: np.random.Generator) -> Image:
    noise = chance.normal(0, deviation, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


@pytest.mark.parametrize("step_rows", [10, 80, 352])
@pytest.mark.parametrize("surface", SURFACES)
def test_a_picture_that_is_shown_again_under_noise_and_jolted_is_not_new(
    surface: SurfaceKind, step_rows: int
) -> None:
    """As a camera shows it that froze behind its own gain, or whose maker pans a still picture."""
    chance = np.random.default_rng(2)
    camera, start = Camera(step_rows), 1000
    moved = [camera.show(rail(7, surface, start + n * step_rows)) for n in range(12)]
    still, shown = rail(7, surface, start + 12 * step_rows), []
    for _ in range(600 // step_rows + 8):
        jolted = np.roll(still, chance.integers(-8, 9, 2), (0, 1))
        shown.append(camera.show(noisy(jolted, 8, chance)))
    assert set(moved) == {NEW}
    until_known = shown.index(AGAIN)
    assert until_known * step_rows < 48 + 2 * max(48, step_rows)
    assert shown[until_known:].count(NEW) <= len(shown) // 20  # the noise may hide it once


@pytest.mark.parametrize("surface", SURFACES)
def test_rail_under_noise_is_new(surface: SurfaceKind) -> None:
    chance = np.random.default_rng(2)
    for seed in range(5):
        camera = Camera(step_rows=60)
        images = [rail(seed, surface, 60 * number) for number in range(12)]
        assert {camera.show(noisy(image, 8, chance)) for image in images} == {NEW}


@pytest.mark.parametrize("surface", SURFACES)
def test_a_camera_that_is_upside_down_moves_against_the_rail(surface: SurfaceKind) -> None:
    camera = Camera(step_rows=60)
    shown = [camera.show(rail(7, surface, 60 * number)[::-1].copy()) for number in range(8)]
    assert shown == [NEW, *[AGAINST, DOUBTED] * 3, AGAINST]


def test_in_colour_the_same_holds() -> None:
    camera = Camera(step_rows=80)
    images = [np.dstack([rail(7, "rail", row)] * 3) for row in (0, 80, 160)]
    brighter = np.asarray(np.minimum(images[2].astype(np.uint16) + 20, 255), np.uint8)
    assert [camera.show(image) for image in [*images, brighter]] == [NEW, NEW, NEW, AGAIN]
