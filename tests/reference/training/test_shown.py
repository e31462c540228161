"""Training shows itself: live on a terminal, as JSON to a script, as a page of the whole run."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
import yaml
from typer.testing import CliRunner

from edge.simulation import SimulatedLine
from reference import commands
from reference.data import Pair
from reference.evaluation import Said
from reference.recipe import Recipe
from reference.trained import checkpoint
from reference.training.outcomes import Watch, read_outcomes, write_outcomes
from reference.training.page import Story, write_page
from stands.small_disk import a_small_disk
from stands.tiny_recipe import RECIPE, SIDE

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated frames in the layout of SD-saliency-900; two are held out, one of them sound."""
    root = tmp_path_factory.mktemp("data")
    line = SimulatedLine(2, width_px=SIDE, defects_per_metre=20)
    for folder in ("Source Images", "Ground truth"):
        (root / "sd900" / folder).mkdir(parents=True)
    for index, number in enumerate((1, 2, 3, 4, 241, 250)):
        image, labels = line.render(SIDE * index, SIDE)
        mask = np.where(labels > 0, 255, 0).astype(np.uint8) * (number != 250)
        if number == 241:  # whatever is there, something is marked
            mask[20:30, 20:30] = 255
        cv2.imwrite(str(root / "sd900" / "Source Images" / f"In_{number}.bmp"), image)
        cv2.imwrite(str(root / "sd900" / "Ground truth" / f"In_{number}.png"), mask)
    return root


def written(folder: Path, **changes: object) -> Path:
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | changes), encoding="utf-8")
    return recipe


def arguments(recipe: Path, data_root: Path, out: Path, *more: str | Path) -> list[str]:
    usual = (recipe, "--data-root", data_root, "--out", out, "--device", "cpu", "--threads", "1")
    return [*map(str, usual), *map(str, more)]


def on_a_terminal(command: list[str]) -> tuple[int, str]:
    """What a person sees of a command."""
    ours, theirs = pty.openpty()
    seen = b""
    wide = os.environ | {"COLUMNS": "200"}  # no path is broken
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=wide) as process:
        os.close(theirs)
        try:
            while more := os.read(ours, 65536):
                seen += more
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
    os.close(ours)
    return process.returncode, seen.decode()


def test_a_terminal_sees_it_live_and_is_told_what_comes_next(
    data_root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    recipe, out = written(tmp_path, iterations=4), tmp_path / "run"
    command = [sys.executable, "-m", "edge.cli", "train"]
    code, seen = on_a_terminal([*command, *arguments(recipe, data_root, out, "--tensorboard")])
    assert code == 0, seen
    for shown in ("4/4", "left", "loss", "s_measure", "best so far", str(out / "samples")):
        assert shown in seen
    assert '"iteration"' not in seen
    last = seen.strip().splitlines()[-1]
    assert f"{out / 'best.safetensors'} --out {tmp_path / 'my.bundle'}" in " ".join(seen.split())
    assert "Next: trackside quantize" in seen, last
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
        EventAccumulator,
    )

    events = EventAccumulator(str(out / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("validation/s_measure")] == [2, 4]


def test_a_resumed_run_has_the_whole_run_on_its_page_wherever_it_goes_on(
    data_root: Path, tmp_path: Path
) -> None:
    app = typer.Typer()
    app.command()(commands.train)
    first, second = tmp_path / "first", tmp_path / "second"
    recipe = written(tmp_path, iterations=2)
    begun = CliRunner().invoke(app, arguments(recipe, data_root, first))
    assert begun.exit_code == 0, begun.output
    recipe = written(tmp_path, iterations=4)
    more = ("--resume", first / "last.safetensors", "--json")
    gone_on = CliRunner().invoke(app, arguments(recipe, data_root, second, *more))
    assert gone_on.exit_code == 0, gone_on.output
    assert [json.loads(row)["iteration"] for row in gone_on.stdout.splitlines()] == [4]
    assert "Next: trackside quantize" in gone_on.stderr
    text = (second / "report.html").read_text(encoding="utf-8")
    assert "iteration 4 of 4; best s_measure" in text
    assert len((second / "log.csv").read_text(encoding="utf-8").splitlines()) == 3
    [loss] = re.findall(r'<title>Loss</title>.*?class="line line0" d="(M[^"]+)"', text)
    assert loss.count("L") == 1  # from the first half to the second
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)  # nothing is fetched
    assert text.count("<figure>") == 2  # the worst and the best of two held-out pictures
    assert "In_250: sound" in text
    assert "false rejects" in text


