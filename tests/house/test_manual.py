"""The manual: it is built without a warning, fetches nothing, and its blocks do what they say.

A block of `sh` is run, page by page in order, in a folder of the page's own; what takes a person
minutes takes a test seconds (stands/quick_trackside.py). A block of `yaml` is a part of a line
file, or a recipe, and is read as one. What cannot run here says why in its title, which is shown.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from markdown_it import MarkdownIt

from edge.cli.app import app, register_other_rooms
from edge.line_file import LineSettings, read_line
from reference.recipe import read_recipe
from stands.places import EXAMPLES, ROOT, TESTS_PATH

NOT_RUN = "Not run by the tests: "
FOREIGN = re.compile(r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="(?:https?:)?//[^"]+"')
TITLE = re.compile(r'title="([^"]*)"')


class _Manual(yaml.SafeLoader):
    """mkdocs.yml, which names functions."""


_Manual.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def pages() -> list[Path]:
    """Every page of the navigation, as files of the repository."""
    manual = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), _Manual)
    return [_file(uri) for uri in _uris(manual["nav"])]


def _uris(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
        return
    for part in nav.values() if isinstance(nav, dict) else nav:
        yield from _uris(part)


def _file(uri: str) -> Path:
    inside = ROOT / "docs" / uri
    return inside if inside.is_file() else ROOT / uri


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    title: str
    text: str

    @property
    def not_run(self) -> str | None:
        return self.title.removeprefix(NOT_RUN) if self.title.startswith(NOT_RUN) else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    fences = (t for t in tokens(page) if t.type == "fence")
    return [
        Block(
            page=page,
            line=fence.map[0] + 1,
            language=fence.info.split(" ")[0],
            title="".join(TITLE.findall(fence.info)),
            text=fence.content,
        )
        for fence in fences
    ]


def tokens(page: Path) -> list[Any]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.fixture(scope="module")
def workshops(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """A folder for each page, in which its blocks leave what the later ones need."""
    return {page: tmp_path_factory.mktemp(page.stem) for page in PAGES}


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A terminal in which `trackside` is this one, and quick."""
    command = tmp_path_factory.mktemp("bin") / "trackside"
    quick = f'#!/bin/sh\nexec {sys.executable} -m stands.quick_trackside "$@"\n'
    command.write_text(quick, encoding="utf-8")
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": TESTS_PATH, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_does_what_it_says(
    block: Block,
    workshops: dict[Path, Path],
    surroundings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if block.language == "sh":
        for line in commands_of(block.text):
            assert unknown_in(line) is None
    if block.not_run is not None:
        pytest.skip(f"{block}: {block.not_run}")
    folder = workshops[block.page]
    if block.language == "yaml":
        monkeypatch.setenv("WEB_TOKEN", "3f1c9a7e5b2d8046")
        monkeypatch.setenv("METRICS_TOKEN", "8e20c4d6a19b7f53")
        monkeypatch.setenv("HAWKBIT_TOKEN", "5d0b7c2e914fa683")
        if block.title == "A whole recipe":
            (folder / "recipe.yaml").write_text(block.text, encoding="utf-8")
            read_recipe(folder / "recipe.yaml")
        else:
            read_as_a_line_file(block, folder)
    else:
        assert block.language == "sh", f'{block}: say title="{NOT_RUN}..." and why'
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=folder,
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def read_as_a_line_file(block: Block, folder: Path) -> None:
    """Its sections take the place of those of the page's own line file, or of the smallest one."""
    sections = yaml.safe_load(block.text)
    assert set(sections) <= set(LineSettings.model_fields)
    page_s_own = folder / "line.yaml"
    source = page_s_own if page_s_own.exists() else EXAMPLES / "steel.yaml"
    whole = {**yaml.safe_load(source.read_text(encoding="utf-8")), **sections}
    is_added = block.title == "Added to line.yaml"
    path = page_s_own if is_added else folder / f"block-{block.line}.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    read_line(path)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    inline = (code for token in tokens(page) for code in token.children or ())
    spoken = [code.content for code in inline if code.type == "code_inline"]
    named = [each for each in spoken if re.match(r"trackside [^\\]+$", each)]
    assert [why for each in named if (why := unknown_in(each)) is not None] == []


def test_the_manifest_for_a_cluster_runs_a_command_that_is_there_on_nodes_that_have_it() -> None:
    manifest = yaml.safe_load((ROOT / "docs" / "backtest-on-kubernetes.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    command, cluster = manifest["spec"]["entrypoint"], manifest["spec"]["rayClusterSpec"]
    assert unknown_in(command) is None
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    assert len({container["image"] for pod in pods for container in pod["containers"]}) == 1
    for pod in pods:
        mounted = [m["name"] for each in pod["containers"] for m in each.get("volumeMounts", [])]
        assert mounted == [volume["name"] for volume in pod.get("volumes", [])]
    # What is written outlasts the cluster: it lies on what the head has mounted.
    [mount] = pods[0]["containers"][0]["volumeMounts"]
    words = shlex.split(command)
    assert words[words.index("--out") + 1].startswith(mount["mountPath"])


def commands_of(script: str) -> list[str]:
    """The lines of a script that call the command, without what surrounds it."""
    begins = r"(?:^|[(;&|])[ ]*(?:/\S+/)?"
    return re.findall(begins + r"(trackside [^|&;)\n]*)", script.replace("\\\n", " "), re.MULTILINE)


def unknown_in(line: str) -> str | None:
    """What of a command line the command does not have; None for a good one."""
    command = whole_command()
    words = shlex.split(line.partition("|")[0], comments=True)[1:]
    while words and (below := getattr(command, "commands", {})):
        if words[0].startswith("-") or words[0].isupper():
            break
        if (word := words.pop(0)) not in below:
            return f"{line}: there is no {word}"
        command = below[word]
    has = {"--help", "--version"} | {
        name for param in command.params for name in (*param.opts, *param.secondary_opts)
    }
    for word in words:
        if re.match(r"--?[a-z]", word) and word.split("=")[0] not in has:
            return f"{line}: it has no {word}"
    return None


@cache
def whole_command() -> Any:
    register_other_rooms()
    return typer.main.get_command(app)


def test_the_manual_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir"]
    done = subprocess.run(
        [*build, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(built) > len(PAGES)
    assert {
        path.name: found for path, text in built.items() if (found := FOREIGN.findall(text))
    } == {}
    # What the program itself makes is there, and nothing that was to be made is left.
    assert ">trackside bundle activate<" in built[tmp_path / "commands.html"]
    assert "<code>min_extent_mm</code>" in built[tmp_path / "line-file.html"]
    assert "<code>learning_rate</code>" in built[tmp_path / "recipes.html"]
    assert "the native engine was not built" in built[tmp_path / "messages.html"]
    assert [path.name for path, text in built.items() if "<!-- made:" in text] == []
