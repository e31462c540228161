"""Augmentation: geometry moves image and mask alike, light leaves the mask alone, off is off."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from reference.data import Augmentation
from reference.data import augment as augmentation
from reference.data.augment import Effect, Picture, augment
from stands.datasets_on_disk import SIDE, picture

NOTHING = Augmentation(
    quarter_turns=False,
    mirror=(),
    gamma=None,
    gain=None,
    offset=None,
    illumination=None,
    noise=None,
)
DRAWS = 30


def only(**settings: object) -> Augmentation:
    """One thing and nothing else."""
    return Augmentation.model_validate({**NOTHING.model_dump(), **settings})


def drawn(how: Augmentation, image: Picture, mask: Picture) -> list[tuple[Picture, Picture]]:
    rng = np.random.default_rng(0)
    return [augment(image, mask, rng, crop=SIDE, zoom=(1, 1), how=how) for _ in range(DRAWS)]


def test_without_anything_the_image_comes_out_as_it_went_in() -> None:
    image, mask = picture(1)
    for seen, marked in drawn(NOTHING, image, mask):
        assert np.array_equal(seen, image)
        assert np.array_equal(marked, mask)


@pytest.mark.parametrize(
    "settings",
    [
        {"quarter_turns": True},
        {"mirror": ["horizontal"]},
        {"mirror": ["vertical"]},
        {"rotate_deg": 10},
        {"stretch": 80},
    ],
)
def test_geometry_moves_the_image_with_its_mask(settings: dict[str, object]) -> None:
    _, mask = picture(5)
    variations = drawn(only(**settings), mask, mask)  # an image that is its own mask stays so
    for image, moved in variations:
        assert image.shape == moved.shape == (SIDE, SIDE)
        assert set(np.unique(moved)) <= {0, 255}
        assert np.mean((image > 127) != (moved > 127)) < 0.02  # rounding at the rim
    assert len({moved.tobytes() for _, moved in variations}) > 1


def test_a_mirror_has_its_direction() -> None:
    image, mask = picture(5)
    for direction, axis in (("horizontal", 1), ("vertical", 0)):
        seen = {
            variation.tobytes() for variation, _ in drawn(only(mirror=[direction]), image, mask)
        }
        assert seen == {image.tobytes(), np.flip(image, axis).tobytes()}


@pytest.mark.parametrize(
    ("name", "extent"),
    [
        ("gamma", (0.5, 0.6)),
        ("gain", (0.5, 0.6)),
        ("offset", (0.1, 0.2)),
        ("colour", (0.5, 0.6)),
        ("low_contrast", (0.2, 0.4)),
        ("illumination", (0.4, 0.5)),
        ("noise", (0.05, 0.06)),
        ("salt_and_pepper", (0.1, 0.2)),
    ],
)
def test_each_light_changes_the_image_alone(name: str, extent: tuple[float, float]) -> None:
    image, mask = picture(5)
    always = only(**{name: Effect(range=extent)})
    for seen, marked in drawn(always, image, mask):
        assert not np.array_equal(seen, image)
        assert np.array_equal(marked, mask)
    sometimes = only(**{name: Effect(chance=0.5, range=extent)})
    unchanged = sum(np.array_equal(seen, image) for seen, _ in drawn(sometimes, image, mask))
    assert 0 < unchanged < DRAWS


def test_lights_do_what_they_are_called() -> None:
    image, mask = picture(5)
    salted, _ = drawn(only(salt_and_pepper=Effect(range=(0.2, 0.2))), image, mask)[0]
    assert np.mean(salted != image) == pytest.approx(0.2, abs=0.03)
    assert np.mean(salted == 255) == pytest.approx(0.1, abs=0.03)
    faint, _ = drawn(only(low_contrast=Effect(range=(0.25, 0.25))), image, mask)[0]
    assert faint.std() == pytest.approx(image.std() / 4, rel=0.05)
    assert faint.mean() == pytest.approx(image.mean(), abs=1)
    colour = np.full((SIDE, SIDE, 3), 100, np.uint8)
    tinted, _ = drawn(only(colour=Effect(range=(0.5, 1.5))), colour, mask)[0]
    assert len(set(tinted[0, 0].tolist())) == 3
    assert (tinted == tinted[0, 0]).all()


def test_a_colour_image_takes_every_effect() -> None:
    image, mask = picture(5)
    every = Augmentation(
        rotate_deg=5,
        mirror=("horizontal", "vertical"),
        stretch=72,
        colour=Effect(range=(0.8, 1.2)),
        low_contrast=Effect(range=(0.5, 1)),
        illumination=Effect(range=(0.1, 0.4)),
        noise=Effect(range=(0.01, 0.02)),
        salt_and_pepper=Effect(range=(0.01, 0.02)),
    )
    for seen, marked in drawn(every, np.dstack([image] * 3), mask):
        assert seen.shape == (SIDE, SIDE, 3)
        assert marked.shape == (SIDE, SIDE)


def test_a_setting_without_sense_is_refused() -> None:
    for mistake in (
        {"mirror": ["sideways"]},
        {"noise": {"chance": 0, "range": [0, 1]}},
        {"hue": 1},
    ):
        with pytest.raises(ValidationError):
            Augmentation.model_validate(mistake)


@pytest.mark.parametrize(
    "turned", [{"quarter_turns": True}, {"mirror": ["horizontal", "vertical"]}]
)
def test_a_box_goes_where_its_pixels_go_and_says_if_it_goes_on(turned: dict[str, object]) -> None:
    image = np.zeros((150, 100), np.uint8)
    left, top, right, bottom = 30, 60, 60, 110
    image[top:bottom, left:right] = 255
    boxes = np.array([[3, left, top, right, bottom]], np.float32)
    how, cut_off = only(aim=1, **turned), 0
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        variation = augmentation.draw(
            image.shape, rng, crop=SIDE, zoom=(0.7, 1.5), how=how, aims=boxes
        )
        shown, plane = augmentation.varied(
            image, image, rng, variation=variation, crop=SIDE, how=how
        )
        (box,), ((across, along),) = augmentation.moved(boxes, variation, image.shape, crop=SIDE)
        rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert box[0] == 3 and box[1:] == pytest.approx(found, abs=1.1)
        assert np.mean((shown > 127) != (plane > 127)) < 0.02
        zoom = variation.size[0] / image.shape[1]
        whole = (50 * zoom, 30 * zoom) if variation.turns % 2 else (30 * zoom, 50 * zoom)
        shares = np.ptp(found[::2]) / whole[0], np.ptp(found[1::2]) / whole[1]
        for goes_on, share in zip((across, along), shares, strict=True):
            assert goes_on == (share < 0.8) or abs(share - 0.8) < 0.08  # pixels are whole
        cut_off += across or along
    assert 0 < cut_off < DRAWS
