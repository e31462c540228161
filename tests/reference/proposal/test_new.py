"""What `new` makes of a folder of pictures: read back by all that come after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError, UsageError
from edge.files.image_file import read_image
from edge.line_file import read_line
from edge.line_file.camera import FolderSettings
from edge.types import Image
from reference.new_commands import new, recipe_check, recipe_schema
from reference.recipe import read_recipe, read_sources
from stands.datasets_on_disk import write


def surface(number: int, rows: int, columns: int) -> Image:
    """Cast skin, of which no two pictures are alike."""
    rng = np.random.default_rng(number)
    coarse = cv2.GaussianBlur(rng.normal(0, 60, (rows, columns)), (0, 0), 3)
    return np.clip(120 + 2 * coarse + rng.normal(0, 5, (rows, columns)), 0, 255).astype(np.uint8)


def castings(
    root: Path,
    *,
    rolls: int = 6,
    side: tuple[int, int] = (96, 128),
    pore: int = 6,
    white: int = 255,
) -> None:
    """Pores in the cast skin of several rolls: of each five pictures, two of them sound."""
    for number in range(5 * rolls):
        image, name = surface(number, *side), f"roll{number // 5:02}_{number:03}.png"
        if number % 5 < 2:
            write(root / "good" / name, image)
            continue
        mask = np.zeros(side, np.uint8)
        middle = (20 + 5 * number % (side[1] - 40), 20 + 7 * number % (side[0] - 40))
        cv2.circle(mask, middle, pore, white, -1)
        write(root / "images" / name, np.where(mask > 0, image // 3, image).astype(np.uint8))
        write(root / "masks" / name, mask)


def propose(data: Path, out: Path, **options: Any) -> None:
    new(
        data,
        out,
        **{"um_per_px": 100.0, "layout": None, "marked_from": None, "least": 10, **options},
    )


def test_a_folder_of_pictures_becomes_a_recipe_and_a_line_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    castings(tmp_path / "data")
    out = tmp_path / "lines" / "mine"
    propose(tmp_path / "data", out)
    said = capsys.readouterr().out
    assert "taken for: with a mask 18, sound, without a mask 12" in said
    assert "whole runs or items, by their names" in said
    assert f"trackside train {out / 'recipe.yaml'}" in said
    recipe = read_recipe(out / "recipe.yaml")
    sources, held_out = read_sources(recipe, out)
    runs = [{pair.name.split("_")[0][-6:] for pair in s.pairs} for s in sources]
    held = {pair.name.split("_")[0][-6:] for pair in held_out}
    assert len(held) >= 1
    assert not held & set.union(*runs)
    assert {pair.class_name for pair in held_out} == {"defect", "free"}
    assert recipe.validation.size % 32 == 0
    line = read_line(out / "line.yaml")
    assert line.bundle == out / "my.bundle"
    camera = line.lookout().camera
    assert isinstance(camera, FolderSettings)
    shapes = {read_image(path, colour=False).shape for path in camera.path.iterdir()}
    assert shapes == {(recipe.validation.size,) * 2}
    recipe_check(out / "recipe.yaml", None)
    assert capsys.readouterr().out.endswith("it can be trained.\n")
    with pytest.raises(UsageError, match="is there: give another -o"):
        propose(tmp_path / "data", out)


def test_defects_too_small_to_be_seen_in_whole_pictures_are_looked_at_in_tiles(
    tmp_path: Path,
) -> None:
    castings(tmp_path / "data", rolls=4, side=(800, 1000), pore=3)
    propose(tmp_path / "data", tmp_path / "mine", least=5)
    recipe = read_recipe(tmp_path / "mine" / "recipe.yaml")
    assert recipe.data[0].tiles == recipe.validation.size == 352
    sources, held_out = read_sources(recipe, tmp_path / "mine")
    assert {pair.mask.shape for source in sources for pair in source.pairs} == {(352, 352)}
    assert len(held_out) % 12 == 0  # of each picture held out, all parts
    camera = read_line(tmp_path / "mine" / "line.yaml").lookout().camera
    assert camera.tiles is not None
    assert camera.along_um == 100  # type: ignore[union-attr]


def test_masks_of_0_and_1_are_refused_with_what_to_say_and_then_read(tmp_path: Path) -> None:
    castings(tmp_path / "data", white=1)
    with pytest.raises(ConfigurationError, match=r"18 times a mask too dark .*--marked-from 1"):
        propose(tmp_path / "data", tmp_path / "mine")
    propose(tmp_path / "data", tmp_path / "mine", marked_from=1)
    recipe = read_recipe(tmp_path / "mine" / "recipe.yaml")
    sources, _ = read_sources(recipe, tmp_path / "mine")
    assert all(pair.mask.any() for pair in sources[0].pairs)


def test_too_few_defects_are_refused_unless_who_asks_says_so(tmp_path: Path) -> None:
    castings(tmp_path / "data", rolls=2)
    with pytest.raises(ConfigurationError, match=r"6 of 10 pictures show a defect.*--least"):
        propose(tmp_path / "data", tmp_path / "mine")
    propose(tmp_path / "data", tmp_path / "mine", least=2)
    assert read_recipe(tmp_path / "mine" / "recipe.yaml").least_defective == 2


def test_a_recipe_needs_no_more_than_its_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data:\n  - {layout: plain, path: data}\n")
    recipe = read_recipe(path)
    assert (recipe.iterations, recipe.validation.size, recipe.network["name"]) == (
        3000,
        352,
        "minet",
    )
    path.write_text("data:\n  - {layout: plain, path: data, hold_out: {list: none.txt}}\n")
    with pytest.raises(ConfigurationError, match=r"none\.txt cannot be read .* one a line"):
        read_recipe(path)
    recipe_schema()
    assert '"required": [\n    "data"\n  ]' in capsys.readouterr().out
