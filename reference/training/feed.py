"""The batches of a run in order: each process its part, cut ahead of need, on a GPU if they fit."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from lightning_fabric import Fabric

from edge.errors import ConfigurationError
from reference.data import Batch, Source, batch
from reference.data.held import DeviceBatch, HeldData
from reference.recipe import Recipe

Item = TypeVar("Item")


def batches(
    fabric: Fabric,
    recipe: Recipe,
    sources: list[Source],
    iterations: range,
    workers: int | None,
) -> Iterator[Batch | DeviceBatch]:
    """This process's batches of the given iterations."""
    own = shared_out(sources, fabric.world_size)
    numbers = (at * fabric.world_size + fabric.global_rank for at in iterations)
    if workers is None:  # a CPU that trains has no core to spare
        workers = 0 if fabric.device.type == "cpu" else os.cpu_count() or 1
    # The rectangles of the masks are found on the host, and so the masks must be there; and a
    # teacher's maps are varied there.
    on_host = recipe.loss.locates or recipe.loss.answers
    if not on_host and HeldData.fits(own, fabric.device):
        held = HeldData(own, fabric.device)
        plan = partial(held.plan, seed=recipe.seed, crop=recipe.crop)
        yield from (held.cut(drawn, crop=recipe.crop) for drawn in ahead(plan, numbers, workers))
    else:
        cut = partial(batch, own, seed=recipe.seed, crop=recipe.crop)
        yield from ahead(lambda number: cut(iteration=number), numbers, workers)


def shared_out(sources: list[Source], processes: int) -> list[Source]:
    """The sources with each process's share of every batch."""
    for source in sources:
        if source.share % processes:
            raise ConfigurationError(
                f"a share of {source.share} images is not divided among {processes} processes: "
                "make every share a multiple of them"
            )
    return [replace(source, share=source.share // processes) for source in sources]


def ahead(make: Callable[[int], Item], numbers: Iterable[int], workers: int) -> Iterator[Item]:
    """What `make` gives for each number, made ahead by threads; without any, when asked for."""
    if not workers:
        yield from map(make, numbers)
        return
    waiting: deque[Future[Item]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
