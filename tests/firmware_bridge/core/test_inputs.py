"""Keys, buttons and sensors: what they settle to, what that commands, what a sensor confirms."""

from __future__ import annotations

import gc
import random

from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.core import (
    Acknowledge,
    Confirmation,
    Confirmed,
    EjectCheck,
    Hold,
    News,
    Panel,
    Release,
    Role,
    SettledLevel,
    Unasked,
    Unconfirmed,
)
from firmware_bridge.core.inputs import PULSES_NS, SIGHTS_NS
from firmware_bridge.desk import InputWatch
from firmware_bridge.types import Mode, Switch

MS = 1_000_000
END_NS = 10**12


def test_the_first_level_counts_at_once_and_a_bounce_never() -> None:
    level = SettledLevel(20 * MS)
    seen = []
    for at_ms, active in [(0, True), (5, False), (24, False), (25, False), (30, True), (40, False)]:
        seen.append((level.take(active, at_ms * MS), level.active))
    assert seen == [
        (True, True),
        (False, True),
        (False, True),
        (True, False),
        (False, False),
        (False, False),
    ]
    assert level.since_ns == 5 * MS


@given(levels=st.lists(st.booleans(), min_size=1, max_size=60), settle=st.integers(1, 6))
def test_a_level_settles_exactly_when_it_has_stood_long_enough(
    levels: list[bool], settle: int
) -> None:
    level = SettledLevel(settle)
    settled = levels[0]
    for at_ns, active in enumerate(levels):
        level.take(active, at_ns)
        before = levels[max(0, at_ns - settle) : at_ns + 1]
        if len(before) == settle + 1 and len(set(before)) == 1:
            settled = active
        assert level.active is settled


def test_keys_hold_and_release_and_a_button_acknowledges_when_it_is_pressed() -> None:
    panel = Panel(
        [
            Role("bin full", Mode.STOP_LINE, settle_ns=10 * MS),
            Role("bypass key", Mode.BYPASS, settle_ns=0),
            Role("reset button", None, settle_ns=0),
        ]
    )
    said = []
    for at_ms, levels in [
        (0, [True, False, True]),  # the bin is full at the start; the button hangs
        (5, [True, False, False]),
        (10, [False, True, False]),
        (15, [True, True, True]),  # the bin's sensor bounced
        (20, [False, False, False]),
        (30, [False, False, False]),
    ]:
        said.append(panel.take(levels, at_ms * MS))
    assert said == [
        [Hold("bin full", Mode.STOP_LINE, "bin full is on")],
        [],
        [Hold("bypass key", Mode.BYPASS, "bypass key is on")],
        [Acknowledge("reset button was pressed")],
        [Release("bypass key", "bypass key is off")],
        [Release("bin full", "bin full is off")],
    ]


def test_a_pulse_is_confirmed_within_its_window_and_not_by_a_sight_before_or_after() -> None:
    check = EjectCheck(100 * MS)
    for pulse_ms, sight_ms in [(1000, 1040), (2000, 1999), (3000, 3101), (4000, 4100)]:
        check.pulse(pulse_ms * MS)
        check.seen(sight_ms * MS)
    assert check.advance(END_NS) == [
        Confirmed(1000 * MS, 40 * MS),
        Unasked(1999 * MS),
        Unconfirmed(2000 * MS),
        Unconfirmed(3000 * MS),
        Unasked(3101 * MS),
        Confirmed(4000 * MS, 100 * MS),
    ]


def test_nothing_is_said_while_news_may_still_come() -> None:
    check = EjectCheck(100 * MS, settle_ns=7 * MS)
    check.pulse(1000 * MS)
    assert check.advance(1107 * MS + SIGHTS_NS) == []
    assert check.advance(1107 * MS + SIGHTS_NS + 1) == [Unconfirmed(1000 * MS)]
    check.seen(2000 * MS)
    assert check.advance(2000 * MS + PULSES_NS) == []
    check.pulse(1990 * MS)  # heard of after what it brought about
    assert check.advance(2000 * MS + PULSES_NS) == [Confirmed(1990 * MS, 10 * MS)]
    check.seen(5000 * MS)
    assert check.advance(5000 * MS + PULSES_NS + 1) == [Unasked(5000 * MS)]


@given(
    pulses=st.lists(st.integers(0, 3000), max_size=12).map(sorted),
    sights=st.lists(st.integers(0, 3000), max_size=12).map(sorted),
    within=st.integers(0, 400),
    seed=st.integers(0, 2**32),
)
def test_each_pulse_and_each_sight_is_told_of_once_however_late_it_is_heard(
    pulses: list[int], sights: list[int], within: int, seed: int
) -> None:
    check = EjectCheck(within * MS)
    found: list[Confirmation] = []
    for heard_ms, at_ms, is_pulse in late_news(pulses, sights, random.Random(seed)):
        found += check.advance(heard_ms * MS)
        (check.pulse if is_pulse else check.seen)(at_ms * MS)
    found += check.advance(END_NS)
    confirmed = [each for each in found if isinstance(each, Confirmed)]
    unconfirmed = [each.pulse_ns for each in found if isinstance(each, Unconfirmed)]
    unasked = [each.seen_ns for each in found if isinstance(each, Unasked)]
    assert sorted(unconfirmed + [each.pulse_ns for each in confirmed]) == [at * MS for at in pulses]
    used = [each.pulse_ns + each.after_ns for each in confirmed]
    assert sorted(unasked + used) == [at * MS for at in sights]
    assert all(0 <= each.after_ns <= within * MS for each in confirmed)
    for pulse_ns in unconfirmed:
        assert not any(pulse_ns <= sight_ns <= pulse_ns + within * MS for sight_ns in unasked)


def late_news(
    pulses: list[int], sights: list[int], chance: random.Random
) -> list[tuple[int, int, bool]]:
    """When each is heard of, when it was, and whether it is a pulse; each kind in its order."""
    news = []
    for times, latest_ns, is_pulse in [(pulses, PULSES_NS, True), (sights, SIGHTS_NS, False)]:
        heard_ms = 0
        for at_ms in times:
            heard_ms = max(heard_ms, at_ms + chance.randint(0, latest_ns // MS))
            news.append((heard_ms, at_ms, is_pulse))
    return sorted(news, key=lambda each: each[0])


def test_what_no_sensor_watches_is_not_kept() -> None:
    def kept() -> int:
        return sum(type(each) is Switch for each in gc.get_objects())

    watch, before = InputWatch([], [], lambda: 0), kept()
    for at_ns in range(100):
        watch.take(News(at_ns, "paint gun", Switch(True, at_ns)))
    assert kept() == before
