"""`trackside qualify`: what it reads, what it writes, what it refuses, and whom it certifies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.qualify.asked import Asked, study_of
from benchmarks.qualify.gate import Gate, failures, false_calls_per_km
from benchmarks.qualify.hits_file import read_hits, study_of_table
from benchmarks.qualify.plan import Plan
from benchmarks.qualify.study import certify
from edge.bundle import open_bundle
from edge.certificate import Certificate, read_signed
from edge.commissioning import check_line
from edge.errors import BundleError, ConfigurationError, UsageError
from edge.line_file import read_line
from edge.network import SHIPPED
from edge.review import Call, Mark, Review, add_reviews
from edge.simulation import SimulatedLine
from edge.simulation.dataset import write_dataset
from edge.store import EventStore, read_events
from edge.types import State
from stands.event_stores import inspection, settings, utc_now
from stands.make_recording import RAIL, ROWS
from stands.places import EXAMPLES, RECORDING


def trackside(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def table(path: Path, *, steepness: float = 5, n: int = 120) -> Path:
    rng = np.random.default_rng(3)
    sizes = rng.uniform(0.5, 6, n)
    found = rng.random(n) < 1 / (1 + (2 / sizes) ** steepness)
    rows = "".join(f"{size:.4f},{int(hit)}\n" for size, hit in zip(sizes, found, strict=True))
    path.write_text(f"size,hit\n{rows}", encoding="utf-8")
    return path


def test_a_table_gives_one_json_object_and_a_page(tmp_path: Path) -> None:
    hits, page = table(tmp_path / "hits.csv"), tmp_path / "page.html"
    answered = trackside("qualify", "--hits", hits, "--json", "-", "--html", page, "--wish", "3.4")
    assert answered.returncode == 0, answered.stderr
    answer = json.loads(answered.stdout)
    assert answer["n"] == 120
    assert 0 < answer["a50"] < answer["a90"] < answer["a90_95"]
    assert answer["needed"]["wished"] == 3.4
    assert "hits.csv" in answer["population"]
    text = page.read_text(encoding="utf-8")
    assert f"{answer['a90_95']:.3g}" in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)  # nothing is fetched


def test_a_table_that_says_nothing_has_null_and_says_why(tmp_path: Path) -> None:
    hits = tmp_path / "hits.csv"
    hits.write_text("size,hit\n" + "".join(f"{size},1\n" for size in range(1, 61)))
    answered = trackside("qualify", "--hits", hits, "--json", "-", "--max-a90", "1000")
    answer = json.loads(answered.stdout)
    assert [answer[name] for name in ("a50", "a90", "a90_95", "n")] == [None, None, None, 60]
    assert answer["why"].startswith("all 60 were found")
    assert answered.returncode == 1, "a gate lets by nothing that was not shown"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size,hit\n1,1\n2,maybe\n", ":3: hit is 'maybe': write 1 for found"),
        ("size,hit\n0,1\n", ":2: size is 0: a size is above 0"),
        ("size,hit\nwide,1\n", ":2: size is 'wide': write a number"),
        ("size,hit\n1\n", ":2: it has not as many values"),
        ("size;hit\n1;1\n", "has no column hit, size"),
        ("size,hit\n", "holds no specimen"),
        ("", "has no column hit, size"),
    ],
)
def test_a_broken_table_is_refused_by_line(tmp_path: Path, text: str, said: str) -> None:
    hits = tmp_path / "hits.csv"
    hits.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        read_hits(hits)


def test_nothing_is_written_of_a_broken_table(tmp_path: Path) -> None:
    hits, out = tmp_path / "hits.csv", tmp_path / "a.certificate.json"
    hits.write_text("size,hit\n1,1\n2,maybe\n", encoding="utf-8")
    answered = trackside("qualify", "--hits", hits, "--out", out, "--html", tmp_path / "a.html")
    assert answered.returncode == 78
    assert answered.stderr.startswith(f"trackside: {hits}:3: hit is 'maybe'")
    assert [path.name for path in tmp_path.iterdir()] == ["hits.csv"]


def test_a_gate_holds_the_bound_and_not_the_estimate(tmp_path: Path) -> None:
    certificate = certify(study_of_table(table(tmp_path / "hits.csv"), None))
    assert certificate.a90 is not None
    assert certificate.a90_95 is not None
    between = (certificate.a90 + certificate.a90_95) / 2
    assert len(list(failures(certificate, Gate(max_a90=between)))) == 1
    assert not list(failures(certificate, Gate(max_a90=certificate.a90_95)))
    assert len(list(failures(certificate, Gate(max_false_calls_per_km=2)))) == 1
    assert false_calls_per_km("0.01/m") == false_calls_per_km("10/km") == 10


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line file, its bundle, a certificate by the simulated rail, and whose signature it has."""
    folder = tmp_path_factory.mktemp("line")
    shutil.copyfile(SHIPPED["strip"], folder / "line.bundle")
    text = (EXAMPLES / "steel.yaml").read_text(encoding="utf-8")
    text = text.replace("bundle: strip", "bundle: line.bundle\ncertificate: a.certificate.json")
    (folder / "line.yaml").write_text(text, encoding="utf-8")
    public = trackside("bundle", "keygen", "--out", folder / "key.pem").stdout.strip()
    (folder / "public").write_text(public, encoding="utf-8")
    signing = ("--key", folder / "key.pem", "--version", "1")  # first: the version is the bundle's
    assert trackside("bundle", "sign", folder / "line.bundle", *signing).returncode == 0
    answered = trackside(
        *("qualify", folder / "line.yaml", "--defects", "60", "--passes", "2"),
        *("--out", folder / "a.certificate.json", "--key", folder / "key.pem"),
        *("--html", folder / "a.html", "--max-false-calls", "100000/km"),
    )
    assert answered.returncode == 0, answered.stderr
    assert "1 of 1 sections" in answered.stderr, "progress is told where nobody sees a bar"
    return folder


