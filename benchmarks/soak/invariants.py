"""What must hold of a line whatever goes wrong around it, each found out from outside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.soak.evidence import Episode, Evidence
from benchmarks.soak.figures import Slope
from benchmarks.soak.truth import Fate, sound_share, went_by
from edge.line_file import LineSettings
from edge.store import KEPT, NO_IMAGE
from edge.types import State, Stretch, unite
from firmware_bridge.ledger import OUTCOMES, Entry, EntryKind

MOST_MB_AN_HOUR = 1.0
MOST_BLOCKS_AN_HOUR = 10_000  # of up to half a kilobyte, a hundred bytes as a rule
MOST_SOUND_SHARE = 0.25  # of the rail; an output stuck at reject would hit every defect
MOST_OF_ANOTHERS = (
    0.5  # of a rail, UNKNOWN or rejected without cause, while a camera of another fails
)
_LEAST_S = 1.0  # that such a fault and nothing else is seen for
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: whether it held, the figures, and the first cases against it."""

    name: str
    holds: bool
    said: str
    against: tuple[str, ...] = ()


def _finding(name: str, said: str, against: Sequence[str]) -> Finding:
    return Finding(name, not against, said, tuple(against[:_EXAMPLES]))


def defects_rejected(fates: Sequence[Fate], sound_share: float) -> Finding:
    got_away = [fate for fate in fates if fate.bare and fate.seen_at_leisure]
    unseen = [fate for fate in fates if fate.bare and not fate.seen_at_leisure]
    against = [
        f"{fate.defect.kind} at {fate.defect.stretch.start_um / 1e6:.3f} m: "
        f"{sum(piece.length_mm for piece in fate.bare):.1f} mm went by"
        for fate in got_away
    ]
    if not fates:
        against = ["no true defect came by"]
    if sound_share > MOST_SOUND_SHARE:
        against.append(f"{sound_share:.0%} of the rail was rejected without cause")
    said = (
        f"{len(fates) - len(got_away) - len(unseen)} of {len(fates)} by the pin's edges; "
        f"{len(got_away)} got away, {len(unseen)} the network does not see whole at leisure "
        f"either; {sound_share:.1%} of the rail rejected without cause"
    )
    return _finding("every true defect that the network can see was rejected", said, against)


def orders_in_ledger(evidence: Evidence, passed_um: int) -> Finding:
    """Each thing that a verdict told of was ordered; each order has one outcome."""
    ordered = [e for e in evidence.ledger if e.kind is EntryKind.ORDER]
    ended = Counter((e.number, e.actuator) for e in evidence.ledger if e.kind in OUTCOMES)
    stretches = [_ordered(entry) for entry in ordered]
    places = unite(stretches)
    against = [
        f"frame {told.frame}: {piece.length_mm:.1f} mm were never ordered"
        for told in evidence.verdicts()
        for wanted in told.orders
        for piece in wanted.without(places)
    ]
    pending = 0
    for entry, stretch in zip(ordered, stretches, strict=True):
        outcomes = ended[entry.number, entry.actuator]
        still_to_come = outcomes == 0 and stretch.end_um > passed_um
        pending += still_to_come
        if outcomes != 1 and not still_to_come:
            against.append(f"order {entry.number} ({entry.tag}) has {outcomes} outcomes")
    lost = [e for e in evidence.ledger if e.kind is EntryKind.LOST]
    against += [f"{entry.measure_um} entries were lost" for entry in lost]
    kinds = Counter(entry.kind for entry in evidence.ledger)
    said = (
        f"{len(ordered)} orders: {kinds[EntryKind.FIRED]} fired, {kinds[EntryKind.MISSED]} missed, "
        f"{pending} still to come; {kinds[EntryKind.UNWRITTEN]} acted on before they were on disk"
    )
    return _finding("every order is in the ledger, with one outcome", said, against)


def _ordered(order: Entry) -> Stretch:
    assert order.start_um is not None and order.end_um is not None  # of any other kind they may be
    return Stretch(order.start_um, order.end_um)


