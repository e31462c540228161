"""The native engine's NUMERICS.md in NumPy: slow, plain, and what every body is tested against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.targets.native_artefact import Add, Head, Module, Program, Requantisation, Stem

Integers = NDArray[Any]


def run(program: Program, pixels: Integers) -> list[NDArray[np.float32]]:
    """H,W u8 pixels to 1,1,h,w logits, and to 1,C,h,w of classes if it names any."""
    tensors: dict[int, Integers] = {}  # H,W,C
    answers: list[NDArray[np.float32]] = []
    for operation in program.operations:
        if isinstance(operation, Stem):
            padded = np.pad(pixels.astype(np.int64), 1, constant_values=program.padding)
            taps = _taps(padded[..., None], stride=2, dilation=1)
            sums = np.einsum("tyxc,nt->yxn", taps, operation.weights.reshape(-1, 9).astype(int))
            tensors[operation.output] = requantise(sums, operation.requantisation)
        elif isinstance(operation, Module):
            _module(operation, tensors, program)
        elif isinstance(operation, Add):
            total: Integers | None = None
            _, level = program.tensors[operation.output]
            for index, multiplier in operation.summands:
                x = tensors[index].astype(np.int64)
                wide = double(x) << 3 if program.tensors[index][1] > level else x << 7
                scaled = scale(wide, multiplier)
                total = scaled if total is None else sat16(total + scaled)
            assert total is not None
            tensors[operation.output] = np.clip((total + 32) >> 6, 0, 255)
        else:
            answers.insert(0, _head(operation, tensors))
    return answers  # of the head that decides, which is the last, first


def sat16(a: Integers) -> Integers:
    return np.clip(a, -(2**15), 2**15 - 1)


def scale(a: Integers, multiplier: Integers) -> Integers:
    return (a * multiplier.astype(np.int64) + 2**14) >> 15


def requantise(
    sums: Integers,
    to: Requantisation,
    x: Integers | None = None,
    residual: Integers | None = None,
) -> Integers:
    t = sat16((sums + to.bias.astype(np.int64)) >> to.shift.astype(np.int64))
    if x is None or residual is None:
        return np.clip(scale(t, to.multiplier), 0, 255)
    total = sat16(scale(np.maximum(t, 0), to.multiplier) + scale(x << 7, residual))
    return np.clip((total + 32) >> 6, 0, 255)


def double(x: Integers) -> Integers:
    """Bilinear with half-pixel centres, in sixteenths."""
    for axis in (0, 1):
        before = np.concatenate([x.take([0], axis), x.take(range(x.shape[axis] - 1), axis)], axis)
        after = np.concatenate([x.take(range(1, x.shape[axis]), axis), x.take([-1], axis)], axis)
        pair = np.stack([3 * x + before, 3 * x + after], axis + 1)
        shape = list(x.shape)
        shape[axis] *= 2
        x = pair.reshape(shape)
    return x


def _module(module: Module, tensors: dict[int, Integers], program: Program) -> None:
    m = x = tensors[module.input].astype(np.int64)
    height, width = x.shape[0] // module.stride, x.shape[1] // module.stride
    if module.mix is not None and module.squeeze is not None:
        s = np.broadcast_to(module.mix.astype(np.int64), (height, width, x.shape[2]))
        for branch in module.branches:
            d = branch.dilation
            padded = np.pad(x, ((d, d), (d, d), (0, 0)))
            taps = _taps(padded, stride=module.stride, dilation=d)
            z = np.einsum("tyxc,ct->yxc", taps, branch.weights.reshape(-1, 9).astype(int))
            z = z + branch.bias
            assert z.min() >= -(2**15) and z.max() < 2**15
            s = sat16(s + np.where(branch.sign > 0, np.maximum(z, 0), np.minimum(z, 0)))
        m = np.clip(scale(s, module.squeeze), 0, 255)
    if module.pointwise is not None:
        sums = m @ module.pointwise.weights.T.astype(np.int64)
        residual = None if module.residual is None else tensors[module.residual].astype(np.int64)
        pointwise = module.pointwise
        m = requantise(sums, pointwise.requantisation, residual, pointwise.residual)
    channels, _ = program.tensors[module.output]
    whole = tensors.setdefault(module.output, np.zeros((height, width, channels), np.int64))
    whole[..., module.offset : module.offset + m.shape[2]] = m


def _taps(padded: Integers, *, stride: int, dilation: int) -> Integers:
    """9,H,W,C: what each tap of a 3x3 filter sees, of a map padded by its dilation."""
    height, width = (side - 2 * dilation for side in padded.shape[:2])
    return np.stack(
        [
            padded[y : y + height : stride, x : x + width : stride]
            for y in range(0, 3 * dilation, dilation)
            for x in range(0, 3 * dilation, dilation)
        ]
    )


def _head(head: Head, tensors: dict[int, Integers]) -> NDArray[np.float32]:
    sums = tensors[head.input] @ head.weights.T.astype(np.int64)
    logits = sums.astype(np.float32) * np.float32(head.scale) + np.float32(head.bias)
    return np.asarray(logits.transpose(2, 0, 1)[None], np.float32)
