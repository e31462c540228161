"""Images that show one surface: re-encoded, relit, turned, mirrored, or a little shifted.

A perceptual hash finds each image's nearest others; what it finds is laid over the image. The hash
is the low part of a cosine transform, in which a mirror image has some signs changed and a turned
one is transposed: all eight positions come of one transform.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Image

ALIKE = 0.88  # correlation of fine structure, from which on it is one surface

_FREQUENCIES = 8  # of each direction
_THUMB = 64  # pixels a side of what is laid over
_FINE = 4  # of them: what is coarser is lighting
_FLAT = 3  # grey levels of contrast that say nothing
_SHIFT = 4  # of the thumbnail's pixels, to each side
_NEIGHBOURS, _NEAR = 8, 0.3  # looked at for each image, and the least cosine of their hashes
_CHUNK = 256  # images at a time

Hash = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of an image to compare it by."""

    digest: bytes  # of the pixels
    hash: Hash  # frequencies down, frequencies across
    structure: NDArray[np.float32]  # a thumbnail without lighting, its contrast the same all over


@dataclass(frozen=True)
class Twins:
    """Two images of one surface, by their places in the list."""

    first: int
    second: int
    alike: float  # 1: the same pixels


def fingerprint(image: Image) -> Fingerprint:
    """The fingerprint of a grey image."""
    thumb = cv2.resize(image, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = cv2.resize(thumb, (_THUMB // 2, _THUMB // 2), interpolation=cv2.INTER_AREA)
    fine = thumb - cv2.GaussianBlur(thumb, (0, 0), _FINE)
    contrast = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), _FINE))
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
    return Fingerprint(
        digest, _weighted(np.asarray(cv2.dct(small))), np.asarray(fine / (contrast + _FLAT))
    )


def _weighted(transform: NDArray[np.floating]) -> Hash:
    """The low part, evened out: in pictures of surfaces, strength falls with frequency."""
    f = np.arange(_FREQUENCIES)
    low = transform[:_FREQUENCIES, :_FREQUENCIES] * np.hypot(f[:, None], f)
    length = np.linalg.norm(low)
    return np.asarray(low / length if length > 1e-3 else low * 0, np.float32)


def find_twins(prints: Sequence[Fingerprint], sides: Sequence[str]) -> list[Twins]:
    """Pairs that show one surface, the most alike first.

    Of a surface that is there dozens of times not every pair is found, but on each side some are,
    and some between two sides.
    """
    found = dict.fromkeys(_same_pixels(prints), 1.0)
    for i, j, position in _near(prints, np.array(sides)):
        pair = (min(i, j), max(i, j))
        if pair not in found:
            placed = _in_position(prints[j].structure, position)
            found[pair] = _correlation(prints[i].structure, placed)
    twins = [Twins(*pair, alike) for pair, alike in found.items() if alike >= ALIKE]
    return sorted(twins, key=lambda t: (-t.alike, t.first, t.second))


def _same_pixels(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Each image with the last before it that has the same pixels."""
    last: dict[bytes, int] = {}
    for number, one in enumerate(prints):
        if one.digest in last:
            yield last[one.digest], number
        last[one.digest] = number


def _near(prints: Sequence[Fingerprint], sides: NDArray[np.str_]) -> Iterator[tuple[int, int, int]]:
    """Each image with those of its side, and of others, whose hash in some position is nearest."""
    if len(prints) < 2:
        return
    hashes = np.stack([one.hash for one in prints])
    placed = np.stack([_hash_in_position(hashes, p) for p in range(8)], axis=1)
    flat = placed.reshape(len(prints) * 8, -1)
    count = min(_NEIGHBOURS, len(prints))
    for start in range(0, len(prints), _CHUNK):
        some = hashes[start : start + _CHUNK].reshape(-1, _FREQUENCIES**2)
        cosine = (some @ flat.T).reshape(len(some), len(prints), 8)
        position, best = cosine.argmax(axis=2), cosine.max(axis=2)
        best[np.arange(len(some)), np.arange(start, start + len(some))] = -1  # itself
        is_own = sides[start : start + _CHUNK, None] == sides
        for among in (np.where(is_own, best, -1), np.where(is_own, -1, best)):
            nearest = np.argpartition(-among, count - 1, axis=1)[:, :count]
            for row, others in enumerate(nearest):
                for other in others[among[row, others] > _NEAR]:
                    yield start + row, int(other), int(position[row, other])


def _hash_in_position(hashes: Hash, position: int) -> Hash:
    """The hashes of pictures that are transposed, upside down and mirrored, as the bits say."""
    signs = np.where(np.arange(_FREQUENCIES) % 2, -1, 1).astype(np.float32)
    if position & 4:
        hashes = np.swapaxes(hashes, -1, -2)
    if position & 2:
        hashes = hashes * signs[:, None]
    return hashes * signs if position & 1 else hashes


def _in_position(picture: NDArray[np.float32], position: int) -> NDArray[np.float32]:
    """The same of a picture."""
    if position & 4:
        picture = picture.T
    if position & 2:
        picture = picture[::-1]
    return np.ascontiguousarray(picture[:, ::-1] if position & 1 else picture)


def _correlation(structure: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """At the best of all small shifts."""
    inner = structure[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    return float(cv2.matchTemplate(other, inner, cv2.TM_CCOEFF_NORMED).max())
