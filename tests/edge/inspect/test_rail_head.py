"""The head is found in the dark, followed where it sways, and tiles leave nothing of it out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.errors import FrameError
from edge.files.image_file import read_image, write_image
from edge.inspect import Inspector, faults
from edge.inspect.following import FollowingView, lay_along
from edge.inspect.rail_head import head_centre, head_centres, head_strip
from edge.inspect.region import Region
from edge.line_file import MinArea, Quality, Rules, TileSettings
from edge.network import engine_by_name, load_network
from edge.types import Frame, Image, State, Stretch
from stands.bundles import make_bundle

HEAD, STRIP = 280, 352


def swaying(middles: list[int], *, height: int = 250, width: int = 2048) -> Image:
    """Dark ballast, and a head that each block of rows has elsewhere."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 8, (height * len(middles), width)).astype(np.uint8)
    for block, middle in enumerate(middles):
        picture[block * height :, middle - HEAD // 2 : middle + HEAD // 2] = 60
        picture[block * height :, : middle - HEAD // 2] = 3
        picture[block * height :, middle + HEAD // 2 :] = 3
    return picture


def test_the_head_is_followed_block_by_block() -> None:
    middles = [900, 905, 915, 930, 938]
    found = head_centres(swaying(middles), HEAD)
    assert found == pytest.approx(middles, abs=2)


def test_a_block_without_a_head_keeps_to_where_the_picture_has_it() -> None:
    picture = swaying([1000, 1000, 1000, 1000])
    picture[250:500] = 0
    picture[250:500, 100:400] = 90  # a sleeper in the sun beside a dark joint
    assert head_centres(picture, HEAD)[1] == pytest.approx(1000, abs=HEAD // 4 + 2)
    assert head_centre(picture[250:500], HEAD) == pytest.approx(250, abs=11)
    assert head_centre(picture[:250], HEAD, near=980, reach_px=5) == 985


def test_tiles_follow_the_head_and_every_row_of_it_counts_once() -> None:
    middles = [900, 910, 930, 940, 1000]
    strip = head_strip(swaying(middles), HEAD, STRIP)
    grid = lay_along(strip, (352, 352), 64)
    counted = np.zeros(strip.shape, int)
    for tile in grid.tiles:
        rows, columns = tile.own
        assert tile.top <= rows.start < rows.stop <= tile.top + 352
        assert tile.left <= columns.start < columns.stop <= tile.left + 352
        counted[rows, columns] += 1
    assert counted.max() == 1
    for block, middle in enumerate(middles):
        head = np.s_[250 * block : 250 * (block + 1), middle - HEAD // 2 : middle + HEAD // 2]
        assert (counted[head] == 1).all()
    assert grid.tiles[0].left == pytest.approx(900 - 176, abs=2)


def test_a_head_that_leaves_its_tile_is_seen_in_two() -> None:
    strip = head_strip(swaying([900, 900, 965, 965]), HEAD, STRIP)
    beside = {tile.top for tile in lay_along(strip, (352, 352), 64).tiles}
    assert len(lay_along(strip, (352, 352), 64).tiles) == len(beside)
    strip = np.zeros((1000, 2048), np.uint8)
    strip[:500, 700:1052] = strip[500:, 800:1152] = 255
    tiles = lay_along(strip, (352, 352), 64).tiles
    [pair] = [
        [t.own[1] for t in tiles if t.top == top]
        for top in {t.top for t in tiles}
        if sum(t.top == top for t in tiles) == 2
    ]
    assert pair[0].start <= 736 and pair[1].stop >= 1116 and pair[0].stop == pair[1].start


def test_the_light_is_measured_on_the_head_and_not_beside_it() -> None:
    picture = np.asarray(swaying([900, 1000]) * np.float32(22 / 60), np.uint8)
    picture[::2] += 1  # something to be sharp by
    frame, region = Frame(0, picture, 0, Stretch(0, 125_000), 250), Region(follows_rail=True)
    inside = region.inside(picture, 250)
    limits = Quality(min_sharpness=0, min_texture_share=0)
    assert faults(frame, limits, 0, inside) == ("dark: mean grey 18",)
    assert faults(frame, limits, 0, inside, lit=region.lit(inside)) == ()


@pytest.mark.parametrize("shown", ["dark", "even", "noise"])
def test_where_no_head_stands_out_none_is_found(shown: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 2048)).astype(np.uint8)
    picture = {"dark": noise // 128, "even": np.full_like(noise, 90), "noise": noise}[shown]
    with pytest.raises(FrameError, match="the head of the rail is not to be found"):
        head_strip(picture, HEAD, STRIP)


def test_on_a_line_a_head_that_jumps_or_is_not_there_is_unknown_and_all_else_is_judged(
    tmp_path: Path,
) -> None:
    make_bundle(tmp_path / "small.bundle")
    network = load_network(engine_by_name("onnxruntime"), tmp_path / "small.bundle")
    inspector = Inspector(
        network,
        Rules(reject_if=MinArea(min_area_mm2=1)),
        Quality(min_sharpness=0, min_texture_share=0),
        lambda: 0,
        view=FollowingView(TileSettings(overlap_px=8, um_per_px=2000)),
        region=Region(follows_rail=True),
    )
    told = []
    for index, middle in enumerate([300, 330, 430, 430, None]):
        image = (
            np.full((250, 700), 90, np.uint8) if middle is None else swaying([middle], width=700)
        )
        where = Stretch(index * 62_500, (index + 1) * 62_500)
        told.append(inspector.inspect(Frame(index, image, 0, where, 250)).verdict)
    network.engine.close()
    unknown = [verdict.state is State.UNKNOWN for verdict in told]
    assert unknown == [False, False, True, False, True]
    assert "jumps by 25 mm from one frame to the next" in told[2].reasons[0]
    assert "is not to be found" in told[4].reasons[0]


def test_what_is_too_small_says_what_to_do() -> None:
    small = np.zeros((400, 200), np.uint8)
    with pytest.raises(FrameError, match="less than a head of 280: give the picture's own scale"):
        head_centre(small, HEAD)
    with pytest.raises(FrameError, match=r"would fill the 290 columns.* or follow no rail"):
        head_strip(np.full((400, 290), 90, np.uint8), HEAD, STRIP)


def test_a_contact_sheet_shows_where_the_head_is_and_says_where_it_is_not(tmp_path: Path) -> None:
    write_image(tmp_path / "rail.png", swaying([900, 905]))
    write_image(tmp_path / "dark.png", np.full((500, 2048), 9, np.uint8))
    sheet = tmp_path / "out" / "sheet.png"
    sheet.parent.mkdir()
    command = [sys.executable, "-m", "benchmarks.rail_heads", tmp_path, "--out", sheet]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    dark, count = done.stdout.splitlines()
    assert dark.startswith(f"{tmp_path / 'dark.png'}: the head of the rail is not to be found")
    assert count == f"the head was found in 1 of 2 pictures; {sheet} shows where"
    assert read_image(sheet, colour=True).shape == (160, 320, 3)
