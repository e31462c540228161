"""Kept frames looked at a second time: what contradicts itself comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge.engines import Answer
from edge.errors import ConfigurationError
from edge.inspect import make_inspector
from edge.line_file import LineSettings, read_line
from edge.network import Network, network_of
from edge.review import Catalogue, Sought, second_looks
from edge.second_look import look_again
from edge.second_look.looking import Eyes, disagreement
from edge.second_look.mirrored import ACROSS, ALONG, Mirrored
from edge.simulation import SimulatedLine
from edge.store import EventStore, picture_path, read_events
from edge.store.pictures import FRAME
from edge.swap import open_in_force
from edge.types import Frame, Stretch
from stands.event_stores import utc_now
from stands.line_files import CAMERA, changed
from stands.places import STEEL_LINE

FRAMES, SIZE, STEP, UM = 6, 352, 300, 250  # each frame shows some rows of the one before


@pytest.fixture
def line(tmp_path: Path) -> LineSettings:
    """A line that has kept every frame that it saw, each but the first with one beside it."""
    document = changed(yaml.safe_load(STEEL_LINE.read_text()), engine={"type": "native"})
    document["store"] = {"path": "events", "ok_every": 1, "keep_free_mb": 1}
    path = tmp_path / "line.yaml"
    path.write_text(yaml.safe_dump(document))
    config = read_line(path)
    assert config.store is not None
    rail = SimulatedLine(7, "rail", defects_per_metre=6)
    network = network_of(config.engine, open_in_force(config))
    inspector = make_inspector(config.lookout(CAMERA), network, lambda: 0, None)
    with EventStore(config.store, utc_now) as store:
        for index in range(FRAMES):
            start = index * STEP
            stretch = Stretch(start * UM, (start + SIZE) * UM)
            store.record(
                inspector.inspect(Frame(index, rail.render(start, SIZE)[0], 0, stretch, UM))
            )
    network.engine.close()
    return config


def root_of(config: LineSettings) -> Path:
    assert config.store is not None
    return config.store.path


def test_every_kept_frame_is_looked_at_again_once_and_by_another_engine_if_asked(
    line: LineSettings, trackside_events: Callable[..., str]
) -> None:
    given = root_of(line).parent / "line.yaml"
    assert trackside_events("look-again", given, "--last", 2) == "2 events are looked at again\n"
    assert {event for event, _ in second_looks(root_of(line))} == {FRAMES - 1, FRAMES}
    assert look_again(line).events == FRAMES - 2
    assert look_again(line).events == 0
    looks = [look for _, look in sorted(second_looks(root_of(line)).items())]
    assert all(0 <= look.mirrored < 1 for look in looks)
    assert [look.neighbour is None for look in looks] == [True] + [False] * (FRAMES - 1)
    assert {look.engine for look in looks} == {None}
    again = trackside_events("look-again", given, "--engine", "onnxruntime")
    assert again == f"{FRAMES} events are looked at again\n"
    known = second_looks(root_of(line)).values()
    # Two engines round differently, and say the same all the same.
    assert all(look.engine is not None and look.engine < 0.3 for look in known)


def test_what_disagrees_most_comes_first_in_the_list_and_in_the_view(
    line: LineSettings, trackside_events: Callable[..., str]
) -> None:
    look_again(line)
    looks = second_looks(root_of(line)).values()
    wanted = [
        each.event for each in sorted(looks, key=lambda look: (-look.disagreement, -look.event))
    ]
    listed = trackside_events("list", root_of(line), "--order", "disagreement").splitlines()
    assert [int(text.split()[0]) for text in listed] == wanted
    assert "[mirrored 0." in listed[0]
    catalogue = Catalogue(root_of(line))
    catalogue.refresh()
    assert catalogue.find(Sought(order="disagreement"), None, FRAMES)[0] == wanted
    assert catalogue.find(Sought(order="disagreement"), wanted[2], 2)[0] == wanted[3:5]


def test_what_cannot_be_seen_any_more_is_named_and_all_else_is_looked_at(
    line: LineSettings,
    trackside_events: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = picture_path(root_of(line), 2, FRAME)
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(SystemExit) as ended:
        trackside_events("look-again", root_of(line).parent / "line.yaml")
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == f"{FRAMES - 1} events are looked at again; 1 could not be\n"
    assert said.err.startswith("trackside: event 2: ")
    assert len(read_events(root_of(line))) == FRAMES


def test_a_line_that_keeps_nothing_has_nothing_to_look_at() -> None:
    with pytest.raises(ConfigurationError, match="keeps no events"):
        look_again(read_line(STEEL_LINE))


@pytest.mark.parametrize("axis", [ALONG, ACROSS])
def test_a_mirrored_engine_answers_where_the_thing_is(axis: int) -> None:
    """One that says of each pixel what it is, and of each cell."""

    class Copying:
        name, takes_pixels, blocks_at_once = "copying", False, 0

        def infer(self, tensor: np.ndarray) -> Answer:
            return Answer(tensor, tensor[..., ::2, ::2] + tensor[..., 1::2, 1::2])

        def infer_all(self, tensors: list[np.ndarray]) -> list[Answer]:
            return [*map(self.infer, tensors)]

        def close(self) -> None: ...

    tensor = np.random.default_rng(0).random((1, 1, 4, 6), np.float32)
    engine = Copying()
    straight, [turned] = engine.infer(tensor), Mirrored(engine, axis).infer_all([tensor])
    assert np.array_equal(turned.logits, straight.logits)
    assert straight.names is not None and turned.names is not None
    assert turned.names.shape == straight.names.shape


def test_what_is_seen_on_one_side_alone_contradicts_the_mirror_across(line: LineSettings) -> None:
    """Whatever is shown, something is on the left: mirrored along the rail that is no wonder."""
    bundle, events = open_in_force(line), read_events(root_of(line))
    assert bundle.manifest.names is not None
    cells = bundle.manifest.names.height, bundle.manifest.names.width
    classes = np.zeros((1, len(bundle.manifest.classes), *cells), np.float32)

    class OneSided:
        name, takes_pixels, blocks_at_once = "one-sided", False, 0

        def infer(self, tensor: np.ndarray) -> Answer:
            logits = np.full((1, 1, SIZE // 2, SIZE // 2), -9, np.float32)
            logits[..., : SIZE // 8] = 9
            return Answer(logits, classes)

        def infer_all(self, tensors: list[np.ndarray]) -> list[Answer]:
            return [*map(self.infer, tensors)]

        def close(self) -> None: ...

    eyes = Eyes(line, root_of(line), events, [Network(bundle, OneSided())])
    assert eyes.look(events[0]).mirrored > 0.9


def test_two_maps_disagree_by_what_only_one_of_them_shows() -> None:
    one, other = np.zeros((2, 20, 20), np.float32)
    one[2:8, 2:8] = 1
    assert disagreement(one, one, 4) == 0
    assert disagreement(one, other, 4) == pytest.approx(36 / 40)
    other[10:16, 2:8] = 1
    assert disagreement(one, other, 4) == pytest.approx(72 / 76)
    other[:] = 0.001  # what is nowhere near a defect is none
    assert disagreement(np.zeros_like(other), other, 4) < 0.1
