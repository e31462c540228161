"""What every engine promises, whichever vendor is behind it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pydantic import TypeAdapter, ValidationError

from edge.bundle import Bundle, open_bundle, write_bundle
from edge.engines import open_engine
from edge.engines.onnx_file import refers_elsewhere
from edge.errors import BundleError, EngineUnavailable
from edge.line_file import EngineSettings, LiteRtSettings, OnnxRuntimeSettings, OpenVinoSettings
from edge.network import SHIPPED, check_golden, read_mask
from stands.bundles import (
    HEIGHT,
    LOGIT_STEP,
    WIDTH,
    expected_logits,
    expected_names,
    golden_image,
    kernel,
    make_bundle,
    make_files,
    manifest,
    normalised,
    onnx_model,
    png,
)

FP32 = [
    OpenVinoSettings(precision="fp32"),
    OpenVinoSettings(device="AUTO", threads=2),
    OpenVinoSettings(threads=2, streams=2),
    OnnxRuntimeSettings(precision="fp32"),
    OnnxRuntimeSettings(threads=2),
    LiteRtSettings(precision="fp32"),
    LiteRtSettings(threads=2),
]
VENDORS = {
    "openvino": {"openvino"},
    "onnxruntime": {"onnxruntime"},
    "litert": {"ai_edge_litert", "tflite_runtime"},
}


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def any_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "a.bundle", channels=request.param)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "a.bundle")


@pytest.fixture(scope="module")
def wrong_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Artefacts that find the blob's ground defective, and the blob not."""
    return make_bundle(tmp_path_factory.mktemp("wrong") / "a.bundle", answering=-1)


@pytest.fixture(scope="module")
def naming_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("naming") / "a.bundle", naming=1)


def _id(settings: EngineSettings) -> str:
    return " ".join(str(value) for value in settings.model_dump().values() if value)


@pytest.mark.parametrize("settings", FP32, ids=_id)
def test_every_engine_computes_the_same_logits_and_the_same_mask(
    settings: EngineSettings, any_bundle: Bundle
) -> None:
    tensor = normalised(golden_image(), any_bundle.manifest.input.channels)
    logits = open_engine(settings, any_bundle).infer(tensor).logits
    assert logits.dtype == np.float32
    assert logits.shape == (1, 1, HEIGHT // 2, WIDTH // 2)
    np.testing.assert_allclose(logits, expected_logits(tensor), atol=1e-5)
    mask = read_mask(logits, (HEIGHT, WIDTH), 0.6).binary
    wanted = read_mask(expected_logits(tensor), (HEIGHT, WIDTH), 0.6).binary
    assert 0 < np.count_nonzero(wanted) < wanted.size
    np.testing.assert_array_equal(mask, wanted)


def test_int8_tensors_at_the_ends_of_a_file_are_scaled_both_ways(any_bundle: Bundle) -> None:
    tensor = normalised(golden_image(), any_bundle.manifest.input.channels)
    logits = open_engine(LiteRtSettings(precision="int8"), any_bundle).infer(tensor).logits
    np.testing.assert_allclose(logits, expected_logits(tensor), atol=1.5 * LOGIT_STEP)


@pytest.mark.parametrize("settings", FP32, ids=_id)
def test_an_answer_is_not_overwritten_by_the_next(settings: EngineSettings, bundle: Bundle) -> None:
    engine = open_engine(settings, bundle)
    tensor = normalised(golden_image())
    first = engine.infer(tensor).logits
    engine.infer(np.zeros_like(tensor))
    np.testing.assert_allclose(first, expected_logits(tensor), atol=1e-5)


@pytest.mark.parametrize("settings", FP32, ids=_id)
def test_several_tiles_are_answered_each_as_alone(settings: EngineSettings, bundle: Bundle) -> None:
    engine = open_engine(settings, bundle)
    tensor = normalised(golden_image())
    tiles = [tensor * np.float32(factor) for factor in range(1, 8)]
    for tile, answer in zip(tiles, engine.infer_all(tiles), strict=True):
        np.testing.assert_allclose(answer.logits, expected_logits(tile), atol=1e-4)
    engine.close()


@pytest.mark.parametrize("settings", FP32, ids=_id)
def test_a_tensor_of_another_size_or_type_is_refused_with_the_one_expected(
    settings: EngineSettings, bundle: Bundle
) -> None:
    engine = open_engine(settings, bundle)
    turned = np.zeros((1, 1, WIDTH, HEIGHT), np.float32)
    double: NDArray[Any] = np.zeros((1, 1, HEIGHT, WIDTH), np.float64)
    for wrong in (turned, double):
        with pytest.raises(ValueError, match=rf"takes float32 \(1, 1, {HEIGHT}, {WIDTH}\)"):
            engine.infer(wrong)


@pytest.mark.parametrize("settings", FP32, ids=_id)
def test_an_engine_closes_twice_and_then_refuses_to_answer(
    settings: EngineSettings, bundle: Bundle
) -> None:
    engine = open_engine(settings, bundle)
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.infer(normalised(golden_image()))


@pytest.mark.parametrize("settings", [*FP32, LiteRtSettings(precision="int8")], ids=_id)
def test_the_golden_pair_passes_right_weights_and_refuses_wrong_ones(
    settings: EngineSettings, bundle: Bundle, wrong_bundle: Bundle
) -> None:
    result = check_golden(bundle, open_engine(settings, bundle))
    assert result.iou >= 0.95
    assert result.mae < 0.01
    engine = open_engine(settings, wrong_bundle)
    with pytest.raises(BundleError, match=rf"{engine.name} .* IoU 0\.0000 \(at least 0\.9\)"):
        check_golden(wrong_bundle, engine)


def test_the_golden_pair_of_a_bundle_that_clips_is_clipped(tmp_path: Path) -> None:
    output = manifest().output.model_copy(update={"clip": 0.2})
    clips, files = manifest().model_copy(update={"output": output}), make_files()
    plain = cv2.imdecode(np.frombuffer(files["golden/output.png"], np.uint8), -1) / 255
    clipped = png(np.rint(255 * np.clip((plain - 0.2) / 0.6, 0, 1)).astype(np.uint8))
    bundle = write_bundle(clips, files | {"golden/output.png": clipped}, tmp_path / "a.bundle")
    engine = open_engine(FP32[0], bundle)
    assert check_golden(bundle, engine).mae < 0.005
    unlike = write_bundle(clips, files, tmp_path / "b.bundle")
    with pytest.raises(BundleError, match="answers the golden input with"):
        check_golden(unlike, engine)


@pytest.mark.parametrize("settings", [*FP32, LiteRtSettings(precision="int8")], ids=_id)
def test_classes_come_by_channel_whatever_the_layout(
    settings: EngineSettings, naming_bundle: Bundle
) -> None:
    tensor = normalised(golden_image())
    answer = open_engine(settings, naming_bundle).infer(tensor)
    assert answer.names is not None
    for got, wanted in (
        (answer.logits, expected_logits(tensor)),
        (answer.names, expected_names(tensor)),
    ):
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, wanted, atol=1.5 * LOGIT_STEP)


