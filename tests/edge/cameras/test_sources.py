"""Each source of live pictures: by its real library where that runs, or a faithful stand-in."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge.assembly import open_camera, open_line
from edge.cameras import Fault, Faults, LiveCamera, Source
from edge.cameras.opencv_source import RtspSource, V4l2Source
from edge.cameras.stream_clock import StreamClock
from edge.cameras.synthetic_source import SyntheticSource
from edge.commissioning.sums import check_pictures
from edge.errors import CameraError, ConfigurationError
from edge.line_file import GenicamSettings, LineSettings, RtspSettings, read_line
from edge.simulation import SimulatedLine
from edge.types import Frame, Image, LostFrame, State, Stretch, Verdict
from stands import pi_camera
from stands.line_files import CAMERA
from stands.live_rail import At
from stands.places import ROOT, STEEL_LINE

MS = 1_000_000
EVERY_NS = 40 * MS  # a picture of those that the server is given
PART = 9_000  # bytes, of a picture of 15,000
PYTHON = "/usr/bin/python3"  # the system's own, which has GStreamer's bindings
SERVER = ROOT / "tests" / "stands" / "rtsp_server.py"


def served() -> bool:
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst; "
    code += "Gst.init(None); assert Gst.ElementFactory.find('x264enc')"
    return not subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode


class Server:
    """An RTSP server in a process of its own, which can be killed and started again."""

    def __init__(self, *what: str) -> None:
        if not served():
            pytest.skip("needs python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-ugly")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._what = what
        self.url = f"rtsp://user:secret@127.0.0.1:{self.port}/rail"
        self.start()

    def start(self) -> None:
        command = [PYTHON, str(SERVER), str(self.port), *self._what]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "serving\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> int:
        """Show one picture for ever, or others again, from the time that is given on."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGUSR1)
        return int(self._process.stdout.readline())

    def stall(self) -> None:
        """Say nothing any more, and hang up neither."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()


@contextmanager
def serve(pictures: Sequence[Image], folder: Path, kbit_s: int) -> Iterator[Server]:
    """25 a second, over and over."""
    height, width = pictures[0].shape
    path = folder / "pictures.raw"
    path.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    server = Server(str(path), str(width), str(height), str(kbit_s))
    try:
        yield server
    finally:
        server.kill()


def test_a_synthetic_source_shows_what_lies_under_it_until_it_fails() -> None:
    line, faults, position_um = SimulatedLine(seed=3, width_px=64), Faults(), 100_000

    def source() -> SyntheticSource:
        where = lambda: At(position_um)  # noqa: E731
        return SyntheticSource(line, height_px=48, fps=1000, where=where, faults=faults)

    camera = source()
    sound, _ = line.render(100_000 // 250 - 48, 48)
    grab = camera.grab()
    assert np.array_equal(grab.image, sound) and grab.taken_ns == At(position_um).at_ns
    faults.begin(Fault.FROZEN)
    first = camera.grab().image
    position_um += 50_000
    assert np.array_equal(camera.grab().image, first)
    assert np.array_equal(source().grab().image, first)  # opening it anew does not help
    for fault, low, high in ((Fault.DARK, 0, 16), (Fault.BRIGHT, 240, 256)):
        faults.begin(fault)
        assert low <= camera.grab().image.mean() < high
    faults.begin(Fault.RESIZED)
    assert camera.grab().image.shape == (24, 32)
    faults.begin(Fault.STOPPED)
    with pytest.raises(CameraError, match="has stopped: mend its fault"):
        source().grab()
    faults.begin(Fault.VANISHED)
    with pytest.raises(CameraError, match="has vanished"):
        source()
    faults.mend()
    assert camera.grab().image.shape == (48, 64)


def test_an_rtsp_stream_tells_its_times_and_ends_with_its_server(server: Server) -> None:
    source = RtspSource(server.url)
    grabs = [source.grab() for _ in range(20)]
    settings = RtspSettings(type="rtsp", url=server.url, along_um=250, across_um=200)
    camera = open_camera(settings)  # as the checks look at it
    first, second = islice(camera.frames(), 2)
    camera.close()
    assert isinstance(first, Frame) and first.image.shape == (48, 64)  # grey
    assert first.stretch.end_um == second.stretch.start_um == 48 * 250
    for grab in grabs:
        assert grab.image.shape == (48, 64, 3)
        assert grab.taken_ns is not None
    times = [grab.taken_ns or 0 for grab in grabs]
    assert times == sorted(times)
    # 50 a second, whenever they came here, once the least delay is known.
    steady, before_ns = 0, times[-1]
    for _ in range(2000):
        taken_ns = source.grab().taken_ns or 0
        steady = steady + 1 if abs(taken_ns - before_ns - 20 * MS) <= MS else 0
        before_ns = taken_ns
        if steady == 10:
            break
    assert steady == 10
    server.kill()
    with pytest.raises(CameraError, match="has ended: see to camera and network") as caught:
        for _ in range(1000):
            source.grab()
    source.close()
    assert "secret" not in str(caught.value)
    with pytest.raises(CameraError, match=f"127.0.0.1:{server.port}/rail cannot be op") as caught:
        RtspSource(server.url)
    assert "secret" not in str(caught.value)


def test_a_password_that_is_not_written_as_urls_have_it_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="write / as %2F") as caught:
        RtspSource("rtsp://user:sec/ret@127.0.0.1/rail")
    assert "sec" not in str(caught.value)


def a_line(folder: Path, url: str, speed_mm_s: int, **laid: int) -> LineSettings:
    """The demo's, with an RTSP camera."""
    line = yaml.safe_load(STEEL_LINE.read_text())
    camera = {"type": "rtsp", "url": url, "along_um": 250, "across_um": 250, **laid}
    line["cameras"] = {CAMERA: camera}
    line["encoder"]["speed_mm_s"] = speed_mm_s
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return read_line(path)