def frames_in_store(evidence: Evidence) -> Finding:
    rows = {row.frame: row for row in evidence.kept}
    told = evidence.verdicts()
    against = [
        f"frame {each.frame} ({each.state.value}) has no row"
        for each in told
        if each.state is not State.OK and each.frame not in rows
    ]
    twice = Counter(row.frame for row in evidence.kept)
    against += [f"frame {frame} has {n} rows" for frame, n in twice.items() if n > 1]
    against += [
        f"{row.pictures_missing} pictures of row {row.id} are missing"
        for row in evidence.kept
        if row.pictures_missing
    ]
    when_ns = {seen.frame: seen.decided_ns for seen in evidence.judged}
    bare = [row for row in evidence.kept if row.evidence not in (KEPT, NO_IMAGE)]
    against += [
        f"row {row.id} has no pictures ({row.evidence}), and nothing was amiss"
        for row in bare
        if not evidence.during(when_ns.get(row.frame, 0))
    ]
    if evidence.losses:
        against.append(f"the store says that {evidence.losses} events were lost")
    wanted = sum(each.state is not State.OK for each in told)
    dropped = Counter(row.evidence for row in bare)
    said = f"{wanted} NG or UNKNOWN frames, {len(evidence.kept)} rows; without pictures: " + (
        ", ".join(f"{count} ({why})" for why, count in dropped.items()) or "none"
    )
    return _finding("every NG and UNKNOWN frame is in the store", said, against)


def messages_in_order(evidence: Evidence) -> Finding:
    topics: dict[tuple[str, str], list[int]] = defaultdict(list)
    repeats = 0
    for message in [*evidence.heard, *evidence.unsent]:
        numbers = topics[message.topic, message.run]
        if numbers and message.number in numbers[-2000:]:
            repeats += 1
        else:
            numbers.append(message.number)
    against = [
        f"{topic}: after {before} came {number}"
        for (topic, _), numbers in topics.items()
        for before, number in zip([0, *numbers], numbers, strict=False)
        if number != before + 1
    ]
    verdicts = sum(len(n) for (topic, _), n in topics.items() if topic.startswith("verdict/"))
    if verdicts != len(evidence.judged):
        against.append(f"{len(evidence.judged)} frames were judged, {verdicts} verdicts were told")
    counts = ", ".join(f"{len(n)} {topic}" for (topic, _), n in topics.items())
    said = f"{counts}; {repeats} came twice, {len(evidence.unsent)} still in the spool"
    return _finding("every message arrived, in order", said, against)


def rail_inspected(evidence: Evidence) -> Finding:
    """Frames rise by one, and each begins where rail was looked at, and ends beyond it."""
    told = evidence.verdicts()
    against = []
    for before, each in pairwise(told):
        if each.frame != before.frame + 1:
            against.append(f"after frame {before.frame} came {each.frame}")
        if each.stretch.start_um > before.stretch.end_um:
            gap_mm = (each.stretch.start_um - before.stretch.end_um) / 1000
            against.append(f"frame {each.frame}: {gap_mm:.1f} mm before it have no verdict")
        if each.stretch.end_um <= before.stretch.end_um:
            against.append(f"frame {each.frame} shows no new rail")
    by_probe = [(s.frame, s.state, s.stretch) for s in evidence.judged]
    if by_probe != [(t.frame, t.state, t.stretch) for t in told]:
        against.append("the verdicts that were told are not those that were decided")
    states = Counter(each.state.value for each in told)
    metres = (told[-1].stretch.end_um - told[0].stretch.start_um) / 1e6 if told else 0.0
    counts = ", ".join(f"{states[state.value]} {state.value}" for state in State)
    said = f"{len(told)} frames, {metres:.1f} m: {counts}"
    return _finding("all rail was inspected, in order, no frame twice", said, against)


@dataclass(frozen=True, slots=True)
class Rail:
    """One camera with the actuator that it orders, as if the line had no other."""

    camera: str
    config: LineSettings
    evidence: Evidence


def others_let_be(rails: Sequence[Rail], episodes: Sequence[Episode]) -> Finding:
    """A camera that fails makes its own rail UNKNOWN; others are looked at and pass meanwhile."""
    against, faults, metres, most = list[str](), 0, 0.0, (0.0, 0.0)
    for number, episode in enumerate(episodes):
        if episode.camera is None or episode.well_ns is None:
            continue
        faults += 1
        begin_ns, end_ns = _by_itself(episode, episodes[:number], episodes[number + 1 :])
        for rail in rails:
            if rail.camera == episode.camera:
                if not _unknown(rail, episode.begun_ns, episode.well_ns):
                    against.append(f"{episode.detail}: its own rail was never UNKNOWN")
            elif end_ns - begin_ns >= _LEAST_S * 1e9:
                gone = went_by(rail.config, rail.evidence, begin_ns, end_ns)
                metres += gone.length_mm / 1000
                unknown = _unknown(rail, begin_ns, end_ns)
                rejected = sound_share(rail.config, rail.evidence, gone)
                most = max(most[0], unknown), max(most[1], rejected)
                if max(unknown, rejected) > MOST_OF_ANOTHERS:
                    against.append(
                        f"{episode.detail}: of {rail.camera} {unknown:.0%} were UNKNOWN meanwhile, "
                        f"{rejected:.0%} rejected without cause"
                    )
    said = (
        f"{faults} faults of one camera; {metres:.1f} m of the other rails went by meanwhile, of "
        f"which in one of them at most {most[0]:.0%} were UNKNOWN, {most[1]:.0%} rejected without "
        "cause"
    )
    return _finding("a camera that fails leaves the other rails as they were", said, against)


