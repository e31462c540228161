"""The tracker's rules followed slowly: everything is looked at anew with each reading.

Nothing is kept but what came, and when each claim on the rail began and ended. Where the coil acted
is walked from the switch on, through every reading since.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.core import ActuatorTraits
from firmware_bridge.core.motion import SPEED_WINDOW_NS
from firmware_bridge.types import SECOND_NS, Mode, Order, Pulse, Reading, Reason

BEFORE = -1  # the index of a reading before the first: driven from the start


@dataclass
class Claim:
    """Rail that is to be rejected: an order's, or a gap that no pass came for."""

    start_um: int
    end_um: int | None  # None: not yet known
    tag: str | None  # None: a gap
    known: int  # index of the reading at which it was heard of
    begun: int | None = None
    ended: int | None = None
    opens: bool = False  # the actuator was let go when it began


@dataclass(frozen=True)
class Outcome:
    """How much of a claim went by, why, and where the coil acted for it."""

    missed_um: int
    reason: Reason | None
    actual_um: int | None


class SlowTracker:
    """One actuator."""

    def __init__(self, settings: ActuatorTraits, *, default_reject: bool) -> None:
        self.settings = settings
        self.default_reject = default_reject
        self.readings: list[Reading] = []
        self.modes: list[Mode] = []  # at each reading
        self.claims: list[Claim] = []
        self.outcomes: list[tuple[Claim, Outcome]] = []
        self.late_passes: dict[str, bool] = {}
        self.pulses: list[Pulse] = []
        self.on: int | None = None  # index of the reading after which the coil was last driven
        self.released = False  # at the last reading
        self.drives: list[int] = []

    @property
    def active(self) -> bool:
        return self.on is not None

    def advance(
        self, reading: Reading, mode: Mode, orders: list[Order], passes: list[Order]
    ) -> None:
        self.readings.append(reading)
        self.modes.append(mode)
        i = len(self.readings) - 1
        if i == 0 and self.default_reject:
            self.on = BEFORE
            self.drives.append(BEFORE)
            self.claims.append(Claim(self.place_um(0), None, None, known=0, begun=0))
        if self.released:
            self.finish_pulse(i)
        for order in sorted(passes, key=lambda order: order.start_um):
            self.take_pass(order, i)
        self.claims += [Claim(o.start_um, o.end_um, o.tag, known=i) for o in orders]
        self.begin_and_end(i)
        self.switch(i)

    def take_pass(self, order: Order, i: int) -> None:
        """What nothing was said of ends where the pass starts, and goes on where it ends."""
        beyond = self.claims_without_end()
        start_um = max(order.start_um, beyond.start_um)
        reached_um = max(self.led_um(k) for k in range(i + 1))
        in_time = reached_um < start_um - self.settings.margin_um and order.end_um > start_um
        self.late_passes[order.tag] = not in_time
        if in_time:
            beyond.end_um = start_um
            if beyond.begun is None and beyond.start_um == start_um:
                self.claims.remove(beyond)  # the passes touch
            self.claims.append(Claim(order.end_um, None, None, known=i))

    def claims_without_end(self) -> Claim:
        [claim] = [claim for claim in self.claims if claim.end_um is None]
        return claim

    def begin_and_end(self, i: int) -> None:
        margin_um = self.settings.margin_um
        for claim in self.claims:
            if claim.begun is None and self.led_um(i) >= claim.start_um - margin_um:
                claim.begun, claim.opens = i, self.on is None
        for claim in self.claims:
            is_under = claim.begun is not None and claim.ended is None
            if (
                is_under
                and claim.end_um is not None
                and self.place_um(i) >= claim.end_um + margin_um
            ):
                claim.ended = i
                self.outcomes.append((claim, self.outcome(claim, claim.end_um, i)))

    def outcome(self, claim: Claim, end_um: int, i: int) -> Outcome:
        assert claim.begun is not None
        length_um, known = end_um - claim.start_um, self.led_um(claim.known)
        if any(k in (claim.begun, *range(claim.begun, i)) for k in self.bypassed()):
            return Outcome(length_um, Reason.BYPASSED, None)
        path_um = [] if self.on is None else self.path_um(self.on, i)
        missed_um = min(max(0, min(path_um, default=end_um) - claim.start_um), length_um)
        if missed_um:
            late = claim.tag is not None and claim.start_um < known
            return Outcome(missed_um, Reason.ARRIVED_LATE if late else Reason.ACTED_LATE, None)
        due_um = claim.start_um - self.settings.margin_um
        return Outcome(0, None, min(path_um) if claim.opens else max(min(path_um), due_um))

    def bypassed(self) -> list[int]:
        return [k for k, mode in enumerate(self.modes) if mode is Mode.BYPASS]

    def switch(self, i: int) -> None:
        rejects_all = self.modes[i] in (Mode.REJECT_ALL, Mode.STOP_LINE)
        under = any(c.begun is not None and c.ended is None for c in self.claims)
        self.released = False
        if self.modes[i] is Mode.BYPASS:
            self.released = self.on is not None
            self.on = None
        elif self.on is None and (under or rejects_all):
            self.on = i
            self.drives.append(i)
        elif self.on is not None and not under and not rejects_all and not self.is_held(i):
            self.released = True
            self.on = None

    def is_held(self, i: int) -> bool:
        on = self.drives[-1]
        if self.readings[i].at_ns < self.acts_ns(on) + self.settings.dwell_ns:
            return True
        margin_um, places = self.settings.margin_um, []
        for claim in self.claims:
            in_pulse = claim.begun is not None and (claim.ended is None or claim.ended > on)
            if in_pulse and claim.end_um is not None:
                places.append(claim.end_um + margin_um)
        for k in range(on + 1, i + 1):
            if self.modes[k] in (Mode.REJECT_ALL, Mode.STOP_LINE):
                places.append(self.place_um(k))
        if not places:
            return False
        return any(
            claim.start_um - margin_um - max(places) <= self.settings.min_gap_um
            for claim in self.claims
            if claim.begun is None
        )

    def finish_pulse(self, i: int) -> None:
        path_um = self.path_um(self.drives[-1], i)
        if self.path_um(self.drives[-1], i - 1):  # it acted before it was let go
            self.pulses.append(Pulse(min(path_um), max(path_um)))

    def place_um(self, i: int) -> int:
        return self.readings[i].position_um - self.settings.offset_um

    def led_um(self, i: int) -> int:
        now, known = self.readings[i], self.readings[: i + 1]
        old = [r for r in known if now.at_ns - r.at_ns >= SPEED_WINDOW_NS]
        then = old[-1] if old else known[0]
        # a speed is that over a whole window: at the start the rail is taken to have stood before
        elapsed_ns = max(now.at_ns - then.at_ns, SPEED_WINDOW_NS)
        um_per_s = max(0, (now.position_um - then.position_um) * SECOND_NS // elapsed_ns)
        return self.place_um(i) + um_per_s * self.settings.delay_ns // SECOND_NS

    def acts_ns(self, on: int) -> int:
        if on == BEFORE:
            return self.readings[0].at_ns
        return self.readings[on + 1].at_ns + self.settings.delay_ns

    def path_um(self, on: int, i: int) -> list[int]:
        """Every place at which the coil acted up to reading i, having been driven after `on`."""
        if on == BEFORE:
            return [self.place_um(k) for k in range(i + 1)]
        if on + 1 > i:
            return []
        acts_ns, path_um = self.acts_ns(on), []
        for a, b in zip(range(on, i), range(on + 1, i + 1), strict=True):
            begins_ns, ends_ns = self.readings[a].at_ns, self.readings[b].at_ns
            if begins_ns < acts_ns <= ends_ns:
                way_um = self.place_um(b) - self.place_um(a)
                done_um = way_um * (acts_ns - begins_ns) // (ends_ns - begins_ns)
                path_um.append(self.place_um(a) + done_um)
            if ends_ns >= acts_ns:
                path_um.append(self.place_um(b))
        return path_um