@pytest.mark.parametrize(("fail", "mend"), [("kill", "start"), ("stall", "go_on")])
def test_a_line_outlives_its_rtsp_server(
    server: Server, tmp_path: Path, fail: str, mend: str
) -> None:
    """Its rail is UNKNOWN until there is a server again that says something."""
    laid = {"overlap_mm": 8, "lost_after_mm": 40}
    with open_line(a_line(tmp_path, server.url, speed_mm_s=100, **laid)) as opened:
        [watch] = opened.watches
        assert isinstance(watch.camera, LiveCamera)
        frames = watch.camera.frames()
        assert any(isinstance(seen, Frame) for seen in islice(frames, 5))
        getattr(server, fail)()
        lost = next(seen for seen in frames if isinstance(seen, LostFrame))
        assert opened.bridge.where().position_um > lost.stretch.end_um
        while watch.camera.counts().fault is None:
            next(frames)
        getattr(server, mend)()
        last = next(seen for seen in frames if isinstance(seen, Frame))
        assert last.stretch.start_um >= lost.stretch.end_um
        assert watch.camera.counts().reopened > 0


def test_a_line_that_is_shown_noise_says_of_every_frame_that_it_is_unknown(
    server: Server, tmp_path: Path
) -> None:
    said = list[Verdict]()
    laid = {"overlap_mm": 8, "lost_after_mm": 40}
    with open_line(a_line(tmp_path, server.url, speed_mm_s=100, **laid), frames=20) as opened:
        opened.run(lambda inspection: said.append(inspection.verdict))
    assert {verdict.state for verdict in said} == {State.UNKNOWN}
    assert any(verdict.reasons[0].startswith("noise: ") for verdict in said)


