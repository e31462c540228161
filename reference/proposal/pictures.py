"""The pictures that `new` writes: what the line's camera shows, and what a bundle may show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from edge.files.image_file import read_image, write_image
from edge.inspect.appearance import look_at
from edge.types import Image
from reference.data import Pair
from reference.data.check import Seen
from reference.data.pairs import read_pair, tiles
from reference.proposal.plan import Plan
from reference.proposal.sides import Sides

_MOST = 40  # pictures that the line's camera shows
_BEST_SHARE, _LEAST_SHARE, _MOST_SHARE = 0.12, 0.03, 0.4  # of a golden picture's pixels, marked
_MIRRORED = (2, 4)  # times a side, where no picture shows enough


def frames(sides: Sides, plan: Plan) -> list[Image]:
    """Held-out pictures in one size, as a camera has them: sound and defective in turn."""
    chosen = _in_turn(sides.held_out)
    if plan.tiles is None:
        shown = [cv2.resize(_read(one), (plan.size, plan.size)) for one in chosen[:_MOST]]
        return [np.asarray(image, np.uint8) for image in shown]
    usual, count = Counter(one.shape for one in chosen).most_common(1)[0]
    if count >= min(5, len(chosen)):
        return [_read(one) for one in chosen if one.shape == usual][:_MOST]
    side = plan.tiles
    large = [one for one in chosen if one.shape and min(one.shape[:2]) >= side]
    return [_read(one)[:side, :side] for one in large[:_MOST]]


def quality(shown: list[Image]) -> dict[str, float]:
    """The limits by which no picture is unfit to be judged, where the usual ones would be."""
    looks = [look_at(image) for image in shown]
    sharp = min(look.edges**2 for look in looks)
    texture = min(look.texture_share for look in looks)
    means = [float(image.mean()) for image in shown]
    burnt = max(float((image == 255).mean()) for image in shown)
    limits = {}
    if sharp < 16:
        limits["min_sharpness"] = round(sharp / 2, 2)
    if texture < 0.3:
        limits["min_texture_share"] = round(texture / 2, 3)
    if min(means) < 30:
        limits["dark_below"] = round(min(means) / 2, 1)
    if max(means) > 230:
        limits["bright_above"] = round((max(means) + 255) / 2, 1)
    if burnt > 0.2:
        limits["max_saturated_share"] = round(min(1.0, 1.3 * burnt), 2)
    return limits


def golden(sides: Sides, plan: Plan) -> Image:
    """What tells a right engine from a wrong one: a held-out picture with a good deal of defect; or
    else the surroundings of one, mirrored over and over, so that no seam is seen.
    """
    pairs = [part for one in sides.held_out if one.shows_defect for part in _parts(one, plan)]
    scaled = [_scaled(pair, plan.size) for pair in pairs]
    telling = [(i, m) for i, m in scaled if _LEAST_SHARE <= m.mean() <= _MOST_SHARE]
    if telling:
        return min(telling, key=lambda shown: abs(float(shown[1].mean()) - _BEST_SHARE))[0]
    image, mask = max(scaled, key=lambda shown: int(shown[1].sum()))
    for times in _MIRRORED:
        window = _round_defect(mask, plan.size // times)
        if mask[window].mean() >= _LEAST_SHARE:
            break
    patch = image[window]
    for _ in range(times // 2):
        patch = np.hstack([patch, patch[:, ::-1]])
        patch = np.vstack([patch, patch[::-1]])
    return np.ascontiguousarray(patch[: plan.size, : plan.size])


def write_frames(folder: Path, shown: list[Image]) -> None:
    """By number, so that they come in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(shown, start=1):
        write_image(folder / f"{number:03}.png", image)


def _in_turn(held_out: tuple[Seen, ...]) -> list[Seen]:
    """Two sound ones, then one with a defect, as long as there are both."""
    showing = [one for one in held_out if one.shows_defect]
    sound = [one for one in held_out if not one.shows_defect]
    chosen = []
    while showing or sound:
        chosen += [sound.pop(0) for _ in range(min(2, len(sound)))]
        chosen += [showing.pop(0) for _ in range(min(1, len(showing)))]
    return chosen


def _read(one: Seen) -> Image:
    return read_image(one.sample.image, colour=False)


def _parts(one: Seen, plan: Plan) -> list[Pair]:
    pair = read_pair(one.sample)
    parts = [pair] if plan.tiles is None else tiles(pair, plan.tiles)
    return [part for part in parts if part.mask.any()] or [pair]


def _scaled(pair: Pair, size: int) -> tuple[Image, Image]:
    """An image and its mask, as the network is shown them."""
    image = cv2.resize(pair.image, (size, size), interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(pair.mask, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(image, np.uint8), np.asarray(mask, np.uint8)


def _round_defect(mask: Image, side: int) -> tuple[slice, slice]:
    """A square about the middle of what is marked."""
    top, left = (
        int(np.clip(np.median(places) - side / 2, 0, length - side))
        for places, length in zip(np.nonzero(mask), mask.shape, strict=True)
    )
    return slice(top, top + side), slice(left, left + side)
