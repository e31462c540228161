"""What is found is a defect with its class, or surely of a class that is only reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.errors import ConfigurationError
from edge.inspect import Finder, Found, Judge, Naming, find, naming_of
from edge.inspect.naming import check_classes
from edge.line_file import MinArea, Rules
from edge.line_file.rules import Classes
from edge.types import Defect, Frame, Mask, Names, State, Stretch, sigmoid
from stands.bundles import manifest

CLASSES = ("crush", "scratch", "gap", "dirt")
NAMING = Naming(frozenset({"gap", "dirt"}), unsure_below=0.5031, codes={"crush": "227"})
LIMITS = Limits(min_area_mm2=4, min_extent_mm=3)
THRESHOLD, SOUND = 0.7, -4
PITCH_UM = 1000
ROWS, COLUMNS = 60, 20
# Of each kind of pixel: what the map that decides says, and the shares of the classes.
KINDS = {
    "crush": (3.0, (0.9, 0.1, 0.0, 0.0)),
    "scratch": (2.0, (0.1, 0.8, 0.1, 0.0)),
    "gap": (4.0, (0.1, 0.0, 0.9, 0.0)),
    "dirt": (1.5, (0.2, 0.0, 0.1, 0.7)),
    "crush or gap": (3.0, (0.4, 0.0, 0.6, 0.0)),
    "anything": (3.0, (0.25, 0.25, 0.25, 0.25)),
}
Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Strip:
    """H,W of what is seen on it, pixel by pixel."""

    logits: NDArray[np.float32]
    shares: NDArray[np.float32]  # C,H,W

    def mask(self, rows: range) -> Mask:
        part = slice(rows.start, rows.stop)
        return Mask(self.logits[part], THRESHOLD, Names(self.shares[:, part], CLASSES))


def a_strip(*boxes: tuple[str, tuple[slice, slice]]) -> Strip:
    logits = np.full((ROWS, COLUMNS), SOUND, np.float32)
    shares = np.full((len(CLASSES), ROWS, COLUMNS), 0.25, np.float32)
    for kind, box in boxes:
        logits[box], named = KINDS[kind]
        shares[:, box[0], box[1]] = np.reshape(named, (-1, 1, 1))
    return Strip(logits, shares)


def a_frame(rows: range) -> Frame:
    stretch = Stretch(rows.start * PITCH_UM, rows.stop * PITCH_UM)
    return Frame(0, np.zeros((len(rows), COLUMNS), np.uint8), 0, stretch, PITCH_UM)


def seen_whole(strip: Strip, naming: Naming = NAMING) -> Found:
    whole = range(ROWS)
    return find(a_frame(whole), strip.mask(whole), LIMITS, naming)


def connected(bits: Bits) -> Iterator[Bits]:
    """The slow way: a stack of pixels."""
    left = {(int(row), int(column)) for row, column in np.argwhere(bits)}
    while left:
        stack, piece = [left.pop()], np.zeros_like(bits)
        while stack:
            row, column = stack.pop()
            piece[row, column] = True
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & left
            left -= near
            stack += near
        rows, columns = np.nonzero(piece)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        if piece.sum() >= LIMITS.min_area_mm2 and extent >= LIMITS.min_extent_mm:
            yield piece


Told = tuple[object, ...]  # its place, area, score, class and class score


def near(value: float) -> float:
    """To a thousandth; shifted, because many shares lie right between two of those."""
    return round(value + 0.000314159, 3)


def told(piece: Bits, strip: Strip, named_by: Bits, among: Sequence[str], area: Bits) -> Told:
    rows, columns = np.nonzero(piece)
    sums = strip.shares[:, named_by].sum(axis=1, dtype=np.float64)
    shares = {name: float(sums[CLASSES.index(name)]) for name in among}
    name = max(shares, key=shares.__getitem__)
    share = shares[name] / sum(shares.values())
    place = (int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1)
    score = float(sigmoid(strip.logits[piece]).mean())
    named = name if share >= NAMING.unsure_below else None
    return (*place, int(area.sum()), near(score), named, near(share))


def by_the_book(strip: Strip) -> tuple[list[Told], list[Told], list[Told]]:
    """What counts as it is, what counts beside a thing that is only reported, and such things."""
    found = sigmoid(strip.logits) > THRESHOLD
    reported = strip.shares[[2, 3]].sum(axis=0)
    rejects = found & (sigmoid(strip.logits) * (1 - reported) > THRESHOLD)
    defects = [name for name in CLASSES if name not in NAMING.report_only]
    as_it_is, beside, only = list[Told](), list[Told](), list[Told]()
    for whole in connected(found):
        parts = list(connected(whole & rejects))
        inside = np.logical_or.reduce([np.zeros_like(whole), *parts])
        rest = whole & ~inside
        if rest.any():
            named = told(whole, strip, rest, CLASSES, rest)
            if named[-2] in NAMING.report_only and rest.sum() >= LIMITS.min_area_mm2:
                only.append(named)
                beside += [told(part, strip, part, defects, part) for part in parts]
                continue
        by = (inside, defects) if parts else (whole, CLASSES)
        as_it_is.append(told(whole, strip, *by, whole))
    return sorted(as_it_is, key=str), sorted(beside, key=str), sorted(only, key=str)


def as_told(found: Defect) -> Told:
    stretch, score = found.stretch, found.class_score
    assert score is not None
    place = (stretch.start_um, stretch.end_um, found.left_um, found.right_um)
    area, named = round(found.area_mm2), found.class_name
    return (*(um // PITCH_UM for um in place), area, near(found.score), named, near(score))


KIND = st.sampled_from(list(KINDS))
BOX = st.tuples(
    st.integers(0, ROWS - 1), st.integers(1, 25), st.integers(0, COLUMNS - 1), st.integers(1, 10)
)
CUTS = st.lists(st.tuples(st.integers(2, 25), st.integers(0, 20)), max_size=8)


def drawn(blots: Sequence[tuple[str, tuple[int, int, int, int]]]) -> Strip:
    return a_strip(*((k, np.s_[t : t + h, x : x + w]) for k, (t, h, x, w) in blots))


def frames_of(cuts: Sequence[tuple[int, int]]) -> list[range]:
    """Of so many rows, by so many of which each goes back over the one before; then the rest."""
    frames, reached = [], 0
    for rows, overlap in cuts:
        start = max(reached - overlap, frames[-1].start if frames else 0)
        stop = max(start + rows, reached)
        if stop < ROWS:
            frames.append(range(start, stop))
            reached = stop
    return [*frames, range(reached, ROWS)]


@settings(max_examples=150)
@given(st.lists(st.tuples(KIND, BOX), max_size=7))
def test_what_is_found_is_told_as_the_rule_is_written(
    blots: list[tuple[str, tuple[int, int, int, int]]],
) -> None:
    strip = drawn(blots)
    as_it_is, beside, only = by_the_book(strip)
    found = seen_whole(strip)
    assert sorted(map(as_told, found.defects), key=str) == sorted([*as_it_is, *beside], key=str)
    assert sorted(map(as_told, found.reported), key=str) == only


def test_a_clip_moves_scores_and_no_decision_at_a_half() -> None:
    """Beside what is only reported, too: what counts is as surely found as it is none of that."""
    strip = drawn([(kind, (10 * n, 8, 2, 12)) for n, kind in enumerate(KINDS)])
    whole = range(ROWS)
    plain, clipped = (
        find(a_frame(whole), replace(strip.mask(whole), threshold=0.5, clip=clip), LIMITS, NAMING)
        for clip in (0.0, 0.08)
    )
    for before, after in zip(plain.defects, clipped.defects, strict=True):
        assert replace(after, score=before.score) == before
        assert after.score > before.score
    assert [each.class_name for each in clipped.reported] == ["gap", "dirt", "gap"]


# Two parts, each told by itself, grow together in the very frame in which their piece counts whole.
GROWN_TOGETHER = [
    ("crush", (0, 1, 0, 1)),
    ("crush", (2, 5, 0, 3)),
    ("gap", (6, 2, 0, 1)),
    ("dirt", (0, 6, 1, 1)),
]


@settings(max_examples=150)
@given(st.lists(st.tuples(KIND, BOX), max_size=7), CUTS)
@example(GROWN_TOGETHER, [(2, 0), (4, 0)])
def test_cut_into_frames_it_is_known_at_last_as_it_is_in_one_piece(
    blots: list[tuple[str, tuple[int, int, int, int]]], cuts: list[tuple[int, int]]
) -> None:
    strip, finder = drawn(blots), Finder()
    known: dict[int, tuple[str, Defect]] = {}
    rejected = np.zeros((ROWS, COLUMNS), np.bool_)
    for rows in frames_of(cuts):
        found = finder.find(a_frame(rows), strip.mask(rows), LIMITS, NAMING)
        for kind, each in zip(("defect", "reported"), found, strict=True):
            for one in each:
                known |= {one.number: (kind, one)}
                known = {n: was for n, was in known.items() if n not in one.absorbed}
        for one in found.defects:
            top, bottom, left, right, *_ = as_told(one)
            rejected[top:bottom, left:right] = True  # type: ignore[misc]
    as_it_is, beside, only = by_the_book(strip)
    at_last = {
        kind: [as_told(d) for k, d in known.values() if k == kind] for kind, _ in known.values()
    }
    assert sorted(at_last.get("reported", []), key=str) == only
    defects = at_last.get("defect", [])
    assert set(as_it_is) <= set(defects) <= {*as_it_is, *beside}
    # A part may have gone by as long as all of its piece counted.
    for top, bottom, left, right, *_ in set(beside) - set(defects):
        assert rejected[top:bottom, left:right].all()  # type: ignore[misc]


MANIFEST = manifest(named=True)  # dark, bright and dirt, of which dirt is only reported


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"report_only": ["dirtt"]}, "rules.report_only: `dirtt` is no class of the bundle"),
        ({"report_only": ["dirtt"]}, "did you mean `dirt`?"),
        ({"codes": {"squat": "227"}}, "rules.codes: `squat` .* names dark, bright, dirt: give a"),
        ({"report_only": ["dark", "bright", "dirt"]}, "rules.report_only: all classes of the"),
        (
            {"reject_if": {"any": [{"classes": ["dirt"]}]}},
            r"reject_if.any\[0\].classes \[dirt\] ne",
        ),
        ({"reject_if": {"classes": ["crack"]}}, "rules.reject_if.classes: `crack` is no class"),
    ],
)
def test_rules_that_would_wait_for_what_is_never_found_are_refused(
    rules: dict[str, Any], said: str
) -> None:
    given = Rules.model_validate({"reject_if": {"min_area_mm2": 1}, **rules})
    with pytest.raises(ConfigurationError, match=said):
        check_classes(given, MANIFEST)
    with pytest.raises(ConfigurationError, match=r"names none: leave it out|never matches"):
        check_classes(given, manifest())


def test_rules_over_the_bundles_classes_are_taken_and_its_word_is_the_default() -> None:
    rules = Rules(reject_if=Classes(classes=("dark", "dirt")), codes={"dark": "227"})
    check_classes(rules, MANIFEST)
    assert naming_of(rules, MANIFEST).report_only == {"dirt"}
    assert naming_of(rules.model_copy(update={"report_only": ()}), MANIFEST).report_only == set()


JOINT, CRUSH = ("gap", np.s_[20:26, 2:18]), ("crush", np.s_[26:36, 6:12])


def test_a_crush_beside_a_joint_is_a_defect_of_its_own() -> None:
    [crush], [joint] = seen_whole(a_strip(JOINT, CRUSH))
    assert (crush.class_name, crush.code, crush.area_mm2) == ("crush", "227", 60)
    assert crush.class_score == pytest.approx(0.9)
    assert (joint.class_name, joint.code, joint.area_mm2) == ("gap", None, 96)
    verdict = Judge(Rules(reject_if=MinArea(min_area_mm2=1))).judge(
        a_frame(range(ROWS)), [], [joint]
    )
    assert (verdict.state, verdict.defects, verdict.reported) == (State.OK, (), (joint,))


def test_a_defect_that_names_part_into_fragments_counts_as_it_is() -> None:
    specks = [("crush", np.s_[at : at + 1, 5:8]) for at in range(20, 40, 2)]
    strip = a_strip(("crush or gap", np.s_[20:40, 5:8]), *specks)
    [defect], reported = seen_whole(strip)
    assert (defect.area_mm2, defect.class_name, reported) == (60, "crush", [])


def test_what_is_only_reported_is_no_more_so_when_the_line_says_it_is_rejected() -> None:
    strip = a_strip(JOINT, CRUSH)
    [whole], reported = seen_whole(strip, replace(NAMING, report_only=frozenset()))
    assert (whole.area_mm2, reported) == (156, [])


def test_a_line_that_reports_nothing_only_finds_what_one_without_names_finds() -> None:
    strip = a_strip(JOINT, CRUSH, ("anything", np.s_[44:50, 3:9]))
    whole = range(ROWS)
    named = seen_whole(strip, Naming(unsure_below=0.5)).defects
    nameless = find(a_frame(whole), replace(strip.mask(whole), names=None), LIMITS).defects
    assert [replace(each, class_name=None, class_score=None) for each in named] == nameless
    assert [each.class_name for each in named] == ["gap", None]