def test_check_reckons_with_the_picture_that_a_stream_holds_back(tmp_path: Path) -> None:
    frame = Frame(0, np.zeros((352, 352), np.uint8), 0, Stretch(0, 88_000), 250)
    for lost_after_mm, passed in ((107, False), (108, True)):
        laid = {"overlap_mm": 20, "lost_after_mm": lost_after_mm}
        config = a_line(tmp_path, "rtsp://camera/rail", speed_mm_s=500, **laid)
        [check] = check_pictures(config.lookout(), frame, latency_ms=0)
        assert check.passed is passed


def test_no_frame_is_given_of_a_picture_that_a_codec_codes_again_and_again(
    tmp_path: Path,
) -> None:
    """A camera that froze sends on, and no two of its pictures are the same to the bit."""
    rail, _ = SimulatedLine(seed=7).render(0, 100 * 80)
    pictures = [rail[80 * n : 80 * n + 352] for n in range(90)]
    with (
        serve(pictures, tmp_path, kbit_s=500) as server,
        open_line(
            a_line(tmp_path, server.url, speed_mm_s=500, overlap_mm=50, lost_after_mm=200)
        ) as opened,
    ):
        [watch] = opened.watches
        assert isinstance(watch.camera, LiveCamera)
        frames = watch.camera.frames()
        assert any(isinstance(seen, Frame) for seen in islice(frames, 20))
        froze_ns = server.freeze()
        seen, enough = list[Frame | LostFrame](), watch.camera.counts().reopened + 4
        while watch.camera.counts().reopened < enough:  # each time by a key frame
            seen.append(next(frames))
        server.freeze()
        # A picture comes when the next one does, and that is taken for the time of its light.
        stale = [each for each in seen if each.captured_ns > froze_ns + 2 * EVERY_NS]
        assert stale and not [each for each in stale if isinstance(each, Frame)]
        reasons = {each.reason for each in stale if isinstance(each, LostFrame)}
        assert any("the same picture again" in reason for reason in reasons)
        assert any(isinstance(each, Frame) for each in islice(frames, 20))  # it is believed again


@contextmanager
def cut_short(port: int, cut: Event) -> Iterator[int]:
    """A port that leads to another one, and then hangs up in the middle of a picture."""

    def lead() -> None:
        client, _ = listening.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            Thread(target=forward, args=(client, server), daemon=True).start()
            while not cut.is_set() or select.select([server], [], [], 0.01)[0]:
                client.sendall(server.recv(65536))
            client.sendall(server.recv(PART, socket.MSG_WAITALL))
            for each in (client, server):
                each.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        leader = Thread(target=lead)
        leader.start()
        yield listening.getsockname()[1]
        cut.set()
        leader.join()


