"""What several networks make of an image in several sizes, mirrored and turned: the mean of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.types import Image
from reference.trained.network import TrainedNetwork

Map = NDArray[np.floating]


class Views:
    """Ways to look at an image, of which each gives a map."""

    def __init__(
        self,
        networks: Sequence[TrainedNetwork],
        sizes: Sequence[int] | None,
        output: int,
        finish: Callable[[Map, tuple[int, ...]], Map],
        *,
        views: bool,
    ) -> None:
        if len({network.recipe.colour for network in networks}) > 1:
            raise UsageError("some of the networks see colour and some do not: average like ones")
        self.colour = networks[0].recipe.colour
        self._networks = [network.at(size) for network in networks for size in sizes or ()]
        self._networks = self._networks or [*networks]  # each at its recipe's own size
        self._turns = list(product(range(4), (False, True))) if views else [(0, False)]
        self._output, self._finish = output, finish

    def mean(self, image: Image) -> Map:
        """Of what they all make of an image, at its own size."""
        return np.asarray(np.mean(list(self._maps(image)), axis=0), np.float32)

    def _maps(self, image: Image) -> Iterator[Map]:
        for network, (turns, mirrored) in product(self._networks, self._turns):
            turned = np.rot90(image, turns)
            turned = np.ascontiguousarray(np.fliplr(turned) if mirrored else turned)
            said = network.look(turned, self._output).probability
            shown = self._finish(said, turned.shape[:2])
            yield np.rot90(np.fliplr(shown) if mirrored else shown, -turns)
