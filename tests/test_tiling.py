"""Long strips: in tiles and frames, a network sees what it sees of the strip in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.inspector import Inspector
from edge.manifest import InputSpec, Limits, Manifest
from edge.network import Network, engine_by_name, load_network
from edge.region import Region
from edge.rules import MinArea, MinLength, Quality, Rules
from edge.simulation import SimulatedLine
from edge.tiling import Shown, TiledView, WholeView, lay_grid
from edge.types import Defect, Frame, Image, State, Stretch, Tensor
from edge.verdict import reject_stretches
from edge.view_config import TileSettings

ROWS, COLUMNS, TILE, OVERLAP, PITCH_UM = 150, 70, 32, 12, 1000
GROUND = 60  # its grey
LIMITS = Limits(min_area_mm2=6, min_extent_mm=3)
ANYTHING = Quality(min_sharpness=0, dark_below=0, bright_above=255, max_saturated_share=1)
RULES = Rules(reject_if=MinArea(min_area_mm2=1))
NO_TIME = 0


class BoxMean:
    """A real engine that sees two pixels far: a defect is where the mean of 5 x 5 is above 128.

    What is beyond a tile's edge is as dark as the ground, so that nothing comes of it.
    """

    name = "box mean"
    takes_pixels = False

    def __init__(self) -> None:
        kernel = numpy_helper.from_array(np.full((1, 1, 5, 5), 1 / 25, np.float32), "kernel")
        bias = numpy_helper.from_array(np.float32([(GROUND - 128) / 32]), "bias")
        size = [1, 1, "rows", "columns"]
        graph = helper.make_graph(
            [helper.make_node("Conv", ["tensor", "kernel", "bias"], ["logits"], pads=[2, 2, 2, 2])],
            "box",
            [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, size)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, size)],
            [kernel, bias],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self.runs = 0

    def infer(self, tensor: Tensor) -> Tensor:
        self.runs += 1
        return np.asarray(self._session.run(None, {"tensor": tensor})[0], np.float32)

    def infer_all(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [self.infer(tensor) for tensor in tensors]

    def close(self) -> None: ...


@cache
def box_mean() -> BoxMean:
    return BoxMean()


def an_inspector(rows: int, columns: int, **how: Any) -> Inspector:
    spec = InputSpec(
        height=rows,
        width=columns,
        channels=1,
        mean=[GROUND],
        scale=[1 / 32],
        resize="linear",
        um_per_px=PITCH_UM,
    )
    manifest = Manifest.model_construct(input=spec, threshold=0.5, limits=LIMITS)
    bundle = Bundle(Path("box.bundle"), manifest, "ab" * 32, {})
    return Inspector(Network(bundle, box_mean()), RULES, ANYTHING, lambda: NO_TIME, **how)


def tiled(**how: Any) -> Inspector:
    view = TiledView(TileSettings(overlap_px=OVERLAP))
    return an_inspector(TILE, TILE, view=view, **how)


def a_frame(strip: Image, start: int, stop: int, pitch_um: int = PITCH_UM) -> Frame:
    stretch = Stretch(start * pitch_um, stop * pitch_um)
    return Frame(start, strip[start:stop], NO_TIME, stretch, pitch_um)


def measures(defects: Sequence[Defect]) -> list[tuple[float, ...]]:
    return sorted(
        (d.stretch.start_um, d.stretch.end_um, d.left_um, round(d.area_mm2, 3), round(d.score, 3))
        for d in defects
    )


BLOBS = st.lists(
    st.tuples(
        st.integers(4, ROWS - 5),
        st.integers(4, COLUMNS - 5),
        st.integers(1, 60),
        st.integers(1, 30),
        st.sampled_from([170, 200, 255]),
    ),
    max_size=6,
)
# Of a tile and more: in what is less, a mirror stands for what comes next until that has come.
CUTS = st.lists(st.tuples(st.integers(TILE, 60), st.sampled_from([0, 0, 1, 7, 12, 40])), max_size=5)


@settings(max_examples=60, deadline=None)
@given(BLOBS, CUTS)
def test_in_frames_and_tiles_the_strip_has_the_defects_that_it_has_in_one_piece(
    blobs: list[tuple[int, int, int, int, int]], cuts: list[tuple[int, int]]
) -> None:
    strip = np.full((ROWS, COLUMNS), GROUND, np.uint8)
    for row, column, length, width, level in blobs:  # away from the edges, where padding shows
        strip[row : min(row + length, ROWS - 4), column : min(column + width, COLUMNS - 4)] = level
    inspector, known, parts, reached, start = tiled(), {}, set(), 0, 0
    for rows, overlap in [*cuts, (ROWS, 0)]:
        start = max(start, reached - overlap)
        reached = min(ROWS, max(reached, start + rows))
        for defect in inspector.inspect(a_frame(strip, start, reached)).verdict.defects:
            known[defect.number] = defect
            parts |= set(defect.absorbed)
        if reached == ROWS:
            break
    whole = an_inspector(ROWS, COLUMNS).inspect(a_frame(strip, 0, ROWS)).verdict.defects
    assert measures([d for d in known.values() if d.number not in parts]) == measures(whole)