def _by_itself(
    episode: Episode, before: Sequence[Episode], after: Sequence[Episode]
) -> tuple[int, int]:
    """While nothing else was wrong."""
    assert episode.well_ns is not None
    begin_ns = max([episode.begun_ns, *(each.well_ns or each.begun_ns for each in before)])
    return begin_ns, min([episode.well_ns, *(each.begun_ns for each in after)])


def _unknown(rail: Rail, begin_ns: int, end_ns: int) -> float:
    """The share of its frames that were judged meanwhile; all, where none was."""
    states = [s.state for s in rail.evidence.judged if begin_ns <= s.decided_ns <= end_ns]
    return states.count(State.UNKNOWN) / len(states) if states else 1.0


def files_and_threads(evidence: Evidence) -> Finding:
    """What comes and goes with each reader's connection is no growth, what stays is."""
    early = [s for s in evidence.samples if evidence.complete_ns <= s.at_ns <= evidence.settled_ns]
    calm = [s for s in evidence.samples if evidence.settled_ns < s.at_ns <= evidence.ended_ns]
    late = [s for s in calm if not evidence.during(s.at_ns)][-max(5, len(early)) :]
    if not early or not late:
        return _finding("open files and threads are back", "", ["too few samples"])
    against, said = [], []
    for name in ("files", "threads"):
        before = max(getattr(sample, name) for sample in early)
        after = min(getattr(sample, name) for sample in late)
        most = max(getattr(sample, name) for sample in evidence.samples)
        said.append(f"{name}: {before} before, {after} after, {most} at most")
        if after > before:
            against.append(f"{name} grew from {before} to {after}")
    return _finding("open files and threads are back", "; ".join(said), against)


def memory_is_flat(slope: Slope | None) -> Finding:
    name = f"memory grows by less than {MOST_MB_AN_HOUR:g} MB an hour"
    return _is_flat(name, slope, MOST_MB_AN_HOUR, "+.2f", "MB")


def blocks_are_flat(slope: Slope | None) -> Finding:
    """What is kept of every frame or order shows here first: resident memory is full of noise."""
    name = f"Python holds no more blocks: less than {MOST_BLOCKS_AN_HOUR} an hour"
    return _is_flat(name, slope, MOST_BLOCKS_AN_HOUR, "+.0f", "blocks")


def _is_flat(name: str, slope: Slope | None, most: float, form: str, unit: str) -> Finding:
    if slope is None:
        return Finding(name, True, "not judged: the run is too short")
    said = f"{slope.an_hour:{form}} {unit}/h (95%: {slope.low:{form}} to {slope.high:{form}})"
    if slope.low < most <= slope.an_hour:
        said += ", which is not to be told from less in so short a time"
    return _finding(name, said, [said] if slope.low >= most else [])


def faults_recovered(evidence: Evidence) -> Finding:
    against = [
        f"{episode.fault} ({episode.detail}) was not recovered from"
        for episode in evidence.episodes
        if episode.well_ns is None
    ]
    waits = [e.recovery_s for e in evidence.episodes if e.recovery_s is not None]
    longest = f", the longest after {max(waits):.1f} s" if waits else ""
    said = f"{len(waits)} of {len(evidence.episodes)}{longest}"
    return _finding("the line was well again after every fault", said, against)


def ended_safe(evidence: Evidence) -> Finding:
    against = [f"it ended by itself: {words}" for words in evidence.last_words]
    said = f"exit code {evidence.exit_code}"
    if evidence.exit_code != 0:
        against.append(said)
    levels = {camera: active for camera, _, active in evidence.edges}
    if not levels or not all(levels.values()):
        against.append("its reject outputs were not all left at reject")
    return _finding("the line ended in good order, at reject", said, against)