def read(folder: Path) -> Certificate:
    public = (folder / "public").read_text(encoding="utf-8")
    return read_signed(folder / "a.certificate.json", public)


def test_the_simulated_rail_certifies_a_line_by_class_and_measure(certified: Path) -> None:
    certificate = read(certified)
    assert {each.name for each in certificate.measures} == {
        *("extent_mm", "length_mm", "width_mm", "area_mm2", "contrast"),
    }
    main = certificate.main().of_all
    assert sum(each.n for each in certificate.main().by_class.values()) == main.n > 40
    assert 0 < main.found < main.n
    largest, smallest = main.bins[-1], main.bins[0]
    assert largest.found / largest.n > smallest.found / smallest.n + 0.4
    assert certificate.repeatability is not None
    assert certificate.repeatability.passes == 2
    assert certificate.false_calls is not None
    assert 10 < certificate.false_calls.inspected_m < 20
    assert len(certificate.misses) > 0
    counts = {kind: sum(called.values()) for kind, called in certificate.named.items()}
    assert counts == {kind: each.found for kind, each in certificate.main().by_class.items()}
    called = {name for each in certificate.named.values() for name in each}
    assert called <= {"inclusion", "patches", "scratches", "crack", "spall", "unsure"}
    for each in certificate.named.values():
        assert [*each.values()] == sorted(each.values(), reverse=True), "the commonest is the first"
    assert "<h2>Named</h2>" in (certified / "a.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in (certified / "a.html").read_text(encoding="utf-8")


def test_a_bundle_names_its_certificates(certified: Path) -> None:
    shown = trackside("bundle", "show", certified / "line.bundle").stdout
    assert re.search(r"certificate +a\.certificate\.json: a90/95 .*line steel.*, signed", shown)


def test_a_bundles_limits_are_what_its_certificates_measured(
    certified: Path, tmp_path: Path
) -> None:
    certificate, out = certified / "a.certificate.json", tmp_path / "limited.bundle"
    line = certified / "line.bundle"
    made = trackside("bundle", "limits", line, certificate, "--out", out)
    assert made.returncode == 0, made.stderr
    before, after = open_bundle(line).manifest.limits, open_bundle(out).manifest.limits
    assert after.model_copy(update={"found": before.found}) == before, "what counts stays"
    made = trackside("bundle", "limits", line, certificate, "--out", out, "--counted")
    assert made.returncode == 0, made.stderr
    limits, measured = open_bundle(out).manifest.limits, read(certified)
    for name, least in (("extent_mm", limits.min_extent_mm), ("area_mm2", limits.min_area_mm2)):
        measure = next(each for each in measured.measures if each.name == name)
        a50s = [each.a50 for each in measure.by_class.values() if each.a50]
        assert min(a50s) <= 1.1 * least
        assert least <= max(a50s)
        assert any(least <= a50 < 1.1 * least for a50 in a50s)
    of_all = measured.main().of_all
    first = limits.found[0]
    assert (first.of, first.n, first.a90_95_mm) == (None, of_all.n, of_all.a90_95)
    assert "found nine times in ten" in trackside("bundle", "show", out).stdout
    other = trackside("bundle", "limits", "rail", certificate, "--out", tmp_path / "other.bundle")
    assert other.returncode == 78
    assert "is not of this bundle: qualify this one" in other.stderr
    assert not (tmp_path / "other.bundle").exists()


def test_check_warns_where_the_line_is_no_longer_the_one_that_was_qualified(
    certified: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(certified, tmp_path / "line"))
    line = folder / "line.yaml"
    as_qualified = line.read_text(encoding="utf-8")

    def checked(old: str, new: str) -> tuple[bool, str]:
        assert old in as_qualified
        line.write_text(as_qualified.replace(old, new), encoding="utf-8")
        checks = {check.name: check for check in check_line(read_line(line))}
        assert checks["certificate"].passed, "it warns, and keeps no line from running"
        return checks["certificate"].warns, checks["certificate"].detail

    assert checked("name: steel", "name: steel")[0] is False
    assert checked("min_length_mm: 8", "min_length_mm: 9") == (
        True,
        "does not cover this line (other rules): run `trackside qualify` anew",
    )
    warned, said = checked("um_per_px: 250", "um_per_px: 300")
    assert warned
    assert "300 um a row, not 250 um" in said
    warned, said = checked("type: auto", "type: onnxruntime")
    assert warned
    assert "engine onnxruntime int8, not" in said
    public = (folder / "public").read_text(encoding="utf-8")
    pinned = f"name: steel\nbundle_key: {public}"
    assert checked("name: steel", pinned)[0] is False
    (folder / "a.certificate.json.sig").unlink()
    warned, said = checked("name: steel", pinned)
    assert warned
    assert "is not signed" in said


def test_a_changed_certificate_is_not_its_owners(certified: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(certified, tmp_path / "line"))
    path = folder / "a.certificate.json"
    path.write_text(re.sub(r'"a90_95": [\d.]+', '"a90_95": 0.5', path.read_text(), count=1))
    with pytest.raises(BundleError, match="not of the pinned key"):
        read(folder)


def test_marked_images_are_found_by_the_line_that_judges_them(tmp_path: Path) -> None:
    template = SimulatedLine(5, defects_per_metre=7, smallest=0.3)
    for _ in write_dataset(tmp_path / "set", template, frames=24, lines=4, height_px=352):
        pass
    line = EXAMPLES / "steel.yaml"
    answered = trackside("qualify", line, "--labelled", tmp_path / "set", "--json", "-")
    assert answered.returncode == 0, answered.stderr
    answer = Certificate.model_validate_json(answered.stdout)
    assert answer.source == "labelled"
    assert answer.n >= 8
    assert answer.main().of_all.found > 0
    assert answer.false_calls is not None
    assert answer.false_calls.inspected_m == pytest.approx(24 * 352 * 250e-6)


def test_a_recorded_run_is_held_against_what_is_known_of_its_rail(tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    truth = RAIL.true_defects(0, 24 * ROWS)
    rows = "".join(
        f"{d.stretch.start_um / 1000},{d.stretch.end_um / 1000},{d.left_um / 1000},"
        f"{d.left_um / 1000 + d.width_mm},{d.kind}\n"
        for d in truth
    )
    known.write_text(f"start_mm,end_mm,left_mm,right_mm,class\n{rows}", encoding="utf-8")
    answered = trackside("qualify", "--recorded", RECORDING, "--known", known, "--json", "-")
    assert answered.returncode == 0, answered.stderr
    answer = Certificate.model_validate_json(answered.stdout)
    assert answer.n + sum(answer.left_out.values()) == len(truth)
    assert 0 < answer.main().of_all.found < answer.n, (
        "its network finds what is bright, and no more"
    )
    known.write_text("start_mm,end_mm\n5,3\n", encoding="utf-8")
    answered = trackside("qualify", "--recorded", RECORDING, "--known", known)
    assert answered.returncode == 78
    assert f"{known}:2: end_mm must be beyond start_mm" in answered.stderr


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A line whose store has ten rejected frames and two that were let by, with people's word."""
    strip = open_bundle(SHIPPED["strip"]).digest
    with EventStore(settings(tmp_path / "store", ok_every=1), utc_now) as store:
        for index in range(12):
            seen = inspection(index, State.NG if index < 10 else State.OK)
            numbered = tuple(replace(each, number=index) for each in seen.verdict.defects)
            verdict = replace(seen.verdict, defects=numbered)
            store.record(replace(seen, verdict=verdict, bundle=strip, camera="top"))
    calls = [Call.DEFECT] * 7 + [Call.MISSED] + [Call.SOUND] * 2 + [Call.MARKED, Call.DEFECT]
    mark = Mark("crack", (40, 40, 12, 2))
    add_reviews(
        tmp_path / "store",
        [
            Review(
                *(event.id, event.utc, event.utc, "Kim", "page", call),
                marks=(mark,) if call in {Call.MISSED, Call.MARKED} else (),
            )
            for event, call in zip(read_events(tmp_path / "store"), calls, strict=False)
        ],
    )
    line = tmp_path / "line.yaml"
    text = (EXAMPLES / "steel.yaml").read_text(encoding="utf-8")
    line.write_text(f"{text}\nstore: {{path: store}}\n", encoding="utf-8")
    return line


def test_what_people_said_of_a_stores_events_is_a_study(reviewed: Path) -> None:
    answered = trackside("qualify", reviewed, "--reviewed", "--json", "-")
    assert answered.returncode == 0, answered.stderr
    answer = json.loads(answered.stdout)
    by_class = {
        name: (each["n"], each["found"]) for name, each in answer["measures"][0]["by_class"].items()
    }
    assert by_class["crack"] == (2, 0), "one beside what was found, and one in a frame let by"
    assert sum(found for _, found in by_class.values()) == 8
    assert answer["false_calls"]["count"] == 2
    assert answer["false_calls"]["inspected_m"] == pytest.approx(12 * 0.016)
    said = read_events(reviewed.parent / "store")[0]
    withdrawn = Review(said.id, said.utc, said.utc, "Kim", "page", Call.WITHDRAWN)
    add_reviews(reviewed.parent / "store", [withdrawn])
    answer = json.loads(trackside("qualify", reviewed, "--reviewed", "--json", "-").stdout)
    assert answer["false_calls"] is None
    assert "false calls are not told: 1 rejected frames are not reviewed" in answer["limits"]


def test_a_store_that_nobody_reviewed_says_so(tmp_path: Path, reviewed: Path) -> None:
    (tmp_path / "store" / "reviews.sqlite").unlink()
    answered = trackside("qualify", reviewed, "--reviewed")
    assert answered.returncode == 78
    assert "has no reviewed event of strip: call some on the page" in answered.stderr


def test_what_contradicts_itself_is_a_usage_error(tmp_path: Path) -> None:
    hits, line = table(tmp_path / "hits.csv"), EXAMPLES / "steel.yaml"
    nothing = Asked()
    for asked in (
        nothing,
        replace(nothing, hits=hits, labelled=tmp_path),
        replace(nothing, line=line, hits=hits),
        replace(nothing, recorded=RECORDING),
        replace(nothing, line=line, decision=0.5),
        replace(nothing, line=EXAMPLES / "raspberrypi.yaml"),
        replace(nothing, line=EXAMPLES / "two-rails.yaml"),
        replace(nothing, hits=hits, camera="left"),
    ):
        with pytest.raises(UsageError):
            study_of(asked, Plan(defects=100, smallest=0.1, passes=1, processes=1))
    for option in ("--key", "--out"):
        answered = trackside("qualify", "--hits", hits, option, tmp_path / "hits.json")
        assert answered.returncode == 2
        assert answered.stderr.startswith("trackside: ")
