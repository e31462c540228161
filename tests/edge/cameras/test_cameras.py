"""What every camera promises, and what the recorded ones do with a recording that is damaged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras import Camera, Faults, LiveCamera
from edge.cameras.folder_camera import FolderCamera
from edge.cameras.paced_camera import PacedCamera
from edge.cameras.synthetic_camera import SyntheticCamera
from edge.cameras.video_camera import VideoCamera
from edge.errors import CameraError, FrameError
from edge.files.image_file import read_image
from edge.simulation import SimulatedLine
from edge.types import Frame, Image, LostFrame
from stands.live_rail import Rail, open_rail_camera

FRAMES, HEIGHT, WIDTH = 12, 48, 64


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """Noise on a grey level that tells which frame it is."""
    noise = np.random.default_rng(number).integers(0, 60, (height, width, 1))
    return np.asarray(np.repeat(noise + 10 + 15 * number, 3, 2), np.uint8)


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FRAMES):  # 2 must come before 10
        cv2.imwrite(str(folder / f"rail{number}.png"), picture(number))
    return folder


def write_video(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        writer.write(picture(number))
    writer.release()
    return path


def folder_camera(path: Path, *, along_um: float = 100.3, colour: bool = False) -> FolderCamera:
    ticks = count()
    return FolderCamera(
        path, along_um=along_um, across_um=80, colour=colour, clock_ns=lambda: next(ticks)
    )


def video_camera(path: Path, *, along_um: float = 100.3, colour: bool = False) -> VideoCamera:
    ticks = count()
    return VideoCamera(
        path, along_um=along_um, across_um=80, colour=colour, clock_ns=lambda: next(ticks)
    )


def synthetic_camera() -> SyntheticCamera:
    ticks = count()
    line = SimulatedLine(seed=3, width_px=WIDTH)
    return SyntheticCamera(line, height_px=HEIGHT, clock_ns=lambda: next(ticks))


# A new camera joins the contract with one line here.
CAMERAS: dict[str, Callable[[Path], Camera]] = {
    "folder": lambda tmp: folder_camera(write_folder(tmp / "frames")),
    "folder in colour": lambda tmp: folder_camera(write_folder(tmp / "frames"), colour=True),
    "video": lambda tmp: video_camera(write_video(tmp / "line.avi")),
    "video in colour": lambda tmp: video_camera(write_video(tmp / "line.avi"), colour=True),
    "synthetic": lambda tmp: synthetic_camera(),
    "paced": lambda tmp: PacedCamera(synthetic_camera(), lambda um: um, limit=FRAMES),
    "live": lambda tmp: open_rail_camera(Rail(), Faults()),
    "live, by arrival": lambda tmp: open_rail_camera(Rail(), Faults(), tells=False),
}


@pytest.fixture(params=CAMERAS)
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Camera:
    """Every kind of camera, with at least FRAMES frames to show."""
    return CAMERAS[request.param](tmp_path)


def test_frames_come_in_order_leave_no_rail_out_and_have_8_bits(camera: Camera) -> None:
    frames = list(islice(camera.frames(), FRAMES))
    camera.close()
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert frames[0].stretch.start_um <= 0  # what was in view as the run began, too
    for one, following in pairwise(frames):
        assert one.stretch.start_um < following.stretch.start_um <= one.stretch.end_um
        # Those of a recording share no rail.
        shares = isinstance(camera, LiveCamera)
        assert shares or following.stretch.start_um == one.stretch.end_um
        assert one.captured_ns < following.captured_ns
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.image.dtype == np.uint8
        assert frame.image.shape in {(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)}


def test_a_camera_that_is_closed_ends_and_may_be_closed_again(camera: Camera) -> None:
    frames = camera.frames()
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_a_recording_shows_each_of_its_frames_once(kind: str, tmp_path: Path) -> None:
    frames = list(CAMERAS[kind](tmp_path).frames())
    levels = [frame.image.mean() for frame in frames if isinstance(frame, Frame)]
    assert levels == pytest.approx(
        [picture(n).mean() for n in range(FRAMES)], abs=4
    )  # MJPEG shifts levels a little


def test_stretches_of_a_fractional_pitch_do_not_drift(tmp_path: Path) -> None:
    *_, last = folder_camera(write_folder(tmp_path / "frames"), along_um=0.1).frames()
    assert last.stretch.end_um == round(FRAMES * HEIGHT * 0.1)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])


def write_cut_jpeg(path: Path) -> None:
    # What is inside decides, not the name; a cut JPEG is the one that decoders fill up in silence.
    path.write_bytes(cv2.imencode(".jpg", picture(3))[1].tobytes())
    cut(path)


def test_a_jpeg_with_the_rest_of_another_after_its_end_is_whole(tmp_path: Path) -> None:
    """Cameras write files in blocks, and the last block ends with what was in memory."""
    whole = cv2.imencode(".jpg", picture(3))[1].tobytes()
    rest = cv2.imencode(".jpg", picture(5))[1].tobytes()
    path = tmp_path / "a.jpg"
    for after in (b"\0" * 40, rest[: len(rest) // 2], rest[2:]):
        path.write_bytes(whole + after)
        assert np.array_equal(read_image(path, colour=False), cv2.imread(str(path), 0))
    path.write_bytes(whole[: len(whole) * 3 // 5])
    with pytest.raises(FrameError, match="not a whole image"):
        read_image(path, colour=False)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def write_larger(path: Path) -> None:
    cv2.imwrite(str(path), picture(3, 50, 70))


def write_16_bits(path: Path) -> None:
    cv2.imwrite(str(path), picture(3).astype(np.uint16) * 16)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "is not a whole image: copy it again"),
        (write_cut_jpeg, "is not a whole image: copy it again"),
        (empty, "is not a whole image: copy it again"),
        (write_larger, "70 x 50 pixels, the first one is 64 x 48 pixels"),
        (write_16_bits, "holds uint16 pixels: save it with 8 bits"),
    ],
)
def test_an_image_that_cannot_be_used_is_lost_in_its_place(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    folder = write_folder(tmp_path / "frames")
    whole = list(folder_camera(folder).frames())
    damage(folder / "rail3.png")
    seen = list(folder_camera(folder).frames())
    assert [type(s) for s in seen] == [LostFrame if n == 3 else Frame for n in range(FRAMES)]
    assert [s.stretch for s in seen] == [s.stretch for s in whole]
    assert isinstance(seen[3], LostFrame)
    assert reason in seen[3].reason


def test_a_folder_whose_first_image_is_damaged_is_measured_by_the_next(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "frames")
    cut(folder / "rail0.png")
    first, second, *_ = folder_camera(folder).frames()
    assert isinstance(first, LostFrame)
    assert isinstance(second, Frame)
    assert first.stretch.end_um == second.stretch.start_um == round(HEIGHT * 100.3)


def test_a_video_that_is_cut_short_loses_the_rest_and_the_frame_at_the_cut(tmp_path: Path) -> None:
    path = write_video(tmp_path / "line.avi")
    whole = list(video_camera(path).frames())
    cut(path)
    seen = list(video_camera(path).frames())
    assert [s.index for s in seen] == list(range(FRAMES))
    assert [s.stretch for s in seen] == [s.stretch for s in whole]
    shown = [s for s in seen if isinstance(s, Frame)]
    lost = [s for s in seen if isinstance(s, LostFrame)]
    assert shown and lost and seen == [*shown, *lost]
    assert f"declares {FRAMES} frames and only {len(shown) + 1} can be decoded" in lost[0].reason
    # The frame at the cut is half made up; every frame that is shown is as it was recorded.
    for frame, original in zip(shown, whole, strict=False):
        assert isinstance(original, Frame)
        assert np.array_equal(frame.image, original.image)


def test_a_source_that_cannot_be_opened_names_the_remedy(tmp_path: Path) -> None:
    broken = write_folder(tmp_path / "broken")
    for image in broken.iterdir():
        cut(image)
    (tmp_path / "empty").mkdir()
    (tmp_path / "line.avi").write_bytes(b"no video")
    for path, remedy in {
        "none": "set the camera's path to a folder",
        "empty": r"holds no image: put .*\.png",
        "broken": f"none of the {FRAMES} images .* copy it again",
    }.items():
        with pytest.raises(CameraError, match=remedy):
            folder_camera(tmp_path / path)
    for path, remedy in {
        "none": "set the camera's path to a video",
        "line.avi": "copy it again",
    }.items():
        with pytest.raises(CameraError, match=remedy):
            video_camera(tmp_path / path)
