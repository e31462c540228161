"""A camera's place over the rail is found from a checkerboard or two marks, and undone."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.assembly import open_camera
from edge.cameras import Rectifier, by_board, by_marks, read_calibration, write_calibration
from edge.cli.app import app
from edge.commissioning.check import check_calibration
from edge.errors import CameraError, ConfigurationError, FrameError, UsageError
from edge.line_file.camera import FolderSettings
from edge.types import Frame, Image

BOARD, SQUARE_MM, PER_MM = (9, 6), 10.0, 8  # drawn at so many pixels a millimetre
SIZE = (640, 480)
RAIL_MM = (140, 105)


def a_rail(draw_board: bool = True) -> Image:
    """The plane of the rail from above: a board of 10 x 7 squares in its middle."""
    rail = np.full((RAIL_MM[1] * PER_MM, RAIL_MM[0] * PER_MM), 230, np.uint8)
    if draw_board:
        square = round(SQUARE_MM * PER_MM)
        top, left = 17 * PER_MM, 20 * PER_MM
        for row, column in product(range(BOARD[1] + 1), range(BOARD[0] + 1)):
            if (row + column) % 2 == 0:
                y, x = top + row * square, left + column * square
                rail[y : y + square, x : x + square] = 20
    return rail


def a_view(tilt: float = 0.0, turn_deg: float = 0.0, zoom: float = 1.0) -> NDArray[np.float64]:
    """From the rail's drawing to a picture, by a camera that is tilted and turned."""
    to_picture = np.diag([SIZE[0] / (RAIL_MM[0] * PER_MM)] * 2 + [1.0])
    middle = np.array(SIZE) / 2
    to_middle, back = np.eye(3), np.eye(3)
    to_middle[:2, 2], back[:2, 2] = -middle, middle
    angle = np.radians(turn_deg)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    lean = np.array([[zoom, 0, 0], [0, zoom, 0], [0, tilt / SIZE[1], 1]])
    return np.asarray(back @ lean @ turn @ to_middle @ to_picture)


def seen(view: NDArray[np.float64], rail: Image | None = None) -> Image:
    rail = a_rail() if rail is None else rail
    picture = cv2.warpPerspective(rail, view, SIZE, flags=cv2.INTER_AREA, borderValue=230)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)


def in_millimetres(view: NDArray[np.float64], place_px: tuple[float, float]) -> NDArray[np.float64]:
    drawn = cv2.perspectiveTransform(np.array([[place_px]], np.float64), np.linalg.inv(view))
    return np.asarray(drawn[0, 0] / PER_MM)


VIEWS = {
    "straight down": a_view(),
    "tilted": a_view(tilt=0.25),
    "tilted the other way": a_view(tilt=-0.2, zoom=0.9),
    "tilted and turned": a_view(tilt=0.2, turn_deg=8, zoom=0.9),
    "upside down": a_view(tilt=0.15, turn_deg=180),
}


@pytest.mark.parametrize("how", VIEWS)
def test_a_checkerboard_gives_the_pitch_and_undoes_the_perspective(how: str) -> None:
    view = VIEWS[how]
    calibration = by_board([seen(view)], BOARD, SQUARE_MM)
    assert calibration.error_mm is not None
    assert calibration.error_mm < 0.05
    # What lies so many millimetres apart on the rail does so in the frame, wherever it is.
    to_frame = np.array(calibration.frame_from_picture)
    pitch_mm = np.array([calibration.across_um, calibration.along_um]) / 1000
    places = [(100, 100), (540, 100), (320, 240), (100, 380), (540, 380)]
    for one, two in product(places, places):
        in_frame = cv2.perspectiveTransform(np.array([[one, two]], np.float64), to_frame)[0]
        apart_mm = np.linalg.norm((in_frame[0] - in_frame[1]) * pitch_mm)
        true_mm = np.linalg.norm(in_millimetres(view, one) - in_millimetres(view, two))
        assert apart_mm == pytest.approx(true_mm, abs=0.3)


def test_a_rectified_frame_is_as_large_as_what_the_picture_shows_everywhere() -> None:
    view = a_view(tilt=0.25)
    calibration = by_board([seen(view)], BOARD, SQUARE_MM)
    bright = seen(view, np.full_like(a_rail(draw_board=False), 230))
    frame = Rectifier(calibration)(bright)
    assert frame.shape == calibration.frame_px[::-1]
    assert frame.min() == 230  # no black corner, which would be an edge
    wide_mm = calibration.frame_px[0] * calibration.across_um / 1000
    assert 100 < wide_mm <= RAIL_MM[0]


def test_rectified_squares_are_square_and_as_large_as_on_the_rail() -> None:
    calibration = by_board([seen(VIEWS["tilted and turned"])], BOARD, SQUARE_MM)
    frame = Rectifier(calibration)(seen(VIEWS["tilted and turned"]))
    found, corners = cv2.findChessboardCornersSB(frame, BOARD)
    assert found
    grid = corners.reshape(BOARD[1], BOARD[0], 2)
    pitch_mm = np.array([calibration.across_um, calibration.along_um]) / 1000
    across, along = (np.abs(np.diff(grid, axis=axis)) * pitch_mm for axis in (1, 0))
    np.testing.assert_allclose(across, np.broadcast_to([10, 0], across.shape), atol=0.15)
    np.testing.assert_allclose(along, np.broadcast_to([0, 10], along.shape), atol=0.15)


