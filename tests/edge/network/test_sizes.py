"""A bundle's network shown frames of another size than it was packed at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from edge.bundle import Bundle, open_bundle
from edge.errors import BundleError
from edge.line_file import EngineChoice
from edge.network import SHIPPED, Network, network_of
from edge.simulation import SimulatedLine
from edge.types import Image

SIDE = 416  # that the strip bundle was packed at
REACH = 96  # pixels from an edge within which what lies behind it is missed


@pytest.fixture(scope="module")
def strip() -> Bundle:
    return open_bundle(SHIPPED["strip"])


def opened(bundle: Bundle, **settings: Any) -> Network:
    choice: EngineChoice = TypeAdapter(EngineChoice).validate_python(settings)
    return network_of(choice, bundle)


def wide() -> Image:
    line = SimulatedLine(7, surface="strip", width_px=3 * SIDE, defects_per_metre=30)
    return line.render(0, SIDE)[0]


@pytest.mark.parametrize("engine", ["native", "openvino"])
def test_an_engine_of_any_size_marks_in_a_wide_frame_what_it_marks_in_its_parts(
    engine: str, strip: Bundle
) -> None:
    frame = wide()
    whole = opened(strip, type=engine, width=3 * SIDE).see(frame).binary
    alone = opened(strip, type=engine).see(np.ascontiguousarray(frame[:, SIDE : 2 * SIDE])).binary
    inside = np.s_[:, REACH:-REACH]
    of_whole, of_part = whole[:, SIDE : 2 * SIDE][inside], alone[inside]
    assert of_part.any()
    assert (of_whole & of_part).sum() / (of_whole | of_part).sum() > 0.9


def test_an_engine_whose_files_are_of_one_size_says_which_are_not(strip: Bundle) -> None:
    with pytest.raises(
        BundleError, match=r"nothing for onnxruntime at 704x416, only .*native int8"
    ):
        opened(strip, type="onnxruntime", width=704)


def test_auto_takes_the_first_engine_that_has_the_size(strip: Bundle) -> None:
    network = opened(strip, type="auto", width=704)
    assert network.engine.name in {"native int8", "openvino int8"}
    assert network.bundle.manifest.input.width == 704
    assert network.bundle.digest == strip.digest


def test_a_network_that_names_pictures_as_a_whole_has_one_size(strip: Bundle) -> None:
    names = strip.manifest.names
    assert names is not None
    whole = names.model_copy(update={"height": 1, "width": 1})
    manifest = strip.manifest.model_copy(update={"names": whole})
    of_pictures = Bundle(strip.path, manifest, strip.digest, {})
    with pytest.raises(BundleError, match="names each picture as a whole"):
        of_pictures.at(704, None)


def test_a_size_that_no_network_has_is_refused(strip: Bundle) -> None:
    with pytest.raises(ValidationError, match="multiple of 32"):
        opened(strip, type="native", width=700)
    with pytest.raises(BundleError, match="width 700 is not a multiple of 32: use 704"):
        strip.at(None, 700)