@pytest.mark.parametrize("settings", [*FP32, LiteRtSettings(precision="int8")], ids=_id)
def test_the_golden_pair_refuses_weights_that_give_other_names(
    settings: EngineSettings, naming_bundle: Bundle, tmp_path: Path
) -> None:
    result = check_golden(naming_bundle, open_engine(settings, naming_bundle))
    assert result.names is not None
    assert result.names.same >= 0.95
    wrong = make_bundle(tmp_path / "a.bundle", naming=-1)
    engine = open_engine(settings, wrong)
    with pytest.raises(BundleError, match=rf"{engine.name} names 0\.0% of the golden input"):
        check_golden(wrong, engine)


def test_an_artefact_that_names_nothing_is_none_of_a_bundle_that_does(tmp_path: Path) -> None:
    files = make_files(naming=1) | {"model.onnx": onnx_model(kernel(1))}
    bundle = write_bundle(manifest(named=True), files, tmp_path / "a.bundle")
    with pytest.raises(BundleError, match="it has 1 output, and the manifest 2"):
        open_engine(OnnxRuntimeSettings(), bundle)


def test_weights_that_answer_nan_are_refused(tmp_path: Path) -> None:
    broken = {"model.onnx": onnx_model(kernel(1) * np.float32(np.nan))}
    bundle = write_bundle(manifest(), make_files() | broken, tmp_path / "a.bundle")
    engine = open_engine(OnnxRuntimeSettings(), bundle)
    with pytest.raises(BundleError, match="NaN"):
        check_golden(bundle, engine)


@pytest.mark.parametrize("settings", FP32, ids=_id)
@pytest.mark.parametrize("size", ["input", "output"])
def test_an_artefact_that_lies_across_what_the_manifest_says_is_refused(
    settings: EngineSettings, size: str, tmp_path: Path
) -> None:
    right = manifest()
    section = getattr(right, size)
    turned = section.model_copy(update={"height": section.width, "width": section.height})
    bundle = write_bundle(
        right.model_copy(update={size: turned}), make_files(), tmp_path / "a.bundle"
    )
    with pytest.raises(BundleError, match="cannot run"):
        open_engine(settings, bundle)


@pytest.mark.parametrize("settings", FP32, ids=_id)
def test_a_file_the_vendor_cannot_read_is_our_error(
    settings: EngineSettings, tmp_path: Path
) -> None:
    files = {name: b"junk" if "model" in name else data for name, data in make_files().items()}
    bundle = write_bundle(manifest(), files, tmp_path / "a.bundle")
    with pytest.raises(BundleError, match=f"{settings.type} cannot run .*: install the version"):
        open_engine(settings, bundle)


