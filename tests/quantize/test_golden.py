"""The golden pair: what of a picture is taken, and what of none is said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bundle import InputSpec, Limits, OutputSpec
from edge.engines.engine import Answer
from edge.files.image_file import write_image
from edge.network import GoldenResult
from edge.network.golden import NamesResult
from edge.types import Tensor
from quantize.parity import golden_of, golden_pair, narrowed, read_picture
from quantize.parity.golden import GoldenError
from stands.bundles import manifest


class Bright:
    """Finds what is brighter than 200."""

    name, takes_pixels, blocks_at_once = "bright", False, 0

    def infer(self, tensor: Tensor) -> Answer:
        return Answer(np.asarray((tensor * 255 > 200) * 20.0 - 10.0, np.float32))

    def close(self) -> None:
        pass


def test_the_golden_pair_may_be_of_a_picture_that_whoever_packs_chooses(
    tmp_path: Path,
) -> None:
    spec = InputSpec(
        **{"height": 64, "width": 64, "channels": 1, "mean": [0.0], "scale": [1 / 255]},
        **{"resize": "linear", "um_per_px": 250},
    )
    limits = Limits(min_area_mm2=8, min_extent_mm=4)
    output = OutputSpec(height=64, width=64, kind="logits")
    of_tiles = manifest().model_copy(
        update={"input": spec, "output": output, "names": None, "limits": limits}
    )
    picture = np.full((96, 160), 90, np.uint8)
    picture[70:90, 120:150] = 250
    write_image(tmp_path / "tile.png", picture)
    files = golden_pair(Bright(), of_tiles, read_picture(tmp_path / "tile.png", spec))
    shown = cv2.imdecode(np.frombuffer(files["golden/input.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (64, 64) and (shown == 250).sum() == 600
    write_image(tmp_path / "sound.png", picture * 0 + 90)
    with pytest.raises(GoldenError, match=r"parts of .*sound.png the .* give another"):
        golden_pair(Bright(), of_tiles, read_picture(tmp_path / "sound.png", spec))


def test_of_a_picture_that_wavers_no_more_is_asked_than_the_packed_engines_reach() -> None:
    golden = golden_of(named=True)
    sure = GoldenResult(iou=0.98, mae=0.004, defects=1, names=NamesResult(same=1.0, mae=0.01))
    asked = narrowed(golden, [sure, sure])
    assert (asked.min_iou, asked.max_mae) == (0.9, 0.01)
    assert asked.names is not None
    assert (asked.names.min_same, asked.names.max_mae) == (0.9, 0.05)
    wavers = GoldenResult(iou=0.84, mae=0.02, defects=1, names=NamesResult(same=0.9, mae=0.06))
    asked = narrowed(golden, [sure, wavers])
    assert (asked.min_iou, asked.max_mae) == (0.79, 0.03)
    assert asked.names is not None
    assert (asked.names.min_same, asked.names.max_mae) == (0.85, 0.09)
    assert golden.min_iou < asked.min_iou, "what reaches less than that is packed with no picture"
