"""The sound surface: rolled texture, light that is never even, sensor noise.

Everything is a function of the seed and of the absolute row, so any window of the rail can be
rendered on its own and neighbouring windows meet without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

SurfaceKind = Literal["rail", "strip", "track"]
SURFACES: tuple[SurfaceKind, ...] = ("rail", "strip")  # that the strip's network is taught by

_NOISE_ROWS = 64  # white noise is drawn in blocks of rows, each from its own seed
_STREAK_ROWS = 61  # rolling smears the texture along the rail


@dataclass(frozen=True)
class Appearance:
    """How one surface looks: grey levels and their swings."""

    tone: float
    streak: float  # grey levels of texture along the rolling direction
    grain: float  # grey levels of fine texture and sensor noise
    lamp: tuple[float, float, float]  # centre and fall-off across, swing along
    band: float  # running band of a rail against its shoulders; 0 on strip

    @classmethod
    def draw(cls, seed: int, kind: SurfaceKind) -> Appearance:
        rng = np.random.default_rng((seed, 1))
        return cls(
            tone=rng.uniform(95, 165),
            streak=rng.uniform(2.5, 7.0),
            grain=rng.uniform(2.0, 5.0),
            lamp=(rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.08)),
            band=rng.uniform(12, 30) if kind == "rail" else 0.0,
        )


def render_surface(
    appearance: Appearance, seed: int, start_row: int, rows: int, width: int
) -> NDArray[np.float32]:
    """The sound surface from `start_row` on, in grey levels (rows,width)."""
    halo = _STREAK_ROWS // 2
    noise = white_noise(seed, start_row - halo, rows + 2 * halo, width)
    # A box over n rows shrinks the deviation by sqrt(n); undo it to keep `streak` in grey levels.
    streaks = cv2.blur(noise, (1, _STREAK_ROWS)) * np.float32(_STREAK_ROWS**0.5)
    streaks = cv2.blur(streaks, (3, 1)) * np.float32(3**0.5)
    inner = np.s_[halo : halo + rows]
    grain = cv2.GaussianBlur(noise, (3, 3), 0.7)
    grey = (
        appearance.tone + appearance.streak * streaks[inner] + 2 * appearance.grain * grain[inner]
    )
    grey += appearance.band * _band(width)
    return np.asarray(grey * _light(appearance, start_row, rows, width), np.float32)


def white_noise(seed: int, start_row: int, rows: int, width: int) -> NDArray[np.float32]:
    first, last = start_row // _NOISE_ROWS, (start_row + rows - 1) // _NOISE_ROWS
    blocks = [
        # Blocks before the start of the run have negative numbers; seeds may not.
        np.random.default_rng((seed, 2, block + 2**31)).standard_normal(
            (_NOISE_ROWS, width), np.float32
        )
        for block in range(first, last + 1)
    ]
    offset = start_row - first * _NOISE_ROWS
    return np.concatenate(blocks)[offset : offset + rows]


def _band(width: int) -> NDArray[np.float32]:
    """+1 on the polished running band, -1 on the shoulders, with soft edges."""
    x = np.linspace(-1, 1, width, dtype=np.float32)
    return np.asarray(np.tanh((0.72 - np.abs(x)) * 9), np.float32)


def _light(appearance: Appearance, start_row: int, rows: int, width: int) -> NDArray[np.float32]:
    centre, fall_off, swing = appearance.lamp
    x = np.linspace(0, 1, width, dtype=np.float32)
    y = np.arange(start_row, start_row + rows, dtype=np.float64)
    across = 1 - fall_off * ((x - centre) / 0.5) ** 2
    along = 1 + swing * np.sin(y * (2 * np.pi / 2900)).astype(np.float32)
    return np.asarray(along[:, None] * across[None, :], np.float32)