@pytest.mark.parametrize(
    "settings",
    [
        OpenVinoSettings(device="NPU"),
        OnnxRuntimeSettings(provider="CUDAExecutionProvider"),
        OnnxRuntimeSettings(provider="TensorrtExecutionProvider"),
    ],
    ids=_id,
)
def test_a_device_that_is_not_here_is_an_error_that_lists_those_that_are(
    settings: EngineSettings, bundle: Bundle
) -> None:
    with pytest.raises(EngineUnavailable, match=r"here, only .*CPU"):
        open_engine(settings, bundle)


def test_a_precision_the_bundle_has_not_is_an_error_that_lists_what_it_has(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="openvino int8, only openvino fp32, onnxruntime fp32"):
        open_engine(OpenVinoSettings(precision="int8"), bundle)


def test_compiled_networks_are_kept_where_the_settings_say(bundle: Bundle, tmp_path: Path) -> None:
    open_engine(OpenVinoSettings(cache_dir=tmp_path), bundle)
    assert list(tmp_path.glob("*.blob"))


@pytest.mark.parametrize("engine", VENDORS)
def test_a_missing_package_is_an_error_that_names_the_extra(engine: str, bundle: Bundle) -> None:
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {VENDORS[engine]}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from pydantic import TypeAdapter
from edge.bundle import open_bundle
from edge.engines import open_engine
from edge.line_file import EngineSettings
from edge.errors import EngineUnavailable
settings = TypeAdapter(EngineSettings).validate_python({{"type": "{engine}"}})
try:
    open_engine(settings, open_bundle(Path({str(bundle.path)!r})))
except EngineUnavailable as error:
    print(error)
"""
    assert f"pip install 'trackside[{engine}]'" in _python("-c", program).stdout


def weights_elsewhere(inside_a_loop: bool = False) -> tuple[bytes, bytes]:
    """An ONNX file whose weights lie in `weights.bin`, and these."""
    model = onnx.load_from_string(onnx_model(kernel(1)))
    tensor = model.graph.initializer[0]
    data = numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", "length": str(len(data))}.items():
        tensor.external_data.add(key=key, value=value)
    if inside_a_loop:  # as a subgraph's, which no list of the model's own tensors shows
        inner = helper.make_graph([], "inner", [], [], [tensor])
        del model.graph.initializer[:]
        model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner))
    return model.SerializeToString(), data


def test_onnx_weights_come_from_the_bundle_and_from_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = weights_elsewhere()
    monkeypatch.chdir(tmp_path)
    Path("weights.bin").write_bytes(data)
    onnxruntime.InferenceSession(model)  # would take them
    bundle = write_bundle(manifest(), make_files() | {"model.onnx": model}, Path("a.bundle"))
    with pytest.raises(BundleError, match=r"model\.onnx keeps weights in another file"):
        open_engine(OnnxRuntimeSettings(), bundle)


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_weights_in_another_file_are_found_wherever_they_are_named(inside_a_loop: bool) -> None:
    model, _ = weights_elsewhere(inside_a_loop)
    assert refers_elsewhere(model)
    assert not refers_elsewhere(onnx_model(kernel(3)))
    shipped = open_bundle(SHIPPED["strip"])
    assert not refers_elsewhere(shipped.read(shipped.artefact("onnxruntime", "int8").path))


@settings(max_examples=200)
@given(st.integers(0, len(onnx_model(kernel(1))) - 1), st.integers(0, 255))
def test_a_damaged_onnx_file_is_looked_through_or_refused(at: int, byte: int) -> None:
    model = bytearray(onnx_model(kernel(1)))
    model[at] = byte
    with suppress(ValueError):
        refers_elsewhere(bytes(model))


def test_openvino_reads_its_own_format_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = weights_elsewhere()
    monkeypatch.chdir(tmp_path)
    Path("weights.bin").write_bytes(data)
    openvino.Core().read_model(model, b"")  # would take it, and them
    bundle = write_bundle(manifest(), make_files() | {"openvino/model.xml": model}, Path("a.zip"))
    with pytest.raises(BundleError, match="it is not OpenVINO's XML"):
        open_engine(OpenVinoSettings(), bundle)


def test_onnxruntime_makes_no_identifier_of_the_machine_to_report_by(tmp_path: Path) -> None:
    code = "import edge.engines.onnxruntime_engine"
    environ = os.environ | {"HOME": str(tmp_path)}
    environ.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_importing_the_engines_loads_no_vendor() -> None:
    loaded = _python("-X", "importtime", "-c", "import edge.engines, edge.bundle").stderr
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.splitlines()}
    assert "edge" in modules
    assert not modules & {"torch", *set().union(*VENDORS.values())}


def test_settings_are_chosen_by_type_and_refuse_what_they_do_not_know() -> None:
    settings: TypeAdapter[EngineSettings] = TypeAdapter(EngineSettings)
    assert settings.validate_python({"type": "litert"}) == LiteRtSettings(threads=1)
    for wrong in ({}, {"type": "tensorrt"}, {"type": "litert", "device": "GPU"}):
        with pytest.raises(ValidationError):
            settings.validate_python(wrong)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