def test_two_marks_give_the_pitch_of_a_camera_that_looks_straight_down() -> None:
    picture = np.zeros((480, 640), np.uint8)
    calibration = by_marks(picture, [(20, 100), (520, 100)], 125)
    assert (calibration.along_um, calibration.across_um) == (250, 250)
    assert Rectifier(calibration)(picture) is picture


def through_a_bad_lens(picture: Image, bend: float = 0.15) -> Image:
    """Lines bend the more, the further out they are."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    right, down = x / SIZE[0] - 0.5, y / SIZE[1] - 0.5
    further = 1 + bend * (right**2 + down**2)
    columns, rows = (right * further + 0.5) * SIZE[0], (down * further + 0.5) * SIZE[1]
    return np.asarray(cv2.remap(picture, columns, rows, cv2.INTER_LINEAR), np.uint8)


POOR = {
    "no board": (seen(a_view(), a_rail(draw_board=False)), "no board with 9 x 6 inner corners"),
    "a board that reaches over little": (seen(a_view(zoom=0.3)), "use one that reaches over more"),
    "a board askew": (seen(a_view(turn_deg=40, zoom=0.8)), "lay its edges along the rail"),
    "a lens that bends lines": (through_a_bad_lens(seen(a_view())), "a lens that bends lines less"),
}


@pytest.mark.parametrize("how", POOR)
def test_a_poor_picture_is_refused_with_what_to_do(how: str) -> None:
    picture, remedy = POOR[how]
    with pytest.raises(UsageError, match=remedy):
        by_board([picture], BOARD, SQUARE_MM)


def test_pictures_between_which_the_board_moved_are_refused() -> None:
    moved = np.roll(seen(a_view()), 4, axis=1)
    with pytest.raises(UsageError, match=r"moved by 4\.\d pixels"):
        by_board([seen(a_view()), moved], BOARD, SQUARE_MM)


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="not of one size"):
        by_board([seen(a_view()), seen(a_view())[:400]], BOARD, SQUARE_MM)


@pytest.mark.parametrize(
    ("marks", "remedy"),
    [
        ([(10, 10), (100, 10)], "at least 160 apart"),
        ([(10, 10), (900, 10)], "outside of the picture, which is 640 x 480"),
        ([(10, 10)], "give two"),
    ],
)
def test_poor_marks_are_refused_with_what_to_do(
    marks: list[tuple[float, float]], remedy: str
) -> None:
    with pytest.raises(UsageError, match=remedy):
        by_marks(np.zeros((480, 640), np.uint8), marks, 50)


def run(*arguments: object) -> None:
    app([str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_writes_what_a_camera_is_rectified_by(tmp_path: Path) -> None:
    frames, out = tmp_path / "frames", tmp_path / "rail.calibration.json"
    frames.mkdir()
    for index in range(2):
        cv2.imwrite(str(frames / f"{index}.png"), seen(VIEWS["tilted"]))
    pictures = sorted(frames.iterdir())
    run("calibrate", *pictures, "--board", "9x6", "--square-mm", 10, "--out", out)
    calibration = read_calibration(out)
    settings = FolderSettings(type="folder", path=frames, calibration=out)
    camera = open_camera(settings)
    first, second = camera.frames()
    assert isinstance(second, Frame)
    assert second.image.shape == calibration.frame_px[::-1]
    assert second.across_um == calibration.across_um
    assert second.along_um == pytest.approx(calibration.along_um, rel=1e-5)
    assert second.stretch.start_um == first.stretch.end_um
    [check] = check_calibration(settings)
    assert check.passed
    assert check.detail.startswith("by checkerboard: ")


@pytest.mark.parametrize(
    "asked",
    [
        [],
        ["--board", "9x6"],
        ["--board", "9by6", "--square-mm", "10"],
        ["--mark", "3;4", "--mark", "300,4", "--distance-mm", "50"],
        ["--board", "9x6", "--square-mm", "10", "--mark", "3,4"],
        ["--board", "99999999999x6", "--square-mm", "10"],
        ["one-more.png", "--mark", "3,4", "--mark", "300,4", "--distance-mm", "50"],
    ],
)
def test_a_command_that_asks_for_nothing_clear_is_refused(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for picture in ("picture.png", "one-more.png"):
        cv2.imwrite(picture, seen(a_view()))
    with pytest.raises(UsageError):
        run("calibrate", "picture.png", "--out", "out.json", *asked)


def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    made = by_marks(np.zeros((48, 64), np.uint8), [(2, 2), (60, 2)], 5)
    write_calibration(made, path)
    assert read_calibration(path) == made
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(ConfigurationError, match="make one with `trackside calibrate`"):
        read_calibration(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_calibration(tmp_path / "none.json")


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    made = by_marks(np.zeros((48, 64), np.uint8), [(2, 2), (60, 2)], 5)
    with pytest.raises(FrameError, match="32 x 48 pixels, the calibration was made at 64 x 48"):
        Rectifier(made)(np.zeros((48, 32), np.uint8))
    write_calibration(made, tmp_path / "made.json")
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 32), np.uint8))
    settings = FolderSettings(type="folder", path=tmp_path, calibration=tmp_path / "made.json")
    with pytest.raises(CameraError, match="calibrate it again"):
        open_camera(settings)
