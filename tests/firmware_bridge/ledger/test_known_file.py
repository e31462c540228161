"""What is known of the rail outlasts a kill at any moment of a write."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_bridge.ledger import Entry, EntryKind, Known, Ledger, Piece, Place
from firmware_bridge.ledger.known_file import KnownFile
from stands.ledgers import CLOCK, PATIENT_NS, an_order

KNOWN = Known(
    run=3,
    place=Place("plc 1", -7),
    position_um=12,
    boot="life",
    at_ns=99,
    passed=tuple(Piece("", n * 2 * 10**15, n * 2 * 10**15 + 1) for n in range(64)),
)


def test_the_latest_whole_word_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db.passed"
    with closing(KnownFile(path)) as file:
        assert file.read() is None
        for position_um in (1, 2, 3):
            file.write(replace(KNOWN, position_um=position_um))
        assert file.read() == replace(KNOWN, position_um=3)
    whole = path.read_bytes()
    newest = max(at for at in range(2) if b'"position_um":3' in whole[at * 8192 : (at + 1) * 8192])
    path.write_bytes(whole[: newest * 8192 + 700] + bytes(5000) + whole[newest * 8192 + 5700 :])
    with closing(KnownFile(path)) as file:
        assert file.read() == replace(KNOWN, position_um=2)
        file.write(None)
        assert file.read() is None


def test_rail_is_known_when_the_orders_before_it_are_on_disk_and_only_to_the_next_run(
    tmp_path: Path,
) -> None:
    path, place = tmp_path / "ledger.db", Place("plc 1", 5)
    with Ledger(path, CLOCK) as ledger:
        ledger.begin(place, (), (), (), "places are counted anew")
        ledger.add(an_order(1))
        ledger.know(Piece("", 0, 9), 20)
        assert ledger.flush(PATIENT_NS)
    with Ledger(path, CLOCK) as ledger:
        assert ledger.inherited is not None and ledger.inherited.known is not None
        assert ledger.inherited.known.place == place
        assert ledger.inherited.known.passed == (Piece("", 0, 9),)
        [order] = ledger.inherited.orders
        ledger.add(replace(an_order(1), tag="given anew"))
        ledger.begin(place, [order], (), ledger.inherited.known.passed, "the rail went on")
    with Ledger(path, CLOCK) as ledger:
        assert ledger.inherited is not None
        assert ledger.inherited.known is None  # the run between let nothing by
        assert [order.tag for order in ledger.inherited.orders] == ["given anew"]


@pytest.mark.parametrize("forgets", [True, False])
def test_what_a_run_forgets_the_next_does_not_know(tmp_path: Path, forgets: bool) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path, CLOCK) as ledger:
        ledger.begin(Place("plc 1", 5), (), (), (), "")
        ledger.know(Piece("", 0, 9), 20)
        if forgets:
            ledger.forget()
        ledger.know(Piece("", 9, 18), 30)
    with Ledger(path, CLOCK) as ledger:
        assert ledger.inherited is not None
        assert (ledger.inherited.known is None) is forgets
        ledger.add(Entry(EntryKind.PULSE, 0))
