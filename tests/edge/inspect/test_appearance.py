"""Pictures that cannot be of the surface, by themselves and against a commissioning; sound ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from edge.inspect import faults, look_at, usual_of
from edge.inspect.appearance import Familiar, Usual
from edge.line_file import Quality
from edge.simulation import SURFACES, SimulatedLine, SurfaceKind
from edge.types import Frame, Image, Stretch

SIZE = 352


def rail(seed: int, surface: SurfaceKind, pictures: range) -> list[Image]:
    """With defects, and with what looks like some."""
    line = SimulatedLine(seed, surface, defects_per_metre=2, distractors_per_metre=2)
    return [line.render(SIZE * number, SIZE)[0] for number in pictures]


def reasons(image: Image, inside: Image | None = None) -> tuple[str, ...]:
    return faults(Frame(0, image, 0, Stretch(0, 88_000), 250), Quality(), 0, inside)


def coded(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def grown(image: Image, times: int) -> Image:
    """As a camera gives it that scales up what its sensor shows."""
    shape = tuple(times * length for length in image.shape[::-1])
    return np.asarray(cv2.resize(image, shape), np.uint8)


@pytest.mark.parametrize("deviation", [4, 12, 40, 200])
@pytest.mark.parametrize("size", [(64, 48), (353, 350), (1000, 600)])
def test_noise_is_unknown_however_weak_and_whatever_a_codec_makes_of_it(
    deviation: int, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(1).normal(128, deviation, size)
    image = np.asarray(np.clip(noise, 0, 254), np.uint8)
    for shown in (image, coded(image, 90), coded(image, 40), grown(image, 2)):
        assert any(reason.startswith("noise: ") for reason in reasons(shown))


@pytest.mark.parametrize("surface", SURFACES)
def test_a_surface_is_no_noise_behind_a_codec_or_in_part_either(surface: SurfaceKind) -> None:
    inside = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(inside, [np.array([[40, 0], [300, 0], [330, 351], [60, 351]])], (255,))
    for seed in range(25):
        for image in rail(seed, surface, range(2)):
            assert reasons(image) == reasons(coded(image, 60)) == reasons(image, inside) == ()


class Trouble(NamedTuple):
    """What becomes of a camera's pictures, and within how many of them it is known."""

    make: Callable[[Image], Image]
    within: int
    why: str


def noisy(image: Image) -> Image:
    noise = np.random.default_rng(int(image.sum())).normal(0, 15, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


ANOTHER = SimulatedLine(31, "strip")
TROUBLES = {
    "noisy": Trouble(noisy, 1, "noise"),
    "half snow": Trouble(lambda image: np.vstack([image[:176], 97 * image[176:]]), 1, "noise"),
    "out of focus": Trouble(lambda image: np.asarray(cv2.blur(image, (5, 5))), 1, "contrast"),
    "shifted": Trouble(lambda image: np.roll(image, 24, axis=1), 8, "shifted, turned or another"),
    "mirrored": Trouble(lambda image: image[:, ::-1].copy(), 8, "shifted, turned or another"),
    "another camera's": Trouble(
        lambda image: ANOTHER.render(int(image.sum()) % 10_000, SIZE)[0], 8, "unfamiliar"
    ),
}


@pytest.fixture(scope="module")
def commissioned() -> Usual:
    return usual_of([look_at(image) for image in rail(103, "rail", range(100))])


def said(usual: Usual, images: Sequence[Image]) -> list[tuple[str, ...]]:
    familiar = Familiar(usual, Quality().max_change)
    return [familiar.faults(look_at(image)) for image in images]


def test_rail_as_it_was_commissioned_is_familiar_with_its_defects(commissioned: Usual) -> None:
    assert set(said(commissioned, rail(103, "rail", range(100, 300)))) == {()}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_looks_otherwise_than_at_the_commissioning_is_told_by_what_it_is(
    trouble: str, commissioned: Usual
) -> None:
    make, within, why = TROUBLES[trouble]
    sound = rail(103, "rail", range(400, 424))
    told = said(commissioned, [*sound[:8], *(make(image) for image in sound[8:])])
    assert set(told[:8]) == {()}
    assert all(any(why in reason for reason in each) for each in told[7 + within :])


def test_a_lamp_that_ages_by_a_fifth_is_familiar(commissioned: Usual) -> None:
    dimmed = [np.asarray(image * 0.8, np.uint8) for image in rail(103, "rail", range(40))]
    assert set(said(commissioned, dimmed)) == {()}


def test_a_picture_that_shows_nothing_is_not_held_against_those_after_it(
    commissioned: Usual,
) -> None:
    rails = rail(103, "rail", range(60))
    familiar, told = Familiar(commissioned, Quality().max_change), []
    for number, image in enumerate(rails):
        shown = image // 16 if number % 3 == 1 else noisy(image) if number % 3 == 2 else image
        frame = Frame(number, shown, 0, Stretch(0, 88_000), 250)
        told.append(faults(frame, Quality(), 0, None, familiar))
    assert {bool(each) for each in told[1::3] + told[2::3]} == {True}
    assert set(told[::3]) == {()}
