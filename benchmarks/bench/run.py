"""One run, from what was ordered to its record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.bench.machine import Probe, stolen_share
from benchmarks.bench.peers import on_threads, peer_entries
from benchmarks.bench.plan import Choice, Entry, bundle_entries
from benchmarks.bench.rounds import Effort, Show, measure
from benchmarks.bench.rows import ceilings, rows
from benchmarks.bench.schema import BenchRecord, BundleRecord, LeftOut
from edge.bundle import Bundle, open_bundle
from edge.errors import ConfigurationError
from edge.network import resolve_bundle


@dataclass(frozen=True)
class Order:
    """What to measure."""

    bundles: Sequence[str]
    engines: Sequence[Choice] | None  # None: all that a bundle has artefacts for
    threads: Sequence[int]
    sizes: Sequence[int | None]  # None: the bundle's own
    effort: Effort
    peers: bool = False
    checkpoint: Path | None = None


def run(order: Order, command: str, show: Show) -> BenchRecord:
    """Open, measure, and write down; stopped by Ctrl-C it is a record of what there is."""
    probe, start = Probe(), time.monotonic()
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    before, ticks = probe.reading(), probe.ticks()
    bundles = _told_apart([open_bundle(resolve_bundle(path)) for path in order.bundles])
    left_out: list[LeftOut] = []
    groups = list(_groups(bundles, order, left_out, show))
    measured = measure(groups, order.effort, show)
    left_out += measured.left_out
    if measured.complete and not measured.runners:
        reasons = "; ".join(f"{one.what}: {one.reason}" for one in left_out)
        raise ConfigurationError(f"nothing is left to measure: {reasons}")
    return BenchRecord(
        command=command,
        complete=measured.complete,
        seconds=round(time.monotonic() - start, 1),
        machine=probe.machine(date, before, probe.reading(), stolen_share(ticks, probe.ticks())),
        bundles=[BundleRecord(name=b.manifest.name, sha256=b.digest) for b in bundles],
        roofline={str(threads): ceiling for threads, ceiling in ceilings(measured).items()},
        rows=rows(measured),
        left_out=left_out,
    )


def _told_apart(bundles: list[Bundle]) -> list[Bundle]:
    """Two of one name, an old and a new one, get a piece of their hash behind it."""
    names = Counter(bundle.manifest.name for bundle in bundles)
    return [b if names[b.manifest.name] == 1 else _renamed(b) for b in bundles]


def _renamed(bundle: Bundle) -> Bundle:
    name = f"{bundle.manifest.name}-{bundle.digest[:8]}"
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"name": name}))


def _groups(
    bundles: Sequence[Bundle], order: Order, left_out: list[LeftOut], show: Show
) -> Iterator[list[Entry]]:
    """Rows that take turns: of one size and one number of threads."""
    own = {
        (size, threads): [
            entry
            for bundle in bundles
            for entry in bundle_entries(bundle, order.engines, threads=threads, size=size)
        ]
        for size in order.sizes
        for threads in order.threads
    }  # all of them before any peer, which takes minutes
    for size in order.sizes:
        peers = list(_peers(bundles, order, size, left_out, show)) if order.peers else []
        for threads in order.threads:
            yield own[size, threads] + [on_threads(peer, threads) for peer in peers]


def _peers(
    bundles: Sequence[Bundle],
    order: Order,
    size: int | None,
    left_out: list[LeftOut],
    show: Show,
) -> Iterator[Entry]:
    """Those of each network once, and those of other papers once."""
    by_network = {bundle.manifest.network: bundle for bundle in reversed(bundles)}
    for bundle in by_network.values():
        spec = bundle.manifest.input
        of = (size, size) if size else (spec.height, spec.width)
        yield from peer_entries(
            bundle,
            of,
            order.checkpoint,
            with_others=size == order.sizes[0] and bundle is bundles[0],
            left_out=left_out,
            show=show,
        )
