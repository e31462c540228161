"""The evidence of a soak, judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.soak import figures, invariants
from benchmarks.soak.evidence import Evidence
from benchmarks.soak.invariants import Finding, Rail
from benchmarks.soak.truth import fates, passed_um, sound_share
from edge.line_file import LineSettings, Lookout


@dataclass(frozen=True)
class Judgement:
    """What held and what did not, and the figures."""

    findings: tuple[Finding, ...]
    figures: dict[str, Any]

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings)


def judge(config: LineSettings, evidence: Evidence) -> Judgement:
    slope, blocks = figures.memory_slope(evidence), figures.blocks_slope(evidence)
    rails = [_rail(config, each, evidence) for each in config.lookouts]
    findings = [
        _of_each(rails, _defects_rejected),
        _of_each(rails, _orders_in_ledger),
        _of_each(rails, lambda rail: invariants.frames_in_store(rail.evidence)),
        _of_each(rails, lambda rail: invariants.rail_inspected(rail.evidence)),
        *([invariants.others_let_be(rails, evidence.episodes)] if len(rails) > 1 else []),
        invariants.files_and_threads(evidence),
        invariants.memory_is_flat(slope),
        invariants.blocks_are_flat(blocks),
        invariants.faults_recovered(evidence),
        invariants.ended_safe(evidence),
    ]
    if config.mqtt is not None:
        findings.insert(3, invariants.messages_in_order(evidence))
    return Judgement(
        tuple(findings),
        {
            "latency_ms": figures.latencies(evidence),
            "deadlines_missed": figures.deadlines(config, evidence),
            "recovery_s": figures.recoveries(evidence),
            "processor_share": round(figures.processor_share(evidence), 3),
            "memory_mb": [round(s.resident_bytes / 1e6, 1) for s in evidence.samples[::60]],
            "memory_slope": None if slope is None else asdict(slope),
            "blocks": [count for _, count in evidence.blocks[::60]],
            "blocks_slope": None if blocks is None else asdict(blocks),
            "takeovers": figures.takeovers(evidence),
            "scrapes": evidence.scrapes,
            "pictures_viewed": evidence.pictures_viewed,
        },
    )


def _rail(config: LineSettings, lookout: Lookout, evidence: Evidence) -> Rail:
    [actuator] = lookout.actuators
    return Rail(lookout.name, config.alone(lookout.name), evidence.of(lookout.name, actuator.name))


def _defects_rejected(rail: Rail) -> Finding:
    share = sound_share(rail.config, rail.evidence)
    return invariants.defects_rejected(fates(rail.config, rail.evidence), share)


def _orders_in_ledger(rail: Rail) -> Finding:
    return invariants.orders_in_ledger(rail.evidence, passed_um(rail.config, rail.evidence))


def _of_each(rails: Sequence[Rail], find: Callable[[Rail], Finding]) -> Finding:
    """What holds must hold of every rail; of several each is named."""
    if len(rails) == 1:
        return find(rails[0])
    found = [(rail.camera, find(rail)) for rail in rails]
    return Finding(
        found[0][1].name,
        all(each.holds for _, each in found),
        "; ".join(f"{camera}: {each.said}" for camera, each in found),
        tuple(f"{camera}: {text}" for camera, each in found for text in each.against),
    )
