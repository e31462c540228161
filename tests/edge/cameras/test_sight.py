"""Which pictures are believed: rail that moved is new, a picture that is coded again is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.cameras.sight import Sight
from edge.errors import CameraError
from edge.simulation import SURFACES, SimulatedLine, SurfaceKind
from edge.types import Image

HEIGHT, UM = 352, 250
NEW, AGAIN, DOUBTED = "new", "again", "doubted"


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
            assert "the same picture again" in str(error)
            return AGAIN
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
        *(NEW, AGAIN, AGAIN, DOUBTED, DOUBTED),
        *(NEW, AGAIN),
        *(DOUBTED, DOUBTED, NEW, NEW),
    ]


def test_in_colour_the_same_holds() -> None:
    camera = Camera(step_rows=80)
    images = [np.dstack([rail(7, "rail", row)] * 3) for row in (0, 80, 160)]
    brighter = np.asarray(np.minimum(images[2].astype(np.uint16) + 20, 255), np.uint8)
    assert [camera.show(image) for image in [*images, brighter]] == [NEW, NEW, NEW, AGAIN]
