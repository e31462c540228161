"""Long strips: in tiles and frames, a network sees what it sees of the strip in one piece."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import Bundle, Golden, InputSpec, Limits, Manifest, NamesSpec, OutputSpec
from edge.commissioning.sums import check_tiles
from edge.engines import Answer, Engine
from edge.errors import ConfigurationError
from edge.inspect import Inspector, TiledView
from edge.inspect.region import Region
from edge.inspect.tiling import lay_grid
from edge.line_file import MinArea, NativeSettings, Quality, Rules, TileSettings
from edge.network import Network, engine_by_name, load_network, shares_in
from edge.recordings import read_recording
from edge.recordings.replay import replay
from edge.simulation import SimulatedLine
from edge.types import Defect, Frame, Image, LostFrame, State, Stretch, Tensor, sigmoid
from stands.places import RECORDING

ROWS, COLUMNS, TILE, OVERLAP, PITCH_UM = 150, 70, 32, 12, 1000
GROUND = 60  # its grey
LIMITS = Limits(min_area_mm2=6, min_extent_mm=3)
GOLDEN = Golden(input="in.png", output="out.png", min_iou=0.9, max_mae=0.1)
ANYTHING = Quality(
    min_sharpness=0, min_texture_share=0, dark_below=0, bright_above=255, max_saturated_share=1
)
RULES = Rules(reject_if=MinArea(min_area_mm2=1))
NO_TIME = 0


class BoxMean:
    """A real engine that sees two pixels far: a defect is where the mean of 5 x 5 is above 128.

    What is beyond a tile's edge is as dark as the ground, so that nothing comes of it.
    """

    name = "box mean"
    takes_pixels = False
    blocks_at_once = 0

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
        self.shown: list[tuple[int, ...]] = []

    def infer(self, tensor: Tensor) -> Answer:
        self.runs += 1
        self.shown.append(tensor.shape[2:])
        return Answer(np.asarray(self._session.run(None, {"tensor": tensor})[0], np.float32))

    def infer_all(self, tensors: Sequence[Tensor]) -> list[Answer]:
        return [self.infer(tensor) for tensor in tensors]

    def close(self) -> None: ...


class Blocks(BoxMean):
    """The same of any size, so many side by side."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self.blocks_at_once = at_once


@cache
def box_mean() -> BoxMean:
    return BoxMean()


@cache
def blocks(at_once: int) -> Blocks:
    return Blocks(at_once)


def an_inspector(rows: int, columns: int, engine: BoxMean | None = None, **how: Any) -> Inspector:
    spec = InputSpec(
        height=rows,
        width=columns,
        channels=1,
        mean=[GROUND],
        scale=[1 / 32],
        resize="linear",
        um_per_px=PITCH_UM,
    )
    output = OutputSpec(height=rows, width=columns, kind="logits")
    manifest = Manifest.model_construct(
        input=spec, output=output, threshold=0.5, limits=LIMITS, artefacts=[], golden=GOLDEN
    )
    network = Network(Bundle(Path("box.bundle"), manifest, "ab" * 32, {}), engine or box_mean())
    return Inspector(network, RULES, ANYTHING, lambda: NO_TIME, **how)


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


WAYS = st.sampled_from([(0, OVERLAP), (0, 5), (1, OVERLAP), (1, 5), (2, 5), (3, 5)])


@settings(max_examples=120)
@given(WAYS, BLOBS, CUTS)
def test_in_frames_tiles_and_blocks_the_strip_has_the_defects_that_it_has_in_one_piece(
    way: tuple[int, int], blobs: list[tuple[int, int, int, int, int]], cuts: list[tuple[int, int]]
) -> None:
    """In tiles of one size, or in blocks of any, so many of them beside each other."""
    at_once, overlap_px = way
    strip = np.full((ROWS, COLUMNS), GROUND, np.uint8)
    for row, column, length, width, level in blobs:  # away from the edges, where padding shows
        strip[row : min(row + length, ROWS - 4), column : min(column + width, COLUMNS - 4)] = level
    view = TiledView(TileSettings(overlap_px=overlap_px))
    engine = blocks(at_once) if at_once else box_mean()
    inspector = an_inspector(TILE, TILE, engine, view=view)
    known, parts, reached, start = dict[int, Defect](), set[int](), 0, 0
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


