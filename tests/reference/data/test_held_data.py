"""Images held on a device: the same variations as the host's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from edge.simulation import SimulatedLine
from reference.data import Augmentation, Pair, Source, batch
from reference.data.augment import Effect
from reference.data.held import HeldData
from stands.tiny_recipe import CPU, SIDE

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever


STILL = Augmentation(noise=None)  # each pixel's noise is drawn where the pixel is


@pytest.mark.parametrize(
    "augment",
    [
        STILL.model_copy(update={"quarter_turns": False, "mirror": ()}),
        STILL,
        STILL.model_copy(update={"mirror": ("horizontal", "vertical"), "rotate_deg": 30}),
        STILL.model_copy(
            update={
                "stretch": 90,
                "colour": Effect(range=(0.8, 1.2)),
                "low_contrast": Effect(range=(0.3, 0.9)),
            }
        ),
    ],
)
def test_a_device_shows_the_views_that_the_host_shows(augment: Augmentation) -> None:
    """To within what two interpolations differ from one."""
    sources = []
    for seed, (width, height) in enumerate([(80, 100), (120, 70)]):
        image, labels = SimulatedLine(seed, width_px=width, defects_per_metre=40).render(0, height)
        pairs = [Pair(str(seed), cv2.GaussianBlur(image, (5, 5), 0), (labels > 0).astype(np.uint8))]
        sources.append(Source(pairs, 4, (0.8, 1.6), augment))
    host = batch(sources, seed=3, iteration=1, crop=SIDE)
    held = HeldData(sources, CPU)
    images, masks, class_names, _ = held.cut(held.plan(1, seed=3, crop=SIDE), crop=SIDE)
    assert class_names == host.class_names
    assert images.dtype == masks.dtype == torch.uint8
    apart = np.abs(images.numpy().astype(int) - host.images)
    assert apart.mean() < 1.5
    assert np.mean(masks.numpy() != host.masks) < 0.02


def test_a_device_shows_colour_as_the_host_does_a_lamp_for_each_channel() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (SIDE, SIDE))
    lamp = STILL.model_copy(update={"colour": Effect(range=(0.5, 1.0)), "quarter_turns": False})
    source = Source([Pair("a", picture, np.zeros((SIDE, SIDE), np.uint8))], 4, (1.0, 1.0), lamp)
    host = batch([source], seed=3, iteration=1, crop=SIDE).images
    held = HeldData([source], CPU)
    images = held.cut(held.plan(1, seed=3, crop=SIDE), crop=SIDE).images.numpy()
    assert images.shape == host.shape == (4, SIDE, SIDE, 3)
    assert np.abs(images.astype(int) - host).mean() < 1.5
    gains = host.mean(axis=(1, 2)) / picture.mean(axis=(0, 1))
    assert np.ptp(gains, axis=1).min() > 0.01  # of blue, green and red each its own


def test_noise_on_a_device_is_as_strong_as_on_the_host() -> None:
    effects = {"noise": Effect(range=(0.03, 0.03)), "salt_and_pepper": Effect(range=(0.1, 0.1))}
    nothing_else = dict.fromkeys(("gamma", "gain", "offset", "illumination"))
    grey = Pair("a", np.full((SIDE, SIDE), 128, np.uint8), np.zeros((SIDE, SIDE), np.uint8))
    source = Source([grey], 4, (1.0, 1.0), Augmentation(**effects, **nothing_else))
    held = HeldData([source], CPU)
    first, again, other = (
        held.cut(held.plan(number, seed=0, crop=SIDE), crop=SIDE).images for number in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    host = batch([source], seed=0, iteration=0, crop=SIDE).images
    for images in (first.numpy(), host):
        grains = (images == 0) | (images == 255)
        assert grains.mean() == pytest.approx(0.1, abs=0.01)
        assert images[~grains].std() == pytest.approx(0.03 * 255, rel=0.05)
