"""What lies on the surface: the papers' defects, and the distractors that must not be rejected.

Each painter draws one blemish as `coverage` (0..1, how much of a pixel it takes) and `shade` (the
change in grey levels where it covers). Sizes are in millimetres and drawn from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
_LETTER_PX = 22  # of the brush's letters, at size 1
_OVERSAMPLING = 4  # lines and outlines are drawn this much finer, then averaged to coverage


@dataclass(frozen=True, eq=False)
class Paint:
    """One blemish on its own small canvas."""

    coverage: Map
    shade: Map
    # Whether `shade` multiplies the surface, the coverage included, and may reach beyond the mask.
    factor: bool = False

    def cover(self, grey: Map, part: tuple[slice, slice]) -> None:
        """Paint a part of itself on as large a part of a surface, in grey levels."""
        if self.factor:
            grey *= 1 + self.shade[part]
        else:
            grey += self.coverage[part] * self.shade[part]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The pixels that the blemish takes at least half of."""
        return self.coverage >= 0.5

    @property
    def outline(self) -> NDArray[np.bool_]:
        """Its mask, or of one so fine that it takes half of no pixel those it takes most of."""
        mask = self.mask
        return mask if mask.any() else self.coverage >= self.coverage.max() / 2


Painter = Callable[[np.random.Generator, float], Paint]  # (generator, pixels a millimetre)


def scratch(rng: np.random.Generator, scale: float) -> Paint:
    """A thin bright or dark line, nearly along the rail."""
    length, lean = rng.uniform(15, 60), rng.normal(0, 0.12)
    y = np.linspace(0, length, 8)
    x = lean * y + np.cumsum(rng.normal(0, 0.15, y.size))
    coverage = draw_lines([np.stack([x, y], 1)], rng.uniform(0.7, 1.6), scale)
    sign = 1 if rng.random() < 0.7 else -1
    return Paint(coverage, _flat(coverage, sign * rng.uniform(22, 50)))


def inclusion(rng: np.random.Generator, scale: float) -> Paint:
    """Dark spindles rolled out along the rail."""
    lines, start = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        length, x = rng.uniform(8, 22), rng.uniform(0, 4)
        lines.append(np.array([[x, start], [x + rng.normal(0, 0.4), start + length]]))
        start += rng.uniform(0.4, 0.9) * length
    coverage = draw_lines(lines, rng.uniform(1.2, 3.0), scale)
    return Paint(coverage, _flat(coverage, -rng.uniform(28, 60)))


def patch(rng: np.random.Generator, scale: float) -> Paint:
    """An irregular dark blotch with a mottled inside and a definite edge."""
    coverage = blob(rng, rng.uniform(10, 28), rng.uniform(8, 22), scale, edge_mm=0.4)
    mottle = smooth_noise(rng, coverage.shape, 1.2 * scale)
    shade = -rng.uniform(24, 45) + rng.uniform(4, 9) * mottle
    return Paint(coverage, np.asarray(shade, np.float32))


def crack(rng: np.random.Generator, scale: float) -> Paint:
    """A jagged dark line across the rail, sometimes with a branch."""
    length, steps = rng.uniform(10, 35), 14
    x = np.linspace(0, length, steps)
    y = np.cumsum(rng.normal(0, 0.9, steps))
    lines = [np.stack([x, y], 1)]
    if rng.random() < 0.5:
        root, reach = int(rng.integers(3, steps - 3)), rng.uniform(3, 8)
        branch = np.linspace(0, reach, 5)
        jitter = np.cumsum(rng.normal(0, 0.3, 5))
        lines.append(np.stack([x[root] + 0.5 * branch + jitter, y[root] + branch], 1))
    coverage = draw_lines(lines, rng.uniform(0.7, 1.3), scale)
    return Paint(coverage, _flat(coverage, -rng.uniform(45, 80)))


def spall(rng: np.random.Generator, scale: float) -> Paint:
    """A pit: dark floor, the far wall catching the lamp."""
    coverage = blob(rng, rng.uniform(6, 16), rng.uniform(6, 14), scale, edge_mm=0.2)
    wall = cv2.Sobel(cv2.GaussianBlur(coverage, (0, 0), 0.6 * scale), cv2.CV_32F, 0, 1) * scale
    floor = -rng.uniform(35, 65) + 5 * smooth_noise(rng, coverage.shape, 0.6 * scale)
    return Paint(
        coverage, np.asarray(floor - rng.uniform(20, 40) * np.clip(wall, -1, 1), np.float32)
    )


def grease(rng: np.random.Generator, scale: float) -> Paint:
    """Distractor: a dark film whose edge fades over many millimetres."""
    coverage = blob(rng, rng.uniform(25, 60), rng.uniform(20, 45), scale, edge_mm=5.0)
    return Paint(coverage, _flat(coverage, -rng.uniform(12, 35)))


def rust(rng: np.random.Generator, scale: float) -> Paint:
    """Distractor: a haze of fine speckle, without an outline."""
    coverage = blob(rng, rng.uniform(20, 50), rng.uniform(15, 40), scale, edge_mm=4.0)
    speckle = smooth_noise(rng, coverage.shape, 0.5 * scale)
    return Paint(
        coverage, np.asarray(-rng.uniform(4, 12) + rng.uniform(4, 9) * speckle, np.float32)
    )