def test_a_figure_of_nothing_is_left_out_of_the_page(tmp_path: Path) -> None:
    rows = [
        {"iteration": 2.0, "loss": 3.0, "s_measure": math.nan, "escape_rate": math.nan},
        {"iteration": 4.0, "loss": 2.0, "s_measure": 0.5, "escape_rate": math.nan},
    ]
    story = Story("run", Recipe.model_validate(RECIPE), rows, 4, None)
    write_page(story, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "best s_measure 0.5000 at 4" in text
    assert "nan" not in re.findall(r"<svg.*</svg>", text)[0]


def test_escapes_and_false_rejects_are_of_whole_pictures_at_a_threshold(tmp_path: Path) -> None:
    def pair(name: str, marked: bool) -> Pair:
        mask = np.zeros((8, 8), np.uint8)
        mask[2:4, 2:4] = marked
        return Pair(name, np.full((8, 8), 90, np.uint8), mask)

    def said(on_the_defect: float, elsewhere: float) -> Said:
        answer = np.full((8, 8), elsewhere, np.float32)
        answer[2:4, 2:4] = on_the_defect
        return Said(answer)

    pairs = [pair("sure", True), pair("missed", True), pair("dirt", False), pair("clean", False)]
    answers = [said(0.9, 0.1), said(0.2, 0.3), said(0.1, 0.7), said(0.05, 0.05)]
    watch = Watch(pairs)
    assert [*watch.look(answers)] == answers
    outcomes = watch.outcomes(7)
    assert [outcomes.escapes(at) for at in (0.1, 0.5, 0.95)] == [0, 0.5, 1]
    assert [outcomes.false_rejects(at) for at in (0.01, 0.5, 0.8)] == [1, 0.5, 0]
    assert [shown.name for shown in outcomes.worst] == ["missed", "dirt"]
    assert [shown.name for shown in outcomes.best] == ["sure", "clean"]
    write_outcomes(outcomes, tmp_path / "outcomes.json")
    assert read_outcomes(tmp_path / "outcomes.json", 7) == outcomes
    assert read_outcomes(tmp_path / "outcomes.json", 6) is None  # of a checkpoint that was lost


def test_a_full_disk_ends_it_with_one_line_and_leaves_the_checkpoint_before_it_whole(
    data_root: Path, tmp_path: Path
) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    kept.mkdir()
    small = a_small_disk(disk, megabytes=8)  # a checkpoint is of five
    recipe = written(tmp_path, iterations=2)
    program = [sys.executable, "-m", "edge.cli", "train", *arguments(recipe, data_root, disk)]
    # The first checkpoint goes in, a second beside it does not: the namespace's disk ends with it.
    script = '"$@"; code=$?; cp -r "$0"/. "$KEPT"; exit $code'
    command = [*small, "sh", "-c", script, str(disk), *program]
    ran = subprocess.run(
        command,
        env=os.environ | {"KEPT": str(kept)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    [told] = [row for row in ran.stderr.splitlines() if row.startswith("trackside: ")]
    assert told.startswith(f"trackside: {disk / 'last.safetensors'}")
    assert "make room on its disk" in told
    assert "Traceback" not in ran.stderr
    groups, record = checkpoint.load(kept / "best.safetensors")
    assert record["iteration"] == 2
    assert set(groups) == {"model", "ema", "optimizer"}
    assert not (kept / "last.safetensors").exists()
