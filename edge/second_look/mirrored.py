"""An engine that is shown everything in a mirror, and whose answers are turned back.

A surface has no sides: what is found in one picture only is found by chance, or about to be missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.engines import Answer, Engine, Prepared
from edge.types import Tensor

ALONG, ACROSS = -2, -1  # the axis that is turned


class Mirrored:
    """The engine stays its owner's, who closes it."""

    def __init__(self, engine: Engine, axis: int) -> None:
        self.name = f"{engine.name}, mirrored"
        self.takes_pixels, self.blocks_at_once = engine.takes_pixels, engine.blocks_at_once
        self._engine, self._axis = engine, axis

    def infer(self, tensor: Prepared) -> Answer:
        return self._turned(self._engine.infer(self._turn(tensor)))

    def infer_all(self, tensors: Sequence[Prepared]) -> list[Answer]:
        return [self._turned(each) for each in self._engine.infer_all([*map(self._turn, tensors)])]

    def close(self) -> None: ...

    def _turned(self, answer: Answer) -> Answer:
        names = None if answer.names is None else self._turn(answer.names)
        return Answer(self._turn(answer.logits), names)

    def _turn(self, maps: Tensor | Prepared) -> Prepared:
        return np.ascontiguousarray(np.flip(maps, self._axis))
