"""What people are shown: the report, the summary, the live display, checks, predictions."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.cells import cell_len
from rich.console import Console

from benchmarks.ports import free_port
from edge.assembly import Line, open_line
from edge.bundle import Artefact, Golden, InputSpec, Limits, Manifest, OutputSpec, write_bundle
from edge.checks import Check
from edge.cli.dashboard import Dashboard, LiveDisplay
from edge.cli.terminal import Counts, show_checks, show_predictions, show_summary
from edge.demo import DemoResult, headline, run_demo, what_happened, write_report
from edge.demo.charts import latency_histogram
from edge.demo.demo import Fate
from edge.inspect import Inspection, Prediction
from edge.line_file import LineSettings, WebSettings, read_line
from edge.run import Tally
from edge.simulation import TrueDefect
from edge.types import Defect, State, Stretch, Verdict
from stands.places import STEEL_LINE
from stands.waiting import PATIENCE_S

SIZE = 352  # of a frame and of the network
GOT_AWAY = Fate(
    TrueDefect("<i>scratch</i>", Stretch(550_000, 590_000), 3, 44), found=False, rejected=False
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LineSettings:
    """The smallest line, with a network that sees only what is darker than its surroundings."""
    folder = tmp_path_factory.mktemp("line")
    _write_bundle(folder / "dark.bundle")
    text = STEEL_LINE.read_text().replace("bundle: strip", "bundle: dark.bundle")
    (folder / "line.yaml").write_text(text.replace("speed_mm_s: 1000", "speed_mm_s: 2000"))
    return read_line(folder / "line.yaml")


@pytest.fixture(scope="module")
def result(config: LineSettings) -> DemoResult:
    """A short run, and one more true defect, which got away for certain."""
    ran = run_demo(config, 2)
    return replace(ran, fates=(*ran.fates, GOT_AWAY))


class Page(HTMLParser):
    """Every element that is opened is closed; keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.titles: defaultdict[str, list[str]] = defaultdict(list)  # of charts, by class
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [found[name] or "" for name in ("src", "href", "xlink:href") if name in found]
        if tag not in {"br", "img", "meta"}:
            self._open.append((tag, found.get("class") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._open and self._open[-1][0] == "title":
            self.titles[self._open[-2][1]].append(data)


@pytest.fixture(scope="module")
def page(result: DemoResult, tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "demo-report.html"
    write_report(result, path)
    assert list(path.parent.iterdir()) == [path]  # nothing unfinished is left behind
    return Page(path.read_text(encoding="utf-8"))


def test_a_demo_serves_the_live_page_that_its_line_file_asks_for(config: LineSettings) -> None:
    pytest.importorskip("uvicorn", reason="pip install 'trackside[web]'")
    web, pages = WebSettings(port=free_port()), list[bytes]()

    def look(_line: Line, _tally: Tally) -> None:
        with urlopen(f"http://127.0.0.1:{web.port}/", timeout=PATIENCE_S) as answer:
            pages.append(answer.read())

    run_demo(config.model_copy(update={"web": web}), 0.5, watch=look)
    assert [b"<title>Trackside" in page for page in pages] == [True]


def test_the_report_needs_nothing_but_itself(page: Page) -> None:
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert page.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert not re.search(r"https?:|@import|url\(", page.words)


def test_the_report_names_what_got_away(result: DemoResult, page: Page) -> None:
    assert page.words.count(headline(result)) == 2  # in the title and at the top
    assert "✗ <i>scratch</i> at 0.550 m" in page.words  # with a picture
    assert "i" not in page.tags
    assert page.tags.count("figure") == page.tags.count("img") <= 12


def test_the_charts_show_what_the_result_holds(result: DemoResult, page: Page) -> None:
    drawn = {kind: set(titles) for kind, titles in page.titles.items()}
    rejected = {what_happened(each) for each in result.fates if each.rejected}
    got_away = {what_happened(each) for each in result.fates if not each.rejected}
    assert drawn.get("true", set()) == rejected
    assert drawn["true alarm"] == got_away
    pulses = drawn.get("pulse", set()) | drawn.get("pulse alarm", set())
    assert len(pulses) == len(result.pulses)
    assert len(drawn.get("pulse alarm", set())) == len(result.false_pulses)
    assert frames_in(page.titles["bar"]) == result.tally.frames


def frames_in(titles: list[str]) -> int:
    return sum(int(re.findall(r"(\d+) frames", title)[0]) for title in titles)


@pytest.mark.parametrize("latencies_ms", [[5.0] * 9, [0.0, 3.0, 3000.0], [1.0, 10.0, 100.0]])
def test_a_histogram_counts_every_frame_whatever_the_spread(latencies_ms: list[float]) -> None:
    drawn = Page(latency_histogram(latencies_ms, {"max": max(latencies_ms)}))
    assert frames_in(drawn.titles["bar"]) == len(latencies_ms)
    assert f"max {max(latencies_ms):.1f} ms" in drawn.words


def test_names_from_files_cannot_become_markup(result: DemoResult, tmp_path: Path) -> None:
    name = '"><script>alert(1)</script>'
    renamed = replace(
        result, bundle=name, engine=name, config=result.config.model_copy(update={"name": name})
    )
    write_report(renamed, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.words.count(name) >= 3


def test_the_summary_says_what_got_away(
    result: DemoResult, capsys: pytest.CaptureFixture[str]
) -> None:
    show_summary(result, Path("demo-report.html"))
    said = capsys.readouterr().out
    assert f"✗ {headline(result)}" in said
    assert "got away" in said
    assert "<i>scratch</i> at 0.550 m, 40 by 3 mm, 44 mm²: not found" in said
    assert "demo-report.html" in said
    assert "\x1b" not in said


def test_what_is_only_reported_is_told_by_class_and_beside_the_rail(
    result: DemoResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joint = Defect(Stretch(100_000, 120_000), 0, 70_000, 900, 0.9, (0, 0, 9, 9), "gap", 0.84)
    named = replace(GOT_AWAY, found=True, rejected=True, called="<b>scratches</b>")
    joined = replace(result, fates=(named,), reported=(joint, replace(joint, number=1)))
    write_report(joined, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.titles["reported"] == ["gap 0.84 at 0.100 m"] * 2
    assert "<b>scratches</b>" in page.words and "b" not in page.tags
    show_summary(joined, Path("demo-report.html"))
    said = capsys.readouterr().out
    assert "2 gap: told, and no reason to reject" in said
    assert "1 <b>scratches</b> " in said  # the simulator has other names: nobody is right
    assert "true names" not in said
    assert joined.summary()["only_reported"] == {"gap": 2}


def test_a_run_that_lost_nothing_says_so(result: DemoResult) -> None:
    caught = replace(GOT_AWAY, found=True, rejected=True)
    passed = replace(result, fates=(caught,), false_pulses=())
    assert headline(passed) == "1 of 1 true defects rejected within 20 mm"
    assert headline(replace(passed, fates=())) == "no true defect came by"
    twice = replace(passed, false_pulses=result.pulses[:1] * 2)
    assert headline(twice).endswith("within 20 mm, 2 false rejects")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_live_display_fills_its_width_at_every_frame(config: LineSettings, width: int) -> None:
    tally = Tally()
    with open_line(config, frames=6) as line:

        def draw(inspection: Inspection | None) -> None:
            if inspection:
                tally.add(inspection)
            output = io.StringIO()
            Console(file=output, width=width).print(Dashboard(line, tally))
            rows = output.getvalue().splitlines()
            assert [cell_len(row) for row in rows] == [width] * 21
            assert f"frames{tally.frames:>{width * 5 // 19 - 10}} │" in rows[7]

        draw(None)
        line.run(draw)
    assert tally.frames == 6


def test_nothing_is_shown_live_where_no_terminal_is(config: LineSettings) -> None:
    output = io.StringIO()
    with (
        open_line(config, frames=1) as line,
        LiveDisplay(Console(file=output, force_terminal=False)) as display,
    ):
        display.watch(line, Tally())
    assert output.getvalue() == ""


def test_checks_are_ticked_or_crossed(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [Check("camera", True, "352x352 px"), Check("pace", False, "slow [the] line")]
    show_checks(checks, width=6)
    assert capsys.readouterr().out == "✓ camera  352x352 px\n✗ pace    slow [the] line\n"


def test_an_image_that_failed_is_named_and_counts_as_unknown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def predictions() -> Iterator[Prediction]:
        for state in (State.OK, State.NG, State.UNKNOWN):
            yield Prediction(Path("sound.png"), Verdict(state, 0, Stretch(0, 1)))
        yield Prediction(Path("torn.png"), None, "torn.png is not a whole image")

    assert show_predictions(predictions(), 4, tmp_path) == Counts(ok=1, ng=1, unknown=2, failed=1)
    said = capsys.readouterr()
    assert said.out == ""
    assert "✗ torn.png is not a whole image\n" in said.err
    assert "4 images: 1 OK, 1 NG, 2 UNKNOWN, of which 1 could not be inspected" in said.err


def _write_bundle(path: Path) -> None:
    """One convolution: the ring round a place less the place itself."""
    kernel = np.full((1, 1, 17, 17), 1 / (17 * 17 - 25), np.float32)
    kernel[..., 6:11, 6:11] = -1 / 25
    model = _model(40 * kernel, bias=-8)
    image = np.full((SIZE, SIZE), 128, np.uint8)
    image[100:120, 100:112] = 50
    answer = np.zeros((SIZE // 2, SIZE // 2), np.uint8)
    answer[50:60, 50:56] = 255
    manifest = Manifest(
        format=2,
        name="dark",
        network="one convolution",
        input=InputSpec(
            height=SIZE,
            width=SIZE,
            channels=1,
            mean=[128],
            scale=[1 / 64],
            resize="linear",
            um_per_px=250,
        ),
        output=OutputSpec(height=SIZE // 2, width=SIZE // 2, kind="logits"),
        threshold=0.5,
        classes=["defect"],
        limits=Limits(min_area_mm2=5, min_extent_mm=4),
        artefacts=[
            Artefact(engine="onnxruntime", precision="fp32", path="model.onnx", layout="NCHW")
        ],
        golden=Golden(input="in.png", output="out.png", min_iou=0.5, max_mae=0.1),
        provenance={"made by": "the tests"},
    )
    pictures = {"in.png": image, "out.png": answer}
    files = {name: cv2.imencode(".png", p)[1].tobytes() for name, p in pictures.items()}
    write_bundle(manifest, {"model.onnx": model, **files}, path)


def _model(kernel: np.ndarray[tuple[int, ...], np.dtype[np.float32]], bias: float) -> bytes:
    pad = kernel.shape[-1] // 2
    nodes = [
        helper.make_node("Pad", ["tensor", "pads"], ["padded"], mode="reflect"),
        helper.make_node("Conv", ["padded", "kernel", "bias"], ["logits"], strides=[2, 2]),
    ]
    shapes = {"tensor": SIZE, "logits": SIZE // 2}
    tensor, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, size, size])
        for name, size in shapes.items()
    )
    constants = {
        "pads": np.array([0, 0, pad, pad, 0, 0, pad - 1, pad - 1]),
        "kernel": kernel,
        "bias": np.array([bias], np.float32),
    }
    initialisers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "dark", [tensor], [logits], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
