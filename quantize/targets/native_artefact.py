"""The native engine's file, as `edge/engines/native/NUMERICS.md` lays it out: integers to bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC, FORMAT, NONE = b"TRACKNAT", 2, 0xFFFFFFFF
Integers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Requantisation:
    """From the sums of N channels to bytes."""

    bias: Integers  # s32 N
    shift: Integers  # u8 N
    multiplier: Integers  # s16 N


@dataclass(frozen=True, eq=False)
class Branch:
    """One depthwise 3x3 convolution of a module."""

    dilation: int
    weights: Integers  # s8 C,3,3
    bias: Integers  # s16 C
    sign: Integers  # s8 C


@dataclass(frozen=True, eq=False)
class Pointwise:
    weights: Integers  # s8 N,C
    requantisation: Requantisation
    residual: Integers | None = None  # s16 N


@dataclass(frozen=True, eq=False)
class Stem:
    output: int
    weights: Integers  # s8 N,3,3
    requantisation: Requantisation


@dataclass(frozen=True, eq=False)
class Module:
    """Branches, mixed to one map, then a pointwise convolution; either may be absent."""

    input: int
    output: int
    branches: Sequence[Branch] = ()
    mix: Integers | None = None  # s16 C
    squeeze: Integers | None = None  # s16 C
    pointwise: Pointwise | None = None
    residual: int | None = None  # a tensor
    stride: int = 1
    offset: int = 0  # of the first channel written


@dataclass(frozen=True, eq=False)
class Add:
    output: int
    summands: Sequence[tuple[int, Integers]]  # a tensor and its s16 multipliers


@dataclass(frozen=True, eq=False)
class Head:
    input: int
    weights: Integers  # s16 N,C
    scale: NDArray[np.floating]  # N
    bias: NDArray[np.floating]  # N


Operation = Stem | Module | Add | Head


@dataclass(frozen=True, eq=False)
class Program:
    """A network of integers."""

    padding: int
    tensors: Sequence[tuple[int, int]]  # channels, and the level: the image's size >> level
    operations: Sequence[Operation]

    def to_bytes(self) -> bytes:
        counts = (FORMAT, self.padding, len(self.tensors), len(self.operations))
        table = np.asarray(self.tensors, "<u4").tobytes()
        return b"".join([MAGIC, _u32(*counts), table, *map(_operation, self.operations)])


def _operation(operation: Operation) -> bytes:
    if isinstance(operation, Stem):
        return b"".join(
            [
                _u32(1, operation.output),
                _s8(operation.weights),
                _requantisation(operation.requantisation),
            ]
        )
    if isinstance(operation, Module):
        return _module(operation)
    if isinstance(operation, Add):
        parts = [_u32(3, operation.output, len(operation.summands))]
        for tensor, multiplier in operation.summands:
            parts += [_u32(tensor), _s16(multiplier)]
        return b"".join(parts)
    scales = [np.asarray(each, "<f4").tobytes() for each in (operation.scale, operation.bias)]
    place = _u32(4, operation.input, len(operation.weights))
    return b"".join([place, _s16(operation.weights), *scales])


def _module(module: Module) -> bytes:
    residual = NONE if module.residual is None else module.residual
    place = (module.input, module.output, module.offset, residual, module.stride)
    parts = [_u32(2, *place, len(module.branches), int(module.pointwise is not None))]
    for branch in module.branches:
        parts += [_u32(branch.dilation), _s8(branch.weights), _s16(branch.bias), _s8(branch.sign)]
    if module.mix is not None and module.squeeze is not None:
        parts += [_s16(module.mix), _s16(module.squeeze)]
    if module.pointwise is not None:
        pointwise = module.pointwise
        parts += [_u32(len(pointwise.weights)), _s8(pointwise.weights)]
        parts.append(_requantisation(pointwise.requantisation))
        if pointwise.residual is not None:
            parts.append(_s16(pointwise.residual))
    return b"".join(parts)


def _requantisation(r: Requantisation) -> bytes:
    return _exact(r.bias, "<i4") + _exact(r.shift, "u1") + _s16(r.multiplier)


def _u32(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _s8(values: Integers) -> bytes:
    return _exact(values, "i1")


def _s16(values: Integers) -> bytes:
    return _exact(values, "<i2")


def _exact(values: Integers, dtype: str) -> bytes:
    """The values in their type; one that does not fit would otherwise wrap."""
    whole = np.asarray(values)
    typed = whole.astype(dtype)
    if not np.array_equal(typed, whole):
        raise ValueError(f"{whole.min()}..{whole.max()} does not fit {np.dtype(dtype).name}")
    return typed.tobytes()
