"""How much an engine may lose against FP32 before there is no bundle, and what to try then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.errors import TracksideError, UsageError
from quantize.parity.parity import Parity
from quantize.targets import LayerNoise, worst

# As the papers and people call them; `flips` is the share of verdicts that changed, `names` that of
# what is found whose class is right.
FIGURES = {"S": "s_measure", "MAE": "mae", "WF": "weighted_f", "PFOM": "pfom", "IoU": "iou"}
NAMES = (*FIGURES, "flips", "names")
NAMED = 4  # layers in an error


class ParityError(TracksideError, ValueError):
    """An engine that no longer decides as its network does."""


def parse_limits(text: str) -> dict[str, float]:
    """`S=0.01,flips=0.005` as numbers."""
    limits = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            limits[name] = -1.0
        if name not in NAMES or not 0 <= limits[name] <= 1:
            raise UsageError(
                f"--max-drop {part}: write NAME=NUMBER with a number from 0 to 1 and a name of "
                f"{', '.join(NAMES)}"
            )
    return limits


def drops(parity: Parity, wanted: Parity) -> dict[str, float]:
    """What an engine lost against FP32, in each figure: more is worse in all."""
    lost = {"flips": parity.flip_share}
    for name, figure in FIGURES.items():
        was, now = wanted.all[figure], parity.all[figure]
        if was is not None and now is not None:
            lost[name] = now - was if name == "MAE" else was - now
    if wanted.names is not None and parity.names is not None:
        lost["names"] = wanted.names.right_share_of_all - parity.names.right_share_of_all
    return {name: round(lost[name], 5) for name in NAMES if name in lost}


def excess(lost: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """In words, everything that was lost beyond its limit."""
    return [
        f"{name} by {lost[name]:.4f}, more than {most:g}"
        for name, most in limits.items()
        if not lost.get(name, 0.0) <= most
    ]


def explain(engine: str, over: Sequence[str], noises: Sequence[LayerNoise]) -> str:
    """What an engine lost, where, and what to try."""
    said = f"{engine} loses {'; '.join(over)}"
    if named := worst(noises, NAMED):
        listed = ", ".join(f"{n.layer} ({n.snr_db:g} dB, {n.lost_db:g} less)" for n in named)
        options = " ".join(f"--keep {n.layer}" for n in named)
        said += f". Most is lost in {listed}: keep them in FP32 with {options}, or let --auto do it"
    return f"{said}; or calibrate on more images, or on images nearer to the validation's"
