"""A picture that is surely called sound: put aside where the line says so, and always told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import Artefact, Bundle, GoldenNames, NamesSpec, OutputSpec, write_bundle
from edge.engines import Answer, Engine, open_engine
from edge.errors import BundleError, ConfigurationError
from edge.inspect import Inspector, TiledView, reject_stretches
from edge.line_file import MinArea, OnnxRuntimeSettings, Quality, Rules, TileSettings
from edge.network import Network, check_golden
from edge.types import Frame, Image, State, Stretch, Tensor
from stands.bundles import HEIGHT, WIDTH, manifest, png

CLASSES = ["crack", "hole"]
UNKNOWN_TO_ALL = np.nan


class DMS:
    """Shows the whole picture as defective, and says how surely it is sound all the same."""

    name = "dms"
    takes_pixels = False
    blocks_at_once = 0

    def __init__(self, *sound: float, logit: float = 4) -> None:
        self.sound, self.logit, self.calls = sound, logit, 0

    def infer(self, tensor: Tensor) -> Answer:
        share = self.sound[self.calls % len(self.sound)]
        self.calls += 1
        names = np.log([(1 - share) / 3, 2 * (1 - share) / 3, share])
        map_ = np.full((1, 1, HEIGHT // 2, WIDTH // 2), self.logit, np.float32)
        return Answer(map_, names.astype(np.float32)[None, :, None, None])

    def infer_all(self, tensors: Sequence[Tensor]) -> list[Answer]:
        return [self.infer(tensor) for tensor in tensors]

    def close(self) -> None: ...


def a_bundle(*, sound: bool = True) -> Bundle:
    names = NamesSpec(height=1, width=1, unsure_below=0.5, sound=sound)
    known = manifest(named=True).model_copy(update={"names": names, "classes": CLASSES})
    return Bundle(Path("dms.bundle"), known, "ab" * 32, {})


def an_inspector(engine: Engine, above: float | None, **others: Any) -> Inspector:
    rules = Rules(reject_if=MinArea(min_area_mm2=1), sound_above=above)
    network = Network(a_bundle(), engine)
    return Inspector(network, rules, Quality(), clock_ns=lambda: 0, **others)


def a_frame(image: Image | None = None) -> Frame:
    if image is None:
        grain = np.random.default_rng(0).integers(0, 40, (HEIGHT, WIDTH))
        image = (np.linspace(60, 150, WIDTH) + grain).astype(np.uint8)
    return Frame(0, image, 0, Stretch(0, HEIGHT * 250), across_um=250)


def test_what_is_surely_sound_is_put_aside_and_the_verdict_says_what_and_why() -> None:
    verdict = an_inspector(DMS(0.995), 0.99).inspect(a_frame()).verdict
    assert (verdict.state, verdict.defects) == (State.OK, ())
    [told] = verdict.reasons
    surface = HEIGHT * WIDTH * manifest().input.um_per_px ** 2 / 1e6
    assert told.startswith(f"put aside: {surface:.0f} mm2 on the map, because the picture is sound")
    assert "by 0.9950, more than 0.99" in told


@pytest.mark.parametrize(("sound", "above"), [(0.995, None), (0.985, 0.99), (0.5, 0.5)])
def test_what_is_not_surely_sound_or_where_no_line_asks_is_rejected_by_its_class(
    sound: float, above: float | None
) -> None:
    verdict = an_inspector(DMS(sound), above).inspect(a_frame()).verdict
    assert verdict.state is State.NG
    assert [defect.class_name for defect in verdict.defects] == ["hole"]
    assert verdict.defects[0].class_score == pytest.approx(2 / 3)
    assert not any("put aside" in reason for reason in verdict.reasons)


def test_nothing_is_told_of_a_sound_picture_in_which_nothing_is_shown() -> None:
    verdict = an_inspector(DMS(0.995, logit=-4), 0.99).inspect(a_frame()).verdict
    assert (verdict.state, verdict.reasons) == (State.OK, ())


def test_one_tile_that_is_sound_says_nothing_of_the_others() -> None:
    wide = a_frame(np.hstack([a_frame().image] * 2)[:, 2:])
    tiles = TiledView(TileSettings(overlap_px=2))
    verdict = an_inspector(DMS(0.1, 0.999), 0.99, view=tiles).inspect(wide).verdict
    assert verdict.state is State.NG
    assert verdict.defects[0].right_um == (WIDTH - 1) * 250
    assert verdict.reasons[-1].startswith("put aside: ")
    assert "on the map in 1 of 2 tiles" in verdict.reasons[-1]


@pytest.mark.parametrize(
    ("engine", "frame"),
    [
        (DMS(0.999, logit=UNKNOWN_TO_ALL), a_frame()),
        (DMS(UNKNOWN_TO_ALL), a_frame()),
        (DMS(0.999), a_frame(a_frame().image // 16)),
        (DMS(0.999), replace(a_frame(), captured_ns=-2_000_000_000)),
    ],
    ids=["no map", "no share", "dark", "stale"],
)
def test_what_nobody_could_see_is_unknown_however_sound_it_is_called(
    engine: DMS, frame: Frame
) -> None:
    verdict = an_inspector(engine, 0.99).inspect(frame).verdict
    assert verdict.state is State.UNKNOWN
    assert reject_stretches(verdict) == (frame.stretch,)


def test_a_line_cannot_ask_it_of_a_network_that_does_not_say_it() -> None:
    rules = Rules(reject_if=MinArea(min_area_mm2=1), sound_above=0.99)
    network = Network(a_bundle(sound=False), DMS(0.5))
    with pytest.raises(ConfigurationError, match=r"rules\.sound_above: the bundle .* does not say"):
        Inspector(network, rules, Quality(), clock_ns=lambda: 0)


def test_an_engine_that_calls_its_golden_pair_sound_is_refused(tmp_path: Path) -> None:
    """A gate that always says sound would let everything through."""
    settings = OnnxRuntimeSettings()
    good = open_engine(settings, written(tmp_path / "good.bundle", sound_logit=0))
    check_golden(written(tmp_path / "same.bundle", sound_logit=0), good)
    wrong = written(tmp_path / "wrong.bundle", sound_logit=4)
    with pytest.raises(BundleError, match=r"is off by 0\.7\d+ in how surely it calls the golden"):
        check_golden(wrong, open_engine(settings, wrong))


def written(path: Path, *, sound_logit: float) -> Bundle:
    """Its pair says that the middle of the picture is a hole; the second answer is fixed."""
    shown = np.full((1, 1, HEIGHT // 2, WIDTH // 2), -8, np.float32)
    shown[:, :, 2:-2, 2:-2] = 8
    answers = {"logits": shown, "names": np.array([[0, 1, sound_logit]], np.float32)}
    answers["names"] = answers["names"][:, :, None, None]
    share = 1 / (1 + np.e + 1)
    told = np.array([[1 / (1 + np.e)], [np.e / (1 + np.e)], [share]]) * 255
    files = {
        "golden/input.png": png(a_frame().image),
        "golden/output.png": png(np.rint(255 / (1 + np.exp(-shown[0, 0]))).astype(np.uint8)),
        "golden/names.png": png(np.rint(told).astype(np.uint8)),
        "model.onnx": _constant(answers),
    }
    golden = GoldenNames(output="golden/names.png", min_same=0.9, max_mae=0.05)
    known, artefact = (
        a_bundle().manifest,
        Artefact(engine="onnxruntime", precision="fp32", path="model.onnx", layout="NCHW"),
    )
    update = {
        "artefacts": [artefact],
        "golden": known.golden.model_copy(update={"names": golden}),
        "output": OutputSpec(height=HEIGHT // 2, width=WIDTH // 2, kind="logits"),
    }
    return write_bundle(known.model_copy(update=update), files, path)


def _constant(answers: dict[str, Tensor]) -> bytes:
    """A graph that answers the same to everything: nothing of its input but zero times it."""
    nodes = [
        helper.make_node("ReduceSum", ["tensor"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
    ]
    nodes += [helper.make_node("Add", [f"{n}_fixed", "nothing"], [n]) for n in answers]
    fixed = [numpy_helper.from_array(a, f"{n}_fixed") for n, a in answers.items()]
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, [1, 1, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, list(a.shape))
            for n, a in answers.items()
        ],
        [numpy_helper.from_array(np.float32(0), "zero"), *fixed],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