def weld(rng: np.random.Generator, scale: float) -> Paint:
    """Distractor: a ground weld, a soft band across the whole rail with ripples along it."""
    length, width = rng.uniform(14, 26), 200.0
    y = np.linspace(-1, 1, round(length * scale), dtype=np.float32)[:, None]
    ripple = np.sin(y * rng.uniform(8, 16)) * rng.uniform(2, 5)
    coverage = np.repeat(np.exp(-((y / 0.55) ** 2)), round(width * scale), 1)
    shade = np.repeat(rng.choice([-1, 1]) * rng.uniform(10, 22) + ripple, coverage.shape[1], 1)
    return Paint(coverage.astype(np.float32), shade.astype(np.float32))


def painted(rng: np.random.Generator, scale: float) -> Paint:
    """Distractor of some mills: a bright mark by a broad brush, a letter or two along or across."""
    word = "".join(rng.choice(list("AEHKLNTVXZ47"), int(rng.integers(1, 3))))
    height_mm, stroke_mm = rng.uniform(18, 30), rng.uniform(2.6, 4.2)
    fine = scale * _OVERSAMPLING
    size, thick = height_mm * fine / _LETTER_PX, max(1, round(stroke_mm * fine))
    (width, height), below = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, size, thick)
    margin = thick + _OVERSAMPLING
    columns, rows = (-(-(side + 2 * margin) // _OVERSAMPLING) for side in (width, height + below))
    canvas = np.zeros((rows * _OVERSAMPLING, columns * _OVERSAMPLING), np.uint8)
    cv2.putText(canvas, word, (margin, margin + height), cv2.FONT_HERSHEY_SIMPLEX, size, 255, thick)
    coverage = cv2.GaussianBlur(_average(canvas, rows, columns), (0, 0), max(0.3, 0.3 * scale))
    dry = smooth_noise(rng, coverage.shape, 0.7 * scale)  # a brush that leaves some of it bare
    shade = rng.uniform(45, 75) + rng.uniform(3, 8) * dry
    turns = int(rng.integers(4))
    return Paint(np.rot90(coverage, turns), np.rot90(np.asarray(shade, np.float32), turns))


DEFECTS: dict[str, Painter] = {
    "scratch": scratch,
    "inclusion": inclusion,
    "patch": patch,
    "crack": crack,
    "spall": spall,
}
DISTRACTORS: dict[str, Painter] = {"grease": grease, "rust": rust, "weld": weld}
PAINT = "paint"  # a distractor that is nowhere unless it is asked for: no shipped network knows it


def draw_lines(lines: list[NDArray[np.float64]], width_mm: float, scale: float) -> Map:
    """Coverage of polylines given as x,y in millimetres."""
    fine = scale * _OVERSAMPLING
    margin = width_mm + 1
    low = np.min([line.min(0) for line in lines], 0) - margin
    high = np.max([line.max(0) for line in lines], 0) + margin
    columns, rows = (np.ceil((high - low) * scale).astype(int)).tolist()
    canvas = np.zeros((rows * _OVERSAMPLING, columns * _OVERSAMPLING), np.uint8)
    points = [np.round((line - low) * fine).astype(np.int32) for line in lines]
    cv2.polylines(canvas, points, False, 255, max(1, round(width_mm * fine)))
    return _average(canvas, rows, columns)


def blob(
    rng: np.random.Generator, length_mm: float, width_mm: float, scale: float, *, edge_mm: float
) -> Map:
    """Coverage of a rounded outline, wobbling by harmonics, its edge softened over `edge_mm`."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = np.ones_like(angle)
    for harmonic in range(2, 7):
        swing, phase = rng.normal(0, 0.22 / harmonic), rng.uniform(0, 2 * np.pi)
        radius += swing * np.cos(harmonic * angle + phase)
    outline = (
        np.stack([radius * np.cos(angle) * width_mm, radius * np.sin(angle) * length_mm], 1) / 2
    )
    margin = 2 * edge_mm + 1
    low, high = outline.min(0) - margin, outline.max(0) + margin
    columns, rows = (np.ceil((high - low) * scale).astype(int)).tolist()
    canvas = np.zeros((rows * _OVERSAMPLING, columns * _OVERSAMPLING), np.uint8)
    points = np.round((outline - low) * scale * _OVERSAMPLING).astype(np.int32)
    cv2.fillPoly(canvas, [points], 255)
    coverage = _average(canvas, rows, columns)
    return np.asarray(cv2.GaussianBlur(coverage, (0, 0), max(0.3, edge_mm * scale)), np.float32)


def _average(canvas: NDArray[np.uint8], rows: int, columns: int) -> Map:
    small = cv2.resize(canvas, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small / np.float32(255), np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> Map:
    noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma_px)
    return np.asarray(noise / max(1e-6, float(noise.std())), np.float32)


def _flat(coverage: Map, grey: float) -> Map:
    return np.full_like(coverage, grey)
