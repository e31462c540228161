"""Random networks of integers for the native engine: every operation, with the bounds kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.targets.native_artefact import (
    Add,
    Branch,
    Head,
    Module,
    Pointwise,
    Program,
    Requantisation,
    Stem,
)

Integers = NDArray[Any]


class Programs:
    """Draws programs whose activations neither vanish nor all saturate."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def minet(self) -> Program:
        """Small, with all that MINet's full form has and what its variants and kin add."""
        tensors: list[tuple[int, int]] = []

        def tensor(channels: int, level: int) -> int:
            tensors.append((channels, level))
            return len(tensors) - 1

        t1, t2, t3 = tensor(16, 1), tensor(32, 2), tensor(32, 2)
        wide, joined = tensor(64, 2), tensor(32, 2)
        t4, t5, t6, t7 = tensor(64, 3), tensor(96, 3), tensor(128, 3), tensor(32, 3)
        t8, named, t9, alone = tensor(32, 2), tensor(32, 2), tensor(16, 2), tensor(16, 1)
        operations = [
            Stem(t1, self._weights(16, 3, 3), self._requantisation(16, 9 * 60 * 128)),
            self._module(t1, t2, 16, 32, stride=2),
            self._module(t2, t3, 32, 32, dilations=(1, 2, 4, 8), residual=t2),
            self._module(t3, wide, 32, 32, dilations=(2,)),
            self._module(t3, wide, 32, 32, dilations=(3, 1), offset=32),
            self._module(wide, joined, 64, 32, dilations=(), residual=t3),
            self._module(joined, t4, 32, 64, stride=2),
            self._module(t4, t5, 64, 96),
            self._module(t5, t6, 96, 128, dilations=(1, 2, 4, 8)),
            self._module(t6, t7, 128, 32, dilations=(8,)),
            Add(t8, [(t3, self._share(32)), (t7, self._share(32)), (joined, self._share(32))]),
            self._module(t8, named, 32, 32),
            self._head(named, 32, 7, 30000),
            self._module(t8, t9, 32, 16, dilations=(2,)),
            Add(alone, [(t1, self._share(16)), (t9, self._share(16))]),
            self._head(alone, 16, 1, 30000),
        ]
        return Program(115, tensors, operations)

    def separable(self, channels: int, outputs: int, dilations: tuple[int, ...]) -> Program:
        """One module of any shape between a stem and a head."""
        tensors = [(channels, 1), (outputs, 1)]
        stem = Stem(0, self._weights(channels, 3, 3), self._requantisation(channels, 9 * 60 * 128))
        module = self._module(
            0,
            1,
            channels,
            outputs,
            dilations=dilations,
            residual=0 if channels == outputs else None,
        )
        return Program(0, tensors, [stem, module, self._head(1, outputs, 1, 99)])

    def halving(self, parts: tuple[int, ...], branches: int) -> Program:
        """A module of stride 2, over a tensor that is joined of parts of so many channels."""
        channels, inner = sum(parts), (1,) * branches
        tensors = [(16, 1), (channels, 1), (32, 2)]
        offsets = [sum(parts[:index]) for index in range(len(parts))]
        operations = [
            Stem(0, self._weights(16, 3, 3), self._requantisation(16, 9 * 60 * 128)),
            *(
                self._module(0, 1, 16, part, dilations=(), offset=offset)
                for offset, part in zip(offsets, parts, strict=True)
            ),
            self._module(1, 2, channels, 32, dilations=inner, stride=2),
            self._head(2, 32, 1, 30000),
        ]
        return Program(115, tensors, operations)

    def _head(self, source: int, channels: int, outputs: int, largest: int) -> Head:
        draw = self._random
        weights = draw.integers(-largest, largest, (outputs, channels))
        scales = draw.uniform(1e-6, 1e-5, outputs) * 1e4 / largest
        return Head(source, weights, scales, draw.uniform(-1, 1, outputs))

    def _module(
        self,
        source: int,
        target: int,
        channels: int,
        outputs: int,
        *,
        dilations: tuple[int, ...] = (1,),
        stride: int = 1,
        residual: int | None = None,
        offset: int = 0,
    ) -> Module:
        draw = self._random
        branches = [
            Branch(
                dilation,
                self._filters(channels),
                draw.integers(-120, 120, channels),
                draw.choice([-1, 1], channels) if len(dilations) > 1 else np.ones(channels, int),
            )
            for dilation in dilations
        ]
        requantisation = self._requantisation(outputs, channels * 60 * 40)
        pointwise = Pointwise(
            self._weights(outputs, channels),
            requantisation,
            None if residual is None else draw.integers(8000, 17000, outputs),
        )
        mix = squeeze = None
        if branches:
            mix = draw.integers(-2000, 4000, channels)
            if len(branches) == 1 and draw.integers(2):
                mix *= 0  # as a separable convolution has it: bodies take a shorter way
            squeeze = draw.integers(200, 900, channels)
        return Module(source, target, branches, mix, squeeze, pointwise, residual, stride, offset)

    def _weights(self, *shape: int) -> Integers:
        weights = self._random.integers(-128, 128, shape)
        # Of neighbouring inputs only one may be large: see the bounds in NUMERICS.md.
        weights[..., 1::2] = np.clip(
            weights[..., 1::2],
            -128 - np.minimum(weights[..., : weights.shape[-1] // 2 * 2 : 2], 0),
            128 - np.maximum(weights[..., : weights.shape[-1] // 2 * 2 : 2], 0),
        )
        return weights

    def _filters(self, channels: int) -> Integers:
        weights = self._random.normal(size=(channels, 9)) * self._random.uniform(1, 60)
        for sign in (1, -1):
            mass = np.maximum(sign * weights, 0).sum(axis=1, keepdims=True)
            share = np.minimum(1, 124 / (mass + 1e-9))
            weights = np.where(sign * weights > 0, weights * share, weights)
        return np.trunc(np.clip(weights, -127, 127)).astype(int).reshape(channels, 3, 3)

    def _requantisation(self, outputs: int, reach: int) -> Requantisation:
        bits = max(0, int(np.log2(reach)) - 15)
        return Requantisation(
            self._random.integers(-reach // 4, reach // 2, outputs),
            self._random.integers(max(0, bits - 1), bits + 2, outputs),
            self._random.integers(100, 32768, outputs) // 8,
        )

    def _share(self, channels: int) -> Integers:
        return self._random.integers(3000, 16384, channels)
