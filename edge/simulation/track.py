"""Track in service as a line-scan camera shows it: a dark picture, a bright head, what wears on it.

The names are RailDefect's, whose pictures it is modelled on; a network that is trained on those is
trained, tested and shown on these. Unlike strip, shades are factors: the same dent is nearly black
on a rail in the sun and in the shade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.simulation.blemishes import Map, Paint, Painter, blob, draw_lines, smooth_noise
from edge.simulation.surface import white_noise

HEAD_MM = 70.0
_HALO_ROWS = 24  # drawn beyond both ends of a window, so that it meets its neighbours
_DASH_PX = (2.6, 1.1)  # of the noise whose peaks are specks: across, along
_DASH_DEVIATION = 1 / math.sqrt(4 * math.pi * _DASH_PX[0] * _DASH_PX[1])  # white noise, blurred


@dataclass(frozen=True)
class TrackAppearance:
    """How one rail looks: grey levels, and factors of them."""

    tone: float  # grey level of the head
    beside: float  # grey level of everything else
    band: tuple[float, float, float]  # the running band: its middle and width across, its factor
    edge: float  # how soft the band's edges are, of the head's width
    falling: float  # how much darker one side of the head is
    streak: float  # texture along the rail
    grain: float
    specks: float  # the share of the head that short dark dashes take
    sway_px: float

    @classmethod
    def draw(cls, seed: int) -> TrackAppearance:
        rng = np.random.default_rng((seed, 11))
        return cls(
            tone=float(np.exp(rng.uniform(np.log(28), np.log(115)))),
            beside=rng.uniform(1, 5),
            band=(rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.7), rng.uniform(1.05, 2.4)),
            edge=rng.uniform(0.01, 0.12),
            falling=rng.uniform(-0.4, 0.4),
            streak=rng.uniform(0.03, 0.12),
            grain=rng.uniform(0.04, 0.22),
            specks=rng.uniform(0.0005, 0.006),
            sway_px=rng.uniform(0, 8),
        )


def render_track(
    seed: int, start_row: int, rows: int, width: int, um_per_px: int
) -> NDArray[np.float32]:
    """The sound rail from `start_row` on, in grey levels (rows,width)."""
    appearance = TrackAppearance.draw(seed)
    halo = _HALO_ROWS
    noise = white_noise(seed, start_row - halo, rows + 2 * halo, width)
    streaks = cv2.blur(noise, (3, 2 * halo + 1)) * np.float32((3 * (2 * halo + 1)) ** 0.5)
    inner = np.s_[halo : halo + rows]
    texture = 1 + appearance.streak * streaks[inner] + appearance.grain * noise[inner]
    dashes = white_noise(seed + 1, start_row - halo, rows + 2 * halo, width)
    blurred = cv2.GaussianBlur(dashes, (0, 0), _DASH_PX[0], sigmaY=_DASH_PX[1])[inner]
    limit = _DASH_DEVIATION * NormalDist().inv_cdf(1 - appearance.specks)
    texture *= 1 - 0.75 * np.clip((blurred - limit) / (0.1 * limit) + 0.5, 0, 1)
    head = _profile(appearance, start_row, rows, width, um_per_px)
    grey = appearance.beside + appearance.tone * head * texture
    return np.asarray(grey + 1.5 * noise[inner], np.float32)


def _profile(
    appearance: TrackAppearance, start_row: int, rows: int, width: int, um_per_px: int
) -> NDArray[np.float32]:
    """The brightness of the head across, row by row, as a factor of its tone; 0 beside it."""
    head_px = HEAD_MM * 1000 / um_per_px
    y = np.arange(start_row, start_row + rows, dtype=np.float64)[:, None]
    sway = appearance.sway_px * np.sin(y * (2 * np.pi / 5100)) + np.zeros((1, width))
    across = (np.arange(width) - width / 2 - sway) / head_px + 0.5  # 0 to 1 over the head
    middle, wide, factor = appearance.band
    in_band = _step(across - (middle - wide / 2), appearance.edge)
    in_band *= _step(middle + wide / 2 - across, appearance.edge)
    on_head = _step(across, 0.02) * _step(1 - across, 0.02)
    along = 1 + 0.1 * np.sin(y * (2 * np.pi / 3700))
    lit = (1 + appearance.falling * (across - 0.5)) * (1 + (factor - 1) * in_band) * along
    return np.asarray(on_head * lit, np.float32)


def _step(x: NDArray[np.float64], soft: float) -> NDArray[np.float64]:
    return np.asarray(0.5 + 0.5 * np.tanh(x / max(soft, 1e-3)), np.float64)


def damage(rng: np.random.Generator, scale: float) -> Paint:
    """A ragged dark blotch, torn across."""
    coverage = blob(rng, rng.uniform(6, 18), rng.uniform(7, 22), scale, edge_mm=0.3)
    return _torn(rng, coverage, scale, depth=rng.uniform(0.55, 0.9), holes=rng.uniform(0.1, 0.4))


def crush(rng: np.random.Generator, scale: float) -> Paint:
    """A wide, flat lens pressed into the running surface, the metal beside it shining."""
    length, width = rng.uniform(5, 16), rng.uniform(22, 62)
    coverage = blob(rng, length, width, scale, edge_mm=0.4)
    torn = _torn(rng, coverage, scale, depth=rng.uniform(0.6, 0.95), holes=rng.uniform(0.05, 0.3))
    shine = cv2.GaussianBlur(coverage, (0, 0), 2.5 * scale) * np.float32(rng.uniform(0.1, 0.5))
    beside = 1 - coverage
    return _factors(coverage, coverage * torn.shade + beside * shine)


def scratch(rng: np.random.Generator, scale: float) -> Paint:
    """A band of short dashes across, one under the other, far along the rail."""
    coverage = blob(rng, rng.uniform(35, 70), rng.uniform(10, 24), scale, edge_mm=1.0)
    share = rng.uniform(0.45, 0.75)
    return _torn(rng, coverage, scale, depth=rng.uniform(0.5, 0.85), holes=share)


def dent(rng: np.random.Generator, scale: float) -> Paint:
    """A round pit with a rough floor, some of its grains bright."""
    coverage = blob(rng, rng.uniform(12, 26), rng.uniform(11, 24), scale, edge_mm=0.8)
    floor = -rng.uniform(0.25, 0.7) + rng.uniform(0.2, 0.45) * smooth_noise(
        rng, coverage.shape, 0.3 * scale
    )
    return _factors(coverage, coverage * floor)


def slant(rng: np.random.Generator, scale: float) -> Paint:
    """A faint dark line that leans across the head, with a spot where it has broken out."""
    width, lean = rng.uniform(28, 66), rng.uniform(0.1, 0.5) * rng.choice([-1, 1])
    x = np.linspace(0, width, 9)
    y = lean * x + np.cumsum(rng.normal(0, 0.5, x.size))
    line = draw_lines([np.stack([x, y], 1)], rng.uniform(1.2, 3.0), scale)
    shade = -rng.uniform(0.25, 0.6) * line
    spot = rng.uniform(0.2, 0.8) * line.shape[1]
    rows, columns = np.mgrid[: line.shape[0], : line.shape[1]].astype(np.float32)
    near = np.hypot(rows - line.shape[0] / 2, columns - spot) < rng.uniform(1.5, 4) * scale
    return _factors(line, np.minimum(shade, np.where(near & (line > 0.1), -0.75, 0)))


def gap(rng: np.random.Generator, scale: float) -> Paint:
    """A joint: black between two rail ends across the whole head, one end catching the light."""
    length, width = rng.uniform(14, 26), HEAD_MM
    rows, columns = round(length * scale), round(width * scale)
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    ragged = 0.02 * smooth_noise(rng, (1, columns), 3 * scale)
    middle, half = rng.uniform(0.3, 0.5), rng.uniform(0.05, 0.12)
    black = np.clip((half - np.abs(y - middle - ragged)) / 0.02 + 0.5, 0, 1)
    lit = rng.uniform(0.3, 2.0) * np.exp(-np.clip(y - middle - half, 0, None) / 0.25) * (y > middle)
    dull = -rng.uniform(0.1, 0.5) * np.exp(-np.clip(middle - y, 0, None) / 0.2) * (y < middle)
    coverage = np.ones((rows, columns), np.float32)
    fade = np.minimum(1, np.minimum(y, 1 - y) / 0.1)
    return _factors(coverage, (lit + dull) * fade * (1 - black) - 0.93 * black)


def dirt(rng: np.random.Generator, scale: float) -> Paint:
    """A film with a soft edge and the rail's own texture in it."""
    coverage = blob(
        rng, rng.uniform(15, 60), rng.uniform(10, 40), scale, edge_mm=rng.uniform(0.5, 2.5)
    )
    film = -rng.uniform(0.3, 0.65) + 0.08 * smooth_noise(rng, coverage.shape, 1.5 * scale)
    return _factors(coverage, coverage * film)


