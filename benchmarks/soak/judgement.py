"""The evidence of a soak, judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.soak import figures, invariants
from benchmarks.soak.evidence import Evidence
from benchmarks.soak.invariants import Finding
from benchmarks.soak.truth import fates, passed_um, sound_share
from edge.line_file import LineSettings


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
    findings = [
        invariants.defects_rejected(fates(config, evidence), sound_share(config, evidence)),
        invariants.orders_in_ledger(evidence, passed_um(config, evidence)),
        invariants.frames_in_store(evidence),
        invariants.rail_inspected(evidence),
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