@settings(max_examples=20)
@given(st.integers(-500, 500), st.integers(-500, 500))
def test_rows_whose_places_are_known_as_well_as_their_times_are_seen_across_their_seams(
    first_um: int, second_um: int
) -> None:
    """Blocks of a line-scan camera; of what is on a seam, neither side alone shows enough."""
    strip = np.full((ROWS, COLUMNS), GROUND, np.uint8)
    for seam in (50, 100):
        strip[seam - 2 : seam + 2, 20:40] = 200
    ends_um = [0, 50 * PITCH_UM + first_um, 100 * PITCH_UM + second_um, 150 * PITCH_UM]
    inspector, found = tiled(), list[int]()
    for number, stretch in enumerate(map(Stretch, ends_um, ends_um[1:])):
        block = strip[50 * number : 50 * (number + 1)]
        inspection = inspector.inspect(Frame(number, block, NO_TIME, stretch, PITCH_UM))
        found.append(len(inspection.verdict.defects))
    assert found == [0, 1, 1]


@given(st.integers(1, 300), st.integers(8, 64), st.data())
def test_each_pixel_is_judged_by_the_tile_in_which_it_lies_deepest(
    length: int, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(1, tile // 2))
    grid = lay_grid((length, tile), (tile, tile), overlap)
    starts = [each.top for each in grid.tiles]
    assert starts == sorted({*starts})
    assert starts[-1] == max(0, length - tile)
    owners = [each.top for each in grid.tiles for _ in range(length)[each.own[0]]]
    assert len(owners) == length
    for row, owner in enumerate(owners):
        covers = [top for top in starts if top <= row < top + tile]
        depths = {top: _depth(row, top, tile, length) for top in covers}
        assert depths[owner] >= max(depths.values()) - 1  # a seam may be in the middle of a pixel


def _depth(row: int, top: int, tile: int, length: int) -> float:
    """Distance to the nearest edge of a tile that is not the frame's own."""
    above = row - top if top else np.inf
    below = top + tile - 1 - row if top + tile < length else np.inf
    return float(min(above, below))


def test_a_defect_on_a_seam_is_found_once_and_with_its_true_length() -> None:
    """With the strip's bundle, on a simulated strip of two tiles' width."""
    network = load_network(engine_by_name("auto"), "strip")
    view, rows, pitch_um = TiledView(TileSettings(overlap_px=64)), 288, 250
    inspector = Inspector(network, RULES, ANYTHING, lambda: NO_TIME, view=view)
    line = SimulatedLine(12, surface="strip", width_px=640, defects_per_metre=6)
    known, parts = dict[int, Defect](), set[int]()
    for start in range(0, 16 * rows, rows):
        image, _ = line.render(start, rows)
        stretch = Stretch(start * pitch_um, (start + rows) * pitch_um)
        frame = Frame(start, image, NO_TIME, stretch, pitch_um)
        for defect in inspector.inspect(frame).verdict.defects:
            known[defect.number] = defect
            parts |= set(defect.absorbed)
    network.engine.close()
    whole = [defect.stretch for number, defect in known.items() if number not in parts]
    frame_um, near_um = rows * pitch_um, 3_000
    on_seams = [
        true.stretch
        for true in line.true_defects(0, 16 * rows)
        if true.stretch.start_um // frame_um != true.stretch.end_um // frame_um
    ]
    assert len(on_seams) >= 3
    for true in on_seams:
        [found] = [each for each in whole if abs(each.start_um - true.start_um) < near_um]
        assert abs(found.end_um - true.end_um) < near_um


class InTiles:
    """An engine that takes the network's own size alone."""

    blocks_at_once = 0

    def __init__(self, engine: Engine) -> None:
        self.name, self.takes_pixels = engine.name, engine.takes_pixels
        self.infer, self.infer_all, self.close = engine.infer, engine.infer_all, engine.close


def test_a_block_of_rows_is_judged_as_its_tiles_are() -> None:
    """With the strip's bundle, on frames as wide as three of its tiles that follow each other."""
    native = load_network(NativeSettings(threads=2), "strip")
    rows, pitch_um = 288, 250
    view = TiledView(TileSettings(overlap_px=64))
    in_blocks, in_tiles = (
        Inspector(native._replace(engine=engine), RULES, ANYTHING, lambda: NO_TIME, view=view)
        for engine in (native.engine, InTiles(native.engine))
    )
    line = SimulatedLine(12, surface="strip", width_px=928, defects_per_metre=6)
    same = either = 0
    for start in range(0, 8 * rows, rows):
        image, _ = line.render(start, rows)
        stretch = Stretch(start * pitch_um, (start + rows) * pitch_um)
        frame = Frame(start, image, NO_TIME, stretch, pitch_um)
        blocks, tiles = (each.inspect(frame) for each in (in_blocks, in_tiles))
        assert blocks.mask is not None
        assert tiles.mask is not None
        same += np.count_nonzero(blocks.mask.binary & tiles.mask.binary)
        either += np.count_nonzero(blocks.mask.binary | tiles.mask.binary)
        assert [(d.class_name, d.number) for d in blocks.verdict.defects] == [
            (d.class_name, d.number) for d in tiles.verdict.defects
        ]
    native.engine.close()
    assert either > 1000
    assert same / either > 0.97


CELL = 4  # pixels, of which the coarser output has one logit


class Ramps(BoxMean):
    """The same, and two classes: the brighter a cell, the more it is of the first."""

    def infer(self, tensor: Tensor) -> Answer:
        rows, columns = (side // CELL for side in tensor.shape[2:])
        cells = tensor.reshape(1, rows, CELL, columns, CELL).mean(axis=(2, 4))
        return Answer(super().infer(tensor).logits, np.stack([cells, 0 * cells], axis=1))


def naming(rows: int, columns: int, at_once: int = 0, **how: Any) -> Inspector:
    plain = an_inspector(rows, columns)
    size = {"height": rows // CELL, "width": columns // CELL}
    names = NamesSpec(**size, unsure_below=0.5)
    manifest = plain.network.bundle.manifest.model_copy(
        update={"classes": ["bright", "dark"], "names": names}
    )
    bundle = Bundle(Path("ramps.bundle"), manifest, "ab" * 32, {})
    engine = Ramps()
    engine.blocks_at_once = at_once
    return Inspector(Network(bundle, engine), RULES, ANYTHING, lambda: NO_TIME, **how)


@pytest.mark.parametrize("at_once", [0, 1, 2])
@pytest.mark.parametrize("cuts", [(0, ROWS), (0, 60, 150), (0, 41, 84, 150)])
def test_in_frames_and_tiles_the_strip_has_the_classes_that_it_has_in_one_piece(
    cuts: tuple[int, ...], at_once: int
) -> None:
    bright = np.add.outer(0.5 * np.arange(ROWS), 0.9 * np.arange(COLUMNS)) + 20
    inspector = naming(TILE, TILE, at_once, view=TiledView(TileSettings(overlap_px=OVERLAP)))
    for start, stop in pairwise(cuts):
        mask = inspector.inspect(a_frame(np.rint(bright).astype(np.uint8), start, stop)).mask
        assert mask is not None
        assert mask.names is not None
        shares = shares_in(mask.names, np.s_[:, :], mask.logits.shape)
        wanted = sigmoid(np.float32((bright[start:stop] - GROUND) / 32))
        inner = np.s_[CELL:-CELL, CELL:-CELL]  # beyond the outermost middles nothing is known
        np.testing.assert_allclose(shares[0][inner], wanted[inner], atol=0.02)
        np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)


def test_a_map_that_is_put_together_is_clipped_as_the_bundle_says() -> None:
    inspector = tiled()
    manifest = inspector.network.bundle.manifest
    output = manifest.output.model_copy(update={"clip": 0.1})
    bundle = Bundle(
        Path("clipped.bundle"), manifest.model_copy(update={"output": output}), "ab" * 32, {}
    )
    inspector.network = inspector.network._replace(bundle=bundle)
    bright = np.full((ROWS, COLUMNS), GROUND, np.uint8)
    mask = inspector.inspect(a_frame(bright, 0, ROWS)).mask
    assert mask is not None
    own = sigmoid(np.float32((GROUND - 128) / 32))
    np.testing.assert_allclose(mask.probability[5:-5, 5:-5], (own - 0.1) / 0.8, atol=1e-5)


NOISE = np.random.default_rng(0).integers(60, 190, (ROWS, COLUMNS)).astype(np.uint8)
BRIGHT = np.s_[40:60, 20:40]


def a_noisy_strip() -> Image:
    strip = np.full((ROWS, COLUMNS), GROUND, np.uint8)
    strip[BRIGHT] = 200
    return strip


def test_outside_of_the_region_nothing_is_a_defect() -> None:
    left = ((0, 0), (29, 0), (29, ROWS - 1), (0, ROWS - 1))
    frame = a_frame(a_noisy_strip(), 0, ROWS)
    for inspector in (tiled(region=Region(roi=left)), tiled(region=Region(ignore=(left,)))):
        [defect] = inspector.inspect(frame).verdict.defects
        kept = (20, 30) if inspector.region.roi else (30, 40)
        assert (defect.left_um, defect.right_um) == tuple(x * PITCH_UM for x in kept)


def test_the_region_holds_for_the_rows_of_the_frame_before_too() -> None:
    strip = a_noisy_strip()
    last = 59  # of each frame; the blob reaches to it
    inspector = tiled(region=Region(ignore=(((0, 36), (69, 36), (69, last), (0, last)),)))
    verdicts = [inspector.inspect(a_frame(strip, *rows)).verdict for rows in ((0, 60), (60, 120))]
    assert [len(verdict.defects) for verdict in verdicts] == [0, 0]


def test_tiles_that_are_wholly_outside_of_the_region_are_not_inferred() -> None:
    corner = Region(roi=((2, 2), (20, 2), (20, 20), (2, 20)))
    runs = []
    for inspector in (tiled(), tiled(region=corner)):
        before = box_mean().runs
        inspector.inspect(a_frame(a_noisy_strip(), 0, ROWS))
        runs.append(box_mean().runs - before)
    assert runs == [7 * 3, 1]


@pytest.mark.parametrize(
    ("at_once", "corner", "shown"),
    [
        (1, None, [(160, 96)]),
        (2, None, [(160, 64), (160, 64)]),
        (2, ((2, 2), (20, 2), (20, 40), (2, 40)), [(64, 32)]),
        (1, ((40, 100), (69, 100), (69, 149), (40, 149)), [(64, 32)]),
    ],
)
def test_a_block_is_as_large_as_what_is_looked_at_and_is_parted_among_threads(
    at_once: int, corner: Any, shown: list[tuple[int, int]]
) -> None:
    engine = Blocks(at_once)
    view, region = TiledView(TileSettings(overlap_px=4)), Region(roi=corner)
    inspector = an_inspector(TILE, TILE, engine, view=view, region=region)
    inspection = inspector.inspect(a_frame(a_noisy_strip(), 0, ROWS))
    assert engine.shown == shown
    assert inspection.mask is not None
    assert inspection.mask.logits.shape == (ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("at_once", "said"),
    [
        (0, "24 of 32x32 px a frame, 12 rows of it from the frame before: 2.34 times the pixels"),
        (1, "1 of 96x192 px a frame, 12 rows of it from the frame before: 1.76 times the pixels"),
    ],
)
def test_check_tells_how_much_is_looked_at_again(at_once: int, said: str) -> None:
    view = TiledView(TileSettings(overlap_px=OVERLAP))
    inspector = an_inspector(TILE, TILE, blocks(at_once) if at_once else None, view=view)
    [check] = check_tiles(inspector, a_frame(a_noisy_strip(), 0, ROWS))
    assert check.detail == f"{said} that are to be inspected"


def test_a_block_is_bounded_however_long_a_frame_is() -> None:
    engine = Blocks(1)
    view = TiledView(TileSettings(overlap_px=4))
    inspector = an_inspector(TILE, TILE, engine, view=view)
    rows = 2500
    strip = np.full((rows, 40), GROUND, np.uint8)
    strip[1000:1050, 10:20] = 200  # over the seam of two blocks
    [defect] = inspector.inspect(a_frame(strip, 0, rows)).verdict.defects
    assert engine.shown == [(1024, 64)] * 3
    assert defect.stretch == Stretch(1000 * PITCH_UM, 1050 * PITCH_UM)


def test_quality_is_judged_inside_of_the_region_only() -> None:
    half_dark = NOISE.copy()
    half_dark[:, 35:] = 0
    right = ((35, 0), (69, 0), (69, ROWS - 1), (35, ROWS - 1))
    left = ((0, 0), (34, 0), (34, ROWS - 1), (0, ROWS - 1))
    limits = Quality(dark_below=100, min_texture_share=0)  # it shows noise
    states = {}
    for name, region in {"all": Region(), "left": Region(left), "right": Region(right)}.items():
        inspector = tiled(region=region)
        inspector.quality = limits
        states[name] = inspector.inspect(a_frame(half_dark, 0, ROWS)).verdict
    assert [verdict.state is State.UNKNOWN for verdict in states.values()] == [True, False, True]
    assert states["right"].reasons == ("dark: mean grey 0", "blurred: sharpness 0.0")


@pytest.mark.parametrize(
    ("region", "remedy"),
    [
        (Region(roi=((0, 0), (70, 0), (0, 9))), r"region.roi: the corner \[70, 0\] is outside"),
        (Region(ignore=(((0, 0), (9, 150), (0, 9)),)), "region.ignore: .* 70 columns and 150 rows"),
        (
            Region(ignore=(((0, 0), (69, 0), (69, 149), (0, 149)),)),
            "leaves nothing to be inspected: make its outlines smaller",
        ),
    ],
)
def test_a_region_that_is_not_in_the_frame_is_refused(region: Region, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        tiled(region=region).inspect(a_frame(a_noisy_strip(), 0, ROWS))


def test_an_overlap_that_leaves_tiles_no_middle_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"more than half of .* 32 x 32 .* at most 16"):
        an_inspector(TILE, TILE, view=TiledView(TileSettings(overlap_px=17)))


def test_tiles_may_show_another_scale_than_the_frame() -> None:
    strip = a_noisy_strip()
    fine = np.asarray(cv2.resize(strip, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST))
    [coarse] = tiled().inspect(a_frame(strip, 0, ROWS)).verdict.defects
    frame = a_frame(fine, 0, 2 * ROWS, PITCH_UM // 2)
    inspection = tiled().inspect(frame)
    [same] = inspection.verdict.defects
    assert inspection.mask is not None
    assert inspection.mask.logits.shape == fine.shape
    assert same.area_mm2 == pytest.approx(coarse.area_mm2, rel=0.05)
    assert abs(same.stretch.start_um - coarse.stretch.start_um) <= PITCH_UM


@pytest.mark.parametrize(("rows", "columns"), [(5, COLUMNS), (40, 9), (3, 3)])
def test_a_frame_smaller_than_a_tile_is_looked_at_whole(rows: int, columns: int) -> None:
    image = np.full((rows, columns), 255, np.uint8)
    stretch = Stretch(0, rows * PITCH_UM)
    [defect] = tiled().inspect(Frame(0, image, NO_TIME, stretch, PITCH_UM)).verdict.defects
    assert (defect.area_mm2, defect.stretch) == (rows * columns, stretch)


def test_a_frame_that_nobody_could_look_at_parts_the_strip() -> None:
    strip = a_noisy_strip()
    inspector = tiled()
    inspector.inspect(a_frame(strip, 0, 50))
    lost = LostFrame(1, NO_TIME, Stretch(50 * PITCH_UM, 52 * PITCH_UM), "cable")
    assert inspector.inspect(lost).verdict.state is State.UNKNOWN
    verdict = inspector.inspect(a_frame(strip, 52, 100)).verdict
    assert [(d.number, d.stretch.start_um) for d in verdict.defects] == [(2, 52 * PITCH_UM)]


def test_boxes_and_mask_are_those_of_the_frame_alone() -> None:
    inspector, strip = tiled(), a_noisy_strip()
    inspector.inspect(a_frame(strip, 0, 50))
    inspection = inspector.inspect(a_frame(strip, 50, 100))
    [defect] = inspection.verdict.defects
    assert inspection.mask is not None
    assert inspection.mask.logits.shape == (50, COLUMNS)
    assert defect.box_px == (20, 0, 20, 10)
    assert defect.stretch == Stretch(40 * PITCH_UM, 60 * PITCH_UM)


def test_a_recorded_strip_comes_to_the_same_whenever_it_is_replayed(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    shutil.copytree(RECORDING, folder)
    line = yaml.safe_load((folder / "line.yaml").read_text())
    line["cameras"]["top"] |= {
        "tiles": {"overlap_px": 12},
        "region": {"ignore": [[[0, 0], [5, 0], [5, 63], [0, 63]]]},
    }
    (folder / "line.yaml").write_text(yaml.safe_dump(line))
    first, second = (replay(read_recording(folder)) for _ in range(2))
    assert first == second
    assert first != replay(read_recording(RECORDING))
    frame_um = 64_000
    over_a_seam = [
        place
        for frame in first.frames
        for place in frame.defects
        if place[0] < frame.start_um < place[1] <= frame.start_um + frame_um
    ]
    assert over_a_seam
