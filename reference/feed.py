"""Batches in the order of their iterations, cut ahead of need by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from reference.data import Batch


def feed(cut: Callable[[int], Batch], iterations: Iterable[int], workers: int) -> Iterator[Batch]:
    """What `cut` gives for each; without `workers`, each is cut when it is asked for."""
    if not workers:
        yield from map(cut, iterations)
        return
    ahead: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for iteration in iterations:
            ahead.append(pool.submit(cut, iteration))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
