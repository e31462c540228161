"""With simulated track and without: the same real pictures, and no other run's labels."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.what_track_adds import labelled_alone, recipe_with_track
from reference.datasets import list_samples
from stands.datasets_on_disk import WRITERS


def test_only_one_run_and_those_held_out_stay_labelled(tmp_path: Path) -> None:
    whole, few = tmp_path / "whole", tmp_path / "few"
    WRITERS["rail_defect"](whole / "RailDefect")
    boxes = whole / "RailDefect/annotations/boxes.json"
    document = json.loads(boxes.read_text(encoding="utf-8"))
    another = {"id": 7, "file_name": "1426220000001.jpg", "height": 64, "width": 512}
    document["images"].append(another)
    boxes.write_text(json.dumps(document), encoding="utf-8")
    labelled_alone(whole, few, "102801")
    samples = list_samples(few / "RailDefect", "rail_defect").samples
    assert {sample.name: sample.split for sample in samples} == {
        "1028010100005": "train",
        "1501200200007": "validation",
    }
    assert all(sample.image.is_file() for sample in samples)


def test_both_kinds_are_shown_the_same_real_pictures() -> None:
    with_it, without = (recipe_with_track(share, 200, seed=3) for share in (3, 0))
    *real, track = with_it.data
    assert (track.layout, track.share) == ("simulated", 3)
    assert real == without.data
    assert with_it.model_copy(update={"data": without.data}) == without