def forward(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


def which(pictures: Sequence[Image], image: Image, rows: slice) -> int:
    """Of which one an image's rows are."""
    shown = image[rows, :, 0].ravel()
    return int(np.argmax([np.corrcoef(shown, each[rows].ravel())[0, 1] for each in pictures]))


def test_the_picture_in_which_a_stream_is_cut_is_not_given(tmp_path: Path) -> None:
    """A decoder makes up what it lacks: here, the last rows."""
    noise = np.random.default_rng(0).integers(60, 190, (15, 144, 176)).astype(np.uint8)
    pictures = list(noise)
    with serve(pictures, tmp_path, kbit_s=3000) as server:
        for _ in range(4):
            given, cut = list[Image](), Event()
            with cut_short(server.port, cut) as port, pytest.raises(CameraError, match="ended"):
                source = RtspSource(f"rtsp://127.0.0.1:{port}/rail")
                for _ in range(1000):
                    given.append(source.grab().image)
                    if len(given) == 4:
                        cut.set()
            source.close()
            first, last = slice(0, 16), slice(128, 144)
            for image in given:
                assert which(pictures, image, first) == which(pictures, image, last)


@given(
    st.integers(-(10**12), 10**12),
    st.lists(st.integers(0, 80), min_size=40, max_size=200),
)
def test_a_stream_of_uneven_delays_is_told_by_the_least_of_them(
    ahead_ns: int, delays_ms: list[int]
) -> None:
    clock, least_ns = StreamClock(), 10**18
    for number, delay_ms in enumerate(delays_ms):
        taken_ns = number * 20 * MS
        told_ns = clock.taken_ns(taken_ns + ahead_ns, taken_ns + delay_ms * MS)
        if told_ns is not None:
            least_ns = min(least_ns, delay_ms * MS)
            assert told_ns == taken_ns + least_ns


def test_a_stream_that_begins_in_the_past_is_waited_for_and_one_that_leaps_begins_anew() -> None:
    clock = StreamClock()
    backlog = [clock.taken_ns(n * 20 * MS, 1000 * MS + n * MS) for n in range(10)]
    assert backlog == [None] * 10
    arrived = [1010 * MS + n * 20 * MS for n in range(10)]
    live = [clock.taken_ns((n + 10) * 20 * MS, at_ns) for n, at_ns in enumerate(arrived)]
    assert live == [None, *arrived[1:]]
    assert clock.taken_ns(5 * MS, 1300 * MS) is None  # the camera's clock was set
    assert clock.taken_ns(25 * MS, 1320 * MS) == 1320 * MS


def test_a_clock_that_goes_its_own_way_is_followed() -> None:
    """100 millionths too fast: all the time, and over an hour in which no picture came."""
    clock, hour_ns = StreamClock(), 3_600_000_000_000
    taken = [n * 20 * MS for n in range(5000)] + [hour_ns + n * 20 * MS for n in range(50)]
    told = [(at_ns, clock.taken_ns(at_ns + at_ns // 10_000, at_ns + MS)) for at_ns in taken]
    for at_ns, told_ns in told[1:]:
        assert told_ns is not None
        assert abs(told_ns - at_ns) <= 4 * MS  # what it gains in two windows, and the delay


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    library = ModuleType("picamera2")
    library.Picamera2 = pi_camera.Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", library)
    yield import_module("edge.cameras.picamera2_source")
    assert pi_camera.Picamera2.open == []
    del sys.modules["edge.cameras.picamera2_source"]


def pi_source(pi: ModuleType, **settings: Any) -> Any:
    defaults = {"width_px": 100, "height_px": 40, "main_px": None, "fps": 50.0, "gain": 2.0}
    defaults |= {"exposure_us": 300, "colour": False}
    return pi.Picamera2Source(settings.pop("number", 0), **{**defaults, **settings})


def test_a_pi_camera_shows_main_or_lores_grey_or_in_colour(pi: ModuleType) -> None:
    ramp = np.broadcast_to(np.arange(100, dtype=np.uint8), (40, 100))
    for main_px in (None, (1280, 720)):
        source = pi_source(pi, main_px=main_px)
        before_ns = time.monotonic_ns()
        grab = source.grab()
        assert np.array_equal(grab.image, ramp)
        assert -20 * MS <= grab.taken_ns - before_ns <= time.monotonic_ns() - before_ns
        assert pi_camera.Picamera2.open[0].controls == {
            "AeEnable": False,
            "ExposureTime": 300,
            "AnalogueGain": 2.0,
            "FrameDurationLimits": (20_000, 20_000),
        }
        source.close()
    source = pi_source(pi, colour=True)
    assert np.array_equal(source.grab().image[..., 0], ramp)  # blue comes first
    source.close()
    source = pi_source(pi, colour=True, main_px=(1280, 720))
    assert source.grab().image.shape == (40, 100, 3)
    source.close()


def test_a_pi_camera_that_is_not_there_or_sleeps_names_the_remedy(
    pi: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CameraError, match="see to its ribbon cable"):
        pi_source(pi, number=1)
    with pytest.raises(CameraError, match="gives 100 x 40 pixels, not 101 x 40"):
        pi_source(pi, width_px=101)
    source = pi_source(pi)
    monkeypatch.setattr(pi_camera.Picamera2, "asleep", True)
    with pytest.raises(CameraError, match="no picture came in 2 s"):
        source.grab()
    source.close()


def test_without_its_library_a_camera_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, source, remedy in (
        ("picamera2", "picamera2_source", "sudo apt install python3-picamera2"),
        ("harvesters.core", "genicam_source", "pip install 'trackside[genicam]'"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, f"edge.cameras.{source}", raising=False)
        with pytest.raises(ConfigurationError) as caught:
            import_module(f"edge.cameras.{source}")
        assert remedy in str(caught.value)


def genicam_source(**settings: Any) -> Source:
    """A camera of the software producer that comes with the library."""
    genicam = pytest.importorskip("genicam", reason="needs the extra genicam")
    from edge.cameras.genicam_source import GenicamSource  # noqa: PLC0415 - skipped without it

    producer = Path(genicam.__file__).with_name("viky.cti")
    defaults = {"producer": producer, "serial": None, "features": {}}
    return GenicamSource(**{**defaults, **settings})


def test_a_genicam_camera_is_opened_by_its_producer_and_set_by_its_features() -> None:
    for features, shape in (
        ({"PixelFormat": "Mono8", "Width": 320, "Height": 200}, (200, 320)),
        ({"PixelFormat": "RGBa8"}, (400, 400, 3)),
    ):
        source = genicam_source(serial="1", features=features)
        images = [source.grab().image for _ in range(3)]
        source.close()
        assert [image.shape for image in images] == [shape] * 3
        assert not np.array_equal(images[0], images[2])  # its own, not the producer's buffer


def test_pictures_are_turned_so_that_their_last_row_comes_last() -> None:
    genicam = pytest.importorskip("genicam", reason="needs the extra genicam")
    features = {"PixelFormat": "RGBa8", "Width": 320, "Height": 200}
    shapes = []
    for turn_deg, colour in ((90, False), (180, True)):
        settings = GenicamSettings(
            **{"type": "genicam", "producer": Path(genicam.__file__).with_name("viky.cti")},
            **{"features": features, "turn_deg": turn_deg, "colour": colour},
            **{"along_um": 250, "across_um": 250},
        )
        camera = open_camera(settings)
        (frame,) = islice(camera.frames(), 1)
        camera.close()
        assert isinstance(frame, Frame)
        shapes.append(frame.image.shape)
    assert shapes == [(320, 200), (200, 320, 3)]


@pytest.mark.parametrize(
    ("settings", "error", "remedy"),
    [
        ({"serial": "99"}, CameraError, "viky.cti has no camera 99 to give"),
        ({"producer": Path("/none.cti")}, ConfigurationError, "is no GenTL producer.*: set camera"),
        ({"features": {"Wide": 1}}, ConfigurationError, "does not take camera.features.Wide 1"),
        ({"features": {"Width": -1}}, ConfigurationError, "features.Width -1 .* list of features"),
    ],
)
def test_a_genicam_camera_that_cannot_be_opened_names_the_remedy(
    settings: dict[str, Any], error: type[Exception], remedy: str
) -> None:
    with pytest.raises(error, match=remedy):
        genicam_source(**settings)


# Apart, where nobody listens to what a library logs, so that it goes to the terminal.
REFUSED = """
import sys
from pathlib import Path
from edge.cameras.genicam_source import GenicamSource
for producer in map(Path, sys.argv[1:]):
    try:
        GenicamSource(producer, serial="none", features={})
    except Exception as error:
        print(error)
"""


def test_a_genicam_driver_adds_no_line_of_its_own_to_what_is_refused() -> None:
    genicam = pytest.importorskip("genicam", reason="needs the extra genicam")
    there = Path(genicam.__file__).with_name("viky.cti")
    command = [sys.executable, "-c", REFUSED, "/none.cti", str(there)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert answer.stderr == ""
    none, no_camera = answer.stdout.splitlines()
    assert none.startswith("/none.cti is no GenTL producer")
    assert no_camera.startswith("viky.cti has no camera none to give")
    assert "()" not in answer.stdout


class Driver:
    """A stand-in for cv2.VideoCapture on a V4L2 device of one size, and of one exposure control."""

    def __init__(self, device: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.values = {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0}

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, control: int, value: float) -> bool:
        if control in self.values or control == cv2.CAP_PROP_GAIN:
            return False
        self.values[control] = value
        return True

    def get(self, control: int) -> float:
        if control == cv2.CAP_PROP_POS_MSEC:
            return self.offset_s * 1000 + time.monotonic() * 1000
        return self.values.get(control, 0.0)

    offset_s = -0.01

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.zeros((48, 64, 3), np.uint8)

    def release(self) -> None:
        """Nothing is held."""


def v4l2_source(**settings: Any) -> V4l2Source:
    defaults = {"width_px": 64, "height_px": 48, "fps": 60.0, "fourcc": "MJPG"}
    defaults |= {"exposure_us": 200, "gain": None}
    return V4l2Source("/dev/null", **{**defaults, **settings})


def test_a_v4l2_device_tells_its_time_if_it_is_of_our_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Driver)
    taken_ns = v4l2_source().grab().taken_ns
    assert taken_ns is not None and time.monotonic_ns() - taken_ns > 0
    monkeypatch.setattr(Driver, "offset_s", 10**9)  # the time of day
    assert v4l2_source().grab().taken_ns is None


def test_a_v4l2_device_that_cannot_do_what_is_asked_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CameraError, match="/dev/video99 is not there: see to the camera's cable"):
        V4l2Source(
            "/dev/video99",
            width_px=1,
            height_px=1,
            fps=None,
            fourcc=None,
            exposure_us=None,
            gain=None,
        )
    with pytest.raises(CameraError, match="/dev/null cannot be opened as a camera"):
        v4l2_source()
    monkeypatch.setattr(cv2, "VideoCapture", Driver)
    with pytest.raises(CameraError, match=r"gives 64 x 48 .*, not 320 x 48 pixels at 60 .* MJPG"):
        v4l2_source(width_px=320)
    with pytest.raises(CameraError, match=r"does not take camera\.gain: see its range"):
        v4l2_source(gain=3.0)


class EndlessSdp(BaseRequestHandler):
    """Says that it describes its stream in two gigabytes, and sends them."""

    def handle(self) -> None:
        block = b"a=x:" + b"y" * 1018 + b"\r\n"
        with self.request.makefile("rb") as asked, suppress(OSError):
            while line := asked.readline():
                head: dict[str, str] = {}
                while (each := asked.readline().decode().strip()) != "":
                    name, _, value = each.partition(": ")
                    head[name] = value
                answer = f"RTSP/1.0 200 OK\r\nCSeq: {head['CSeq']}\r\n"
                if not line.startswith(b"DESCRIBE"):
                    self.request.sendall(f"{answer}Public: DESCRIBE\r\n\r\n".encode())
                    continue
                answer += "Content-Type: application/sdp\r\nContent-Length: 2000000000\r\n\r\n"
                self.request.sendall(answer.encode())
                for _ in range(2_000_000):
                    self.request.sendall(block)


def test_a_hostile_camera_cannot_fill_the_memory() -> None:
    program = """
import sys
from pathlib import Path
from edge.cameras.opencv_source import RtspSource
from edge.errors import CameraError
def peak_kib(): return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak_kib()
try:
    RtspSource(sys.argv[1])
except CameraError:
    print(peak_kib() - before)
"""
    with ThreadingTCPServer(("127.0.0.1", 0), EndlessSdp) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"rtsp://127.0.0.1:{server.server_address[1]}/rail"
        command = [sys.executable, "-c", program, url]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        server.shutdown()
    assert int(answer.stdout) < 200_000
