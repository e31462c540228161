"""The native engine: every body gives NUMERICS.md's integers, and no file makes it misbehave."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import (
    Artefact,
    Bundle,
    Golden,
    InputSpec,
    Limits,
    Manifest,
    OutputSpec,
    open_bundle,
    write_bundle,
)
from edge.engines import open_engine
from edge.engines.native_engine import NativeNetwork, bodies
from edge.errors import BundleError, EngineUnavailable
from edge.line_file import AutoSettings, NativeSettings
from edge.network import SHIPPED, check_golden, load_network, prepare, to_pixels, to_tensor
from edge.types import Image, sigmoid
from quantize.deploy import listed
from quantize.deploy.deploy_form import deploy
from quantize.targets.native_artefact import Head
from quantize.targets.native_layers import NoNativeForm
from quantize.targets.ptq_native import quantize
from reference.networks import build
from stands.native_model import run as model
from stands.native_programs import Programs
from stands.places import ROOT

try:
    BODIES = bodies()
except EngineUnavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)
SIZE = 64
Logits = NDArray[np.float32]
SPEC = InputSpec(
    height=SIZE,
    width=SIZE,
    channels=1,
    mean=[114.75],
    scale=[1 / 57.375],
    resize="linear",
    um_per_px=250,
)


def pixels(seed: int, height: int = SIZE, width: int = SIZE) -> Image:
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (height // 8, width // 8)).astype(np.uint8)
    return np.kron(coarse, np.ones((8, 8), np.uint8)) ^ draw.integers(
        0, 32, (height, width), np.uint8
    )


def _same(answers: Sequence[Logits], wanted: Sequence[Logits]) -> None:
    """To the bit, in each map."""
    assert len(answers) == len(wanted)
    for answer, right in zip(answers, wanted, strict=True):
        np.testing.assert_array_equal(answer, right)


@pytest.mark.parametrize("body", BODIES)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 3), width=st.integers(1, 5))
def test_every_body_gives_the_integers_of_the_model(
    body: str, seed: int, height: int, width: int
) -> None:
    program = Programs(seed).minet()
    image = pixels(seed, 32 * height, 32 * width)
    network = NativeNetwork(program.to_bytes(), *image.shape, body)
    _same(network.run(image), model(program, image))
    _same(network.run(image), model(program, image))  # again


def test_every_body_gives_them_where_tensors_outgrow_the_cache() -> None:
    program, image = Programs(3).minet(), pixels(3, 480, 512)
    wanted = model(program, image)
    for body in BODIES:
        network = NativeNetwork(program.to_bytes(), *image.shape, body)
        for _ in range(2):
            _same(network.run(image), wanted)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("channels", "outputs", "dilations"),
    [
        (16, 16, ()),
        (16, 32, (1, 2)),
        (32, 16, (1,)),
        (32, 64, (1, 2)),
        (16, 64, (3, 2, 1)),
        (64, 32, (8, 3)),
        (64, 16, (1,)),
        (96, 96, (1, 2, 4, 8)),
        (128, 192, (2,)),
    ],
)
def test_every_body_gives_them_for_every_width_of_channels(
    body: str, channels: int, outputs: int, dilations: tuple[int, ...]
) -> None:
    program = Programs(7).separable(channels, outputs, dilations)
    network = NativeNetwork(program.to_bytes(), SIZE, SIZE, body)
    _same(network.run(pixels(1)), model(program, pixels(1)))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("channels", "dilations"), [(16, (1, 8)), (16, (3, 2)), (96, (1, 2)), (64, (1, 2, 4, 8))]
)
def test_every_body_gives_them_along_rows_that_it_makes_in_chunks(
    body: str, channels: int, dilations: tuple[int, ...]
) -> None:
    image = pixels(4, 32, 1056)
    for seed in range(2):
        program = Programs(seed).separable(channels, 16, dilations)
        network = NativeNetwork(program.to_bytes(), *image.shape, body)
        _same(network.run(image), model(program, image))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("width", [32, 96, 1056])
@pytest.mark.parametrize("parts", [(16,), (32,), (16, 32), (64,), (96,), (16, 96), (128,)])
def test_every_body_gives_them_of_every_second_pixel(
    body: str, parts: tuple[int, ...], width: int
) -> None:
    image = pixels(5, 32, width)
    for branches in (1, 2):
        program = Programs(branches).halving(parts, branches)
        network = NativeNetwork(program.to_bytes(), *image.shape, body)
        _same(network.run(image), model(program, image))


def test_threads_that_share_a_picture_give_what_one_gives() -> None:
    data = Programs(6).minet().to_bytes()
    # Three bands, of long chains, of short ones, of 3 rows at times; and one.
    for height, width in [(1280, 352), (640, 672), (96, 4160), (64, 64)]:
        one = NativeNetwork(data, height, width)
        three = NativeNetwork(data, height, width, threads=3)
        for seed in range(4):
            image = pixels(seed, height, width)
            _same(three.run(image), one.run(image))


def trained(mi: str = "full", backbone: str | None = None, class_maps: int = 0) -> torch.nn.Module:
    """A network whose every normalisation has something to fold."""
    torch.manual_seed(3)
    network = build("minet", align_corners=False, mi=mi, backbone=backbone, class_maps=class_maps)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.5)
    network.train()
    with torch.no_grad():
        for seed in range(4):
            network(torch.from_numpy(to_tensor(pixels(seed), SPEC)).expand(2, 3, -1, -1))
    return deploy(network)


VARIANTS = ["full", "without_multi", "s_pw", "without_ci", "concat", "sum"]


@pytest.mark.parametrize(
    ("mi", "backbone", "class_maps"),
    [*((mi, None, 0) for mi in VARIANTS), ("full", None, 7), ("full", "mobilenet_v1", 3)],
)
def test_minet_its_variants_and_its_separable_kin_keep_their_answers(
    mi: str, backbone: str | None, class_maps: int
) -> None:
    network = trained(mi, backbone, class_maps)
    tensors = [to_tensor(pixels(seed), SPEC) for seed in range(6)]
    native = NativeNetwork(quantize(network, tensors, SPEC), SIZE, SIZE)
    with torch.inference_mode():
        wanted = [listed(network(torch.from_numpy(tensor))) for tensor in tensors]
    answers = [native.run(pixels(seed)) for seed in range(6)]
    for at in range(2 if class_maps else 1):
        right = np.stack([each[at].numpy() for each in wanted])
        answer = np.stack([each[at] for each in answers])
        noise = np.square(answer - right).mean() / np.square(right - right.mean()).mean()
        assert noise < 0.05, f"its error is {noise:.3f} of the signal"


def test_a_name_moves_nothing_that_is_decided() -> None:
    """To the bit: the classes are read off a tensor that is there without them."""
    named, plain = trained(class_maps=5), trained()
    plain.load_state_dict(
        {name: value for name, value in named.state_dict().items() if "namer" not in name}
    )
    tensors = [to_tensor(pixels(seed), SPEC) for seed in range(4)]
    one, two = (NativeNetwork(quantize(n, tensors, SPEC), SIZE, SIZE) for n in (named, plain))
    np.testing.assert_array_equal(one.run(pixels(9))[0], two.run(pixels(9))[0])


@pytest.mark.parametrize(("heads", "why"), [((1, 3, 3), "more heads"), ((3,), "none that decid")])
def test_a_network_has_one_head_that_decides_and_one_more_at_most(
    heads: tuple[int, ...], why: str
) -> None:
    program = Programs(1).separable(16, 32, (1,))
    *others, head = program.operations
    assert isinstance(head, Head)
    made = [
        replace(head, weights=np.ones((n, 32), int), scale=np.ones(n), bias=np.ones(n))
        for n in reversed(heads)
    ]
    with pytest.raises(ValueError, match=why):
        NativeNetwork(replace(program, operations=[*others, *made]).to_bytes(), 32, 32)


def test_a_network_of_other_operations_is_refused_with_the_engines_that_run_it() -> None:
    network = deploy(build("minet", align_corners=False, backbone="squeezenet1_1"))
    with pytest.raises(NoNativeForm, match="openvino, onnxruntime or litert"):
        quantize(network, [to_tensor(pixels(0), SPEC)], SPEC)


@settings(max_examples=150)
@given(data=st.data())
def test_a_broken_file_is_refused_or_runs_and_never_reads_out_of_bounds(
    data: st.DataObject,
) -> None:
    whole = bytearray(Programs(1).separable(16, 32, (1, 2)).to_bytes())
    end = data.draw(st.integers(0, len(whole)))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(whole[:end] if data.draw(st.booleans()) else whole)
    try:
        network = NativeNetwork(broken, 32, 32)
    except ValueError:
        return
    assert network.run(pixels(0, 32, 32))[0].shape == (1, 1, 16, 16)


def test_a_tensor_that_nothing_reads_is_refused() -> None:
    program = Programs(1).separable(16, 32, (1,))
    idle = replace(program, tensors=[*program.tensors, (16, 1)])
    with pytest.raises(ValueError, match="a tensor is never read"):
        NativeNetwork(idle.to_bytes(), 32, 32)


@pytest.mark.parametrize(("height", "width"), [(0, 32), (40, 64), (64, 1 << 20)])
def test_a_size_it_cannot_have_is_refused_with_those_it_can(height: int, width: int) -> None:
    data = Programs(1).minet().to_bytes()
    with pytest.raises(ValueError, match="multiples of 32"):
        NativeNetwork(data, height, width)


def test_a_body_that_this_cpu_does_not_run_is_refused() -> None:
    with pytest.raises(ValueError, match="does not run body mmx"):
        NativeNetwork(Programs(1).minet().to_bytes(), 32, 32, "mmx")


@pytest.mark.parametrize("body", BODIES)
def test_the_environment_forces_a_body(body: str, tmp_path: Path) -> None:
    artefact = tmp_path / "native.bin"
    artefact.write_bytes(Programs(1).minet().to_bytes())
    program = (
        "import sys; from edge.engines.native_engine import NativeNetwork, forced_body\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "print(NativeNetwork(data, 32, 32, forced_body()).body)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, artefact],
        env={"TRACKSIDE_ISA": body, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == body


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("native") / "a.bundle")


def make_bundle(path: Path, *, right: bool = True) -> Bundle:
    """A bundle whose golden output is the real network's answer, or the opposite of it."""
    network = trained()
    tensors = [to_tensor(pixels(seed), SPEC) for seed in range(6)]
    with torch.inference_mode():
        median = network(torch.from_numpy(tensors[0])).median()
        network.get_submodule("head").bias -= median  # half of the golden mask is defect
        logits = network(torch.from_numpy(tensors[0])).numpy()[0, 0]
    probability = sigmoid(logits if right else -logits)
    files = {
        "native.bin": quantize(network, tensors, SPEC),
        "in.png": cv2.imencode(".png", pixels(0))[1].tobytes(),
        "out.png": cv2.imencode(".png", np.rint(255 * probability))[1].tobytes(),
    }
    manifest = Manifest(
        format=2,
        name="native",
        network="minet",
        input=SPEC,
        output=OutputSpec(height=SIZE // 2, width=SIZE // 2, kind="logits"),
        threshold=0.5,
        classes=["defect"],
        limits=Limits(min_area_mm2=1, min_extent_mm=1),
        artefacts=[Artefact(engine="native", precision="int8", path="native.bin", layout="NCHW")],
        golden=Golden(input="in.png", output="out.png", min_iou=0.8, max_mae=0.1),
        provenance={"made by": "the tests"},
    )
    return write_bundle(manifest, files, path)


def test_the_golden_pair_passes_right_weights_and_refuses_wrong_ones(
    bundle: Bundle, tmp_path: Path
) -> None:
    check_golden(bundle, open_engine(NativeSettings(), bundle))
    wrong = make_bundle(tmp_path / "wrong.bundle", right=False)
    with pytest.raises(BundleError, match="native int8 answers the golden input with IoU"):
        check_golden(wrong, open_engine(NativeSettings(), wrong))


def test_it_takes_the_pixels_and_refuses_the_tensor_made_of_them(bundle: Bundle) -> None:
    engine = open_engine(NativeSettings(), bundle)
    assert prepare(pixels(2), SPEC, engine).dtype == np.uint8
    with pytest.raises(ValueError, match=r"takes uint8 .* not float32 .*: make it with `prepare`"):
        engine.infer(to_tensor(pixels(2), SPEC))


def test_frames_side_by_side_get_the_answers_they_get_one_by_one(bundle: Bundle) -> None:
    frames = [to_pixels(pixels(seed), SPEC) for seed in range(20)]
    one, three = (open_engine(NativeSettings(threads=n), bundle) for n in (1, 3))
    for answer, wanted in zip(three.infer_all(frames), one.infer_all(frames), strict=True):
        np.testing.assert_array_equal(answer.logits, wanted.logits)
    three.close()


def test_a_picture_of_another_size_is_answered_as_by_a_network_of_that_size(
    bundle: Bundle,
) -> None:
    """Sizes come and go, more of them than are kept; those that no network can have are refused."""
    engine = open_engine(NativeSettings(threads=2), bundle)
    data = bundle.read("native.bin")
    sizes = [(32 * rows, 32 * columns) for rows in (1, 3) for columns in (1, 2, 3, 4)]
    for height, width in [*sizes, (SIZE, SIZE), *reversed(sizes)]:
        shown = pixels(height + width, height, width)
        [wanted] = NativeNetwork(data, height, width).run(shown)
        np.testing.assert_array_equal(engine.infer(shown[None, None]).logits, wanted)
    for height, width in ((40, SIZE), (SIZE, 0)):
        with pytest.raises(ValueError, match="takes uint8"):
            engine.infer(np.zeros((1, 1, height, width), np.uint8))
    engine.close()


def test_other_threads_run_while_it_infers(bundle: Bundle) -> None:
    network = NativeNetwork(bundle.read("native.bin"), 1024, 1024, "portable")
    count, ended = 0, threading.Event()

    def infer() -> None:
        network.run(np.zeros((1024, 1024), np.uint8))
        ended.set()

    thread = threading.Thread(target=infer)
    thread.start()
    while not ended.wait(0.001):
        count += 1
    thread.join()
    assert count > 10


def test_an_engine_closes_twice_and_refuses_what_does_not_fit(bundle: Bundle) -> None:
    engine = open_engine(NativeSettings(), bundle)
    for wrong in (np.zeros((1, 1, 32, SIZE), np.float32), np.zeros((1, 1, SIZE, SIZE))):
        with pytest.raises(ValueError, match="takes uint8"):
            engine.infer(wrong)
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.infer(to_pixels(pixels(0), SPEC))


def test_a_damaged_artefact_makes_the_bundle_one_to_refuse(bundle: Bundle, tmp_path: Path) -> None:
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    files["native.bin"] = files["native.bin"][:-1]
    damaged = write_bundle(bundle.manifest, files, tmp_path / "a.bundle")
    with pytest.raises(BundleError, match=r"native cannot run native\.bin \(it ends early\)"):
        open_engine(NativeSettings(), damaged)


def test_auto_takes_the_native_engine_where_the_bundle_has_it(bundle: Bundle) -> None:
    _, engine = load_network(AutoSettings(), bundle.path)
    assert engine.name == "native int8"


def test_auto_takes_another_engine_and_says_why_where_the_native_one_answers_wrongly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = open_bundle(SHIPPED["strip"])
    others = [a for a in bundle.manifest.artefacts if a.engine != "native"]
    wrong = Artefact(engine="native", precision="int8", path="wrong.bin", layout="NCHW")
    manifest = bundle.manifest.model_copy(update={"artefacts": [wrong, *others]})
    named = {path for artefact in others for path in artefact.files}
    assert manifest.golden.names is not None
    named |= {manifest.golden.input, manifest.golden.output, manifest.golden.names.output}
    files = {name: bundle.read(name) for name in named}
    unlike = trained(class_maps=len(manifest.classes))
    files["wrong.bin"] = quantize(
        unlike, [to_tensor(pixels(seed), SPEC) for seed in range(6)], SPEC
    )
    write_bundle(manifest, files, tmp_path / "a.bundle")
    with caplog.at_level("INFO", "trackside"):
        _, engine = load_network(AutoSettings(), tmp_path / "a.bundle")
    assert engine.name == "onnxruntime int8"
    assert "not native:" in caplog.text
    assert "golden input" in caplog.text
