"""The same runs on Ray Data: a pool of actors, each with the networks loaded once.

A run is inspected by one actor and comes back as the very bytes that one process would have
written for it, so the rows are the same however many there are and whichever of them are lost: Ray
gives the run of one that died to another. Needs the extra `ray`.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray

from edge.backtest.archive import open_place
from edge.backtest.cases import Run
from edge.backtest.judging import Networks, inspect_run
from edge.backtest.listing import ByLine
from edge.backtest.parts import packed
from edge.backtest.run import Asked

LOCAL = "local"  # Ray is begun here, and ends with the backtest


@dataclass(frozen=True)
class OnRay:
    """Opens a pool at a cluster's address, or one of this machine."""

    address: str
    workers: int | None = None  # as many as there are processors

    def __call__(self, asked: Asked, networks: Networks) -> _Pool:
        bundles = [
            None if network is None else network.bundle.zipped()
            for network in (networks.new, networks.old)
        ]
        # No node is to know a line file's secrets: a run has all of it that it needs.
        return _Pool(self, replace(asked, by=ByLine(None, None)), bundles)


@dataclass(frozen=True)
class _Pool:
    asked_of: OnRay
    asked: Asked
    bundles: list[bytes | None]

    def inspect(self, runs: list[Run]) -> Iterator[tuple[Run, bytes]]:
        address = None if self.asked_of.address == LOCAL else self.asked_of.address
        logging.getLogger("ray.data").setLevel(logging.WARNING)  # our own bar says how far it is
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="WARNING",
            **({"include_dashboard": False} if address is None else {}),
        )
        try:
            ray.data.DataContext.get_current().enable_progress_bars = False
            cores = int(ray.cluster_resources().get("CPU", 1))
            count = max(1, min(self.asked_of.workers or cores, len(runs)))
            items = [
                {"number": number, "run": pickle.dumps(run)} for number, run in enumerate(runs)
            ]
            done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                _Inspecting,
                fn_constructor_args=(self.asked, self.bundles),
                batch_size=1,
                num_cpus=1,
                compute=ray.data.ActorPoolStrategy(size=count),
            )
            for row in done.iter_rows():
                yield runs[int(row["number"])], bytes(row["content"])
        finally:
            ray.shutdown()


class _Inspecting:
    """One actor: the networks stay loaded."""

    def __init__(self, asked: Asked, bundles: list[bytes | None]) -> None:
        with TemporaryDirectory() as folder:  # a node of a cluster has none of our files
            paths = [self._written(Path(folder) / f"{n}.bundle", b) for n, b in enumerate(bundles)]
            local = replace(
                asked, bundle=str(paths[0]), against=None if paths[1] is None else str(paths[1])
            )
            self._networks = local.networks()

    @staticmethod
    def _written(path: Path, content: bytes | None) -> Path | None:
        if content is None:
            return None
        path.write_bytes(content)
        return path

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        found = []
        for text in batch["run"]:
            run: Run = pickle.loads(text)
            rows = inspect_run(run, self._networks, open_place(run.archive).read)
            found.append(packed(rows))
        return {"number": batch["number"], "content": found}
