"""What this machine can reach at all, measured in the same run, and how near a row comes to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.bench.schema import Ceiling
from benchmarks.bench.sources import Source

SIDE = 512  # of the matrices: large enough for full speed, small enough for every core's cache
_COPY_BYTES = 64 << 20  # more than a core keeps for itself
_TURN_S = 0.1  # for each of the three


@dataclass(frozen=True, slots=True)
class Rates:
    """The best of one turn, operations and bytes a second."""

    sgemm: float
    int8_gemm: dict[str, float]  # by library
    copy: float


class CeilingBench:
    """Measures in its own process, whose BLAS was told how many threads it has."""

    def __init__(self, threads: int) -> None:
        rng = np.random.default_rng(0)
        self._a, self._b = rng.random((2, SIDE, SIDE), np.float32)
        self._c = np.empty_like(self._a)
        self._from, self._to = np.ones((2, _COPY_BYTES), np.uint8)
        self._int8 = dict(_int8_products(threads))

    def turn(self) -> Rates:
        operations = 2 * SIDE**3
        copied = 2 * _COPY_BYTES  # read and written
        return Rates(
            sgemm=operations / _fastest_s(lambda: np.matmul(self._a, self._b, out=self._c)),
            int8_gemm={name: operations / _fastest_s(run) for name, run in self._int8.items()},
            copy=copied / _fastest_s(lambda: np.copyto(self._to, self._from)),
        )


def ceiling(turns: Sequence[Rates]) -> Ceiling:
    """The best of all turns: a ceiling that gave way to noise would flatter what is beneath it."""
    by_library = {name: max(t.int8_gemm[name] for t in turns) for name in turns[0].int8_gemm}
    best = max(by_library, key=by_library.__getitem__, default=None)
    return Ceiling(
        sgemm_gflops=round(max(t.sgemm for t in turns) / 1e9, 1),
        int8_gemm_gops=None if best is None else round(by_library[best] / 1e9, 1),
        int8_gemm_by=best,
        copy_gb_per_s=round(max(t.copy for t in turns) / 1e9, 1),
    )


def floor_ms(source: Source, precision: str, ceiling: Ceiling) -> float | None:
    """What an inference takes at least: its multiply-adds at the matrix product's speed, or its
    weights, image and logits once through memory. What no engine could avoid, and nothing else.
    """
    manifest = source.manifest
    gops = ceiling.int8_gemm_gops if precision == "int8" else ceiling.sgemm_gflops
    if manifest.macs is None or gops is None:
        return None
    spec, answer = manifest.input, manifest.output
    values = spec.channels * spec.height * spec.width + answer.height * answer.width
    at_once = source.weight_bytes + values * (1 if precision == "int8" else 4)
    compute_ms = 2 * manifest.macs / gops / 1e6
    memory_ms = at_once / ceiling.copy_gb_per_s / 1e6
    return max(compute_ms, memory_ms)


def _fastest_s(run: Callable[[], Any]) -> float:
    run()
    fastest, until = float("inf"), time.perf_counter() + _TURN_S
    while (start := time.perf_counter()) < until:
        run()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def _int8_products(threads: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The product in each library that is installed, since NumPy has none for bytes."""
    for name, make in (("ONNX Runtime", _onnxruntime), ("OpenVINO", _openvino)):
        try:
            yield name, make(threads)
        except ImportError:
            continue


def _onnxruntime(threads: int) -> Callable[[], Any]:
    import onnxruntime  # noqa: PLC0415 (whichever is installed)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        matmul_integer(), options, providers=["CPUExecutionProvider"]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)
    return lambda: session.run(None, {"a": pixels})


def _openvino(threads: int) -> Callable[[], Any]:
    import openvino  # noqa: PLC0415
    from openvino import opset13 as op  # noqa: PLC0415

    pixels = op.parameter([SIDE, SIDE], np.float32)
    low, high = np.float32(0), np.float32(2.55)
    bytes_of_it = op.fake_quantize(pixels, low, high, low, high, 256)
    weights = op.multiply(op.convert(op.constant(int8_weights()), "f32"), np.float32(0.01))
    model = openvino.Model([op.matmul(bytes_of_it, weights, False, True)], [pixels])
    properties = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(model, "CPU", properties).create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.ones((SIDE, SIDE), np.float32)))
    infer: Callable[[], Any] = request.infer
    return infer


def int8_weights() -> np.ndarray[Any, np.dtype[np.int8]]:
    # 7 bits, which no kernel's 16-bit sums overflow
    return np.random.default_rng(1).integers(-63, 64, (SIDE, SIDE), np.int8)


def matmul_integer() -> bytes:
    """`c = a * b` as an ONNX file, u8 by s8 to s32. A box has ONNX Runtime and no `onnx`."""
    weights = int8_weights()
    shape = b"".join(_field(1, side) for side in weights.shape)
    node = _field(1, b"a") + _field(1, b"b") + _field(2, b"c") + _field(4, b"MatMulInteger")
    b = shape + _field(2, _INT8) + _field(8, b"b") + _field(9, weights.tobytes())
    graph = (
        _field(1, node)
        + _field(2, b"product")
        + _field(5, b)
        + _field(11, _value(b"a", _UINT8, weights.shape))
        + _field(12, _value(b"c", _INT32, weights.shape))
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13))


_UINT8, _INT8, _INT32 = 2, 3, 6  # ONNX's numbers for them


def _value(name: bytes, kind: int, shape: tuple[int, ...]) -> bytes:
    sides = b"".join(_field(1, _field(1, side)) for side in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, sides)))


def _field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
