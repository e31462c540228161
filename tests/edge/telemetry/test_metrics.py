"""The page for Prometheus, read by its own parser, over real sockets."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

pytest.importorskip("prometheus_client", reason="pip install 'trackside[metrics]'")
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.ports import free_port
from edge.assembly import open_line
from edge.cameras import CameraCounts
from edge.errors import ConfigurationError
from edge.health import Facts, Health
from edge.health.camera_health import STAGES
from edge.line_file import MetricsSettings, read_line
from edge.run.reporting import reporting
from edge.serving.server import MOST_GUESTS
from edge.store import EventStore
from edge.telemetry.metrics import line_metrics, serve_metrics
from stands.certificates import make_certificate
from stands.inspections import MS, NONE, found_in, inspection, lost
from stands.line_files import CAMERA
from stands.places import STEEL_LINE

ANY_PORT = MetricsSettings(port=0)


def scrape(port: int) -> dict[str, Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def a_health() -> Health:
    camera = CameraCounts(90, dropped=1, held=0, reopened=2, abandoned=0, fault="no picture came")
    facts = Facts('a "line"\n', "minet", "sha256:0", "onnxruntime", "0.1.0")
    health = Health(
        lambda *_: 10 * MS,
        lambda: NONE,
        {CAMERA: None},
        facts=lambda: facts,
        sources=lambda: {CAMERA: camera},
    )
    for seen in (inspection(0), inspection(1, latency_ns=11 * MS), lost(2)):
        health.see(seen, seen.decided_ns)
    return health


@pytest.fixture
def page() -> Iterator[int]:
    health = a_health()
    with serve_metrics(ANY_PORT, lambda: line_metrics(health.at(5 * MS))) as port:
        yield port


def test_every_figure_has_its_help_its_prefix_and_a_base_unit(page: int) -> None:
    families = scrape(page)
    assert len(families) >= 15
    for name, family in families.items():
        assert name.startswith("trackside_")
        assert family.documentation
        assert not name.endswith(("_ms", "_ns", "_um", "_mm", "_percent", "_kb"))


def test_what_is_found_is_counted_once_by_class() -> None:
    health = Health(lambda *_: 10 * MS, lambda: NONE, {CAMERA: None})
    for seen in (found_in(0), found_in(1), inspection(2), found_in(3)):
        health.see(seen, seen.decided_ns)
    families = {family.name: family for family in line_metrics(health.at(5 * MS))}
    counted = {
        name: {each.labels["class"]: each.value for each in families[name].samples}
        for name in ("trackside_defects", "trackside_reported")
    }
    assert counted == {
        "trackside_defects": {"crush": 2, "unsure": 3},
        "trackside_reported": {"gap": 2},
    }


def test_the_page_says_what_was_counted(page: int) -> None:
    families = scrape(page)
    frames = {s.labels["state"]: s.value for s in families["trackside_frames"].samples}
    assert frames == {"OK": 2, "NG": 0, "UNKNOWN": 1}
    assert families["trackside_deadlines_missed"].samples[0].value == 1
    assert families["trackside_camera_up"].samples[0].value == 0
    assert families["trackside_camera_reopened"].samples[0].value == 2
    assert families["trackside_last_frame_age_seconds"].samples[0].value == 0.003
    assert families["trackside_line_info"].samples[0].labels == {
        "line": 'a "line"\n',
        "bundle": "minet",
        "bundle_digest": "sha256:0",
        "engine": "onnxruntime",
        "version": "0.1.0",
    }


def test_histograms_are_in_seconds_cumulative_and_one_for_each_stage(page: int) -> None:
    families = scrape(page)
    latency = families["trackside_latency_seconds"].samples
    buckets = {s.labels["le"]: s.value for s in latency if s.name.endswith("_bucket")}
    assert [buckets[le] for le in ("0.0001", "0.005", "0.01", "0.025", "+Inf")] == [1, 1, 2, 3, 3]
    assert next(s.value for s in latency if s.name.endswith("_sum")) == pytest.approx(0.020)
    stages = families["trackside_stage_seconds"].samples
    assert {s.labels["stage"] for s in stages} == set(STAGES)


def test_other_addresses_name_the_right_one_and_readers_that_hang_up_harm_nobody(
    page: int,
) -> None:
    with pytest.raises(HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{page}/", timeout=30)
    with socket.create_connection(("127.0.0.1", page)) as hasty:
        hasty.sendall(b"GET /metrics HTTP/1.1\r\n")
    assert scrape(page)


def test_clients_that_drip_or_send_half_a_request_hold_no_scrape_up(page: int) -> None:
    with ExitStack() as stack:
        begun = []
        for _ in range(3 * MOST_GUESTS):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", page)))
            one.sendall(b"GET /metrics HTTP/1.1\r\n")
            begun.append(one)
        for _ in range(20):
            for one in begun[-3:]:
                one.sendall(b"Drip: 1\r\n")
            assert scrape(page)["trackside_frames"].samples


def test_figures_with_a_token_and_a_certificate_are_read_by_both_alone(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "ours")
    token = "9f86d081884c7d659a2feaa0c55ad015"
    settings = MetricsSettings.model_validate({"port": 0, "token": token})
    settings = settings.model_copy(update={"certificate": chain, "key": key})
    trust = ssl.create_default_context(cafile=chain)
    with serve_metrics(settings, lambda: line_metrics(a_health().at(0))) as port:
        asked = urllib.request.Request(f"https://127.0.0.1:{port}/metrics")
        with pytest.raises(HTTPError, match="401"):
            urllib.request.urlopen(asked, timeout=30, context=trust)
        asked.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(asked, timeout=30, context=trust) as answer:
            assert (
                b'trackside_line_info{bundle="minet",bundle_digest="sha256:0",'
                b'engine="onnxruntime",line="a \\"line\\"\\n",version="0.1.0"} 1.0'
            ) in answer.read()
        with pytest.raises((URLError, OSError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)


def test_a_port_that_is_taken_is_a_mistake_in_the_line_file(page: int) -> None:
    with (
        pytest.raises(ConfigurationError, match=f"port {page}: .*choose another"),
        serve_metrics(MetricsSettings(port=page), list),
    ):
        pass


def a_line(folder: Path, *more: str) -> Path:
    path = folder / "line.yaml"
    text = STEEL_LINE.read_text().replace("speed_mm_s: 500", "speed_mm_s: 5000")
    path.write_text("\n".join([text, *more]))
    return path


def test_a_running_line_serves_its_page_only_where_it_is_told_to(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "edge.cli", "run", "--frames", "2"]
    for more, served in (([], False), (["metrics: {port: 0}"], True)):
        line = str(a_line(tmp_path, *more))
        answer = subprocess.run(
            [*run, line], capture_output=True, text=True, timeout=60, check=True
        )
        assert ("metrics at http://127.0.0.1:" in answer.stderr) is served


def test_a_reader_that_never_takes_its_page_does_not_hold_the_loop_up(tmp_path: Path) -> None:
    """The loop counts its frames to the end while one reader says nothing and never goes."""
    port = free_port()
    config = read_line(a_line(tmp_path, f"metrics: {{port: {port}}}"))
    with open_line(config, frames=20) as line, reporting(line) as report:
        with socket.create_connection(("127.0.0.1", port)):
            line.run(report)
        frames = scrape(port)["trackside_frames"].samples
        rejects = scrape(port)["trackside_rejects_ordered"].samples
    assert sum(s.value for s in frames) == 20
    assert len(rejects) == 1


def test_evidence_that_the_disk_has_no_room_for_is_counted_and_said(tmp_path: Path) -> None:
    port = free_port()
    section = "store: {path: events, keep_free_mb: 1.0e+9}"
    config = read_line(a_line(tmp_path, f"metrics: {{port: {port}}}", section))
    assert config.store is not None
    with (
        EventStore(config.store, lambda: datetime.now(timezone.utc)) as store,
        open_line(config, frames=2) as line,
        reporting(line, store) as report,
    ):
        line.run(lambda inspection: (report(inspection), store.record(inspection))[0])
        assert store.flush(60)
        page = scrape(port)
    trouble = {s.labels["of"]: s.value for s in page["trackside_keeping_trouble"].samples}
    assert trouble == {"store": 1, "ledger": 0}
    dropped = page["trackside_store_pictures_dropped"].samples[0].value
    assert dropped == store.pictures_dropped > 0