def weld(rng: np.random.Generator, scale: float) -> Paint:
    """Sound: a ground weld, a soft band across the head, a little brighter or darker."""
    rows, columns = round(rng.uniform(15, 40) * scale), round(HEAD_MM * scale)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    band = np.exp(-((y / 0.5) ** 2)) * rng.uniform(0.08, 0.25) * rng.choice([-1, 1])
    return _factors(np.ones((rows, columns), np.float32), np.repeat(band, columns, 1))


def grease(rng: np.random.Generator, scale: float) -> Paint:
    """Sound: a film whose edge fades over many millimetres, the rail's own texture seen in it."""
    coverage = blob(rng, rng.uniform(20, 45), rng.uniform(10, 26), scale, edge_mm=4.0)
    return _factors(coverage, -rng.uniform(0.15, 0.4) * coverage)


TRACK_DEFECTS: dict[str, Painter] = {
    "damage": damage,
    "d_crush": crush,
    "d_scratch": scratch,
    "d_dent": dent,
    "d_slant": slant,
}
TRACK_REPORTED: dict[str, Painter] = {"gap": gap, "dirt": dirt}
TRACK_SOUND: dict[str, Painter] = {"weld": weld}


def _torn(
    rng: np.random.Generator, coverage: Map, scale: float, *, depth: float, holes: float
) -> Paint:
    """Dark where a noise that is stretched across says so."""
    white = rng.standard_normal(coverage.shape, np.float32)
    noise = np.asarray(cv2.GaussianBlur(white, (0, 0), 0.9 * scale, sigmaY=0.22 * scale))
    limit = np.quantile(noise, holes)
    dark = np.clip((noise - limit) / (0.3 * float(noise.std()) + 1e-6) + 0.5, 0, 1)
    return _factors(coverage, coverage * dark * -depth)


def _factors(coverage: Map, shade: NDArray[np.floating]) -> Paint:
    return Paint(np.asarray(coverage, np.float32), np.asarray(shade, np.float32), factor=True)
