"""The pages that tell a newcomer how it hangs together name what is there, and all of it."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stands.places import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
THREADS = re.compile(r'Thread\((?:.|\n)*?name="([^"]+)"')


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    here = [link for link in links if "://" not in link]
    assert [link for link in here if not (page.parent / link).exists()] == []


def test_the_architecture_page_and_its_picture_name_every_room() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = (ROOT / "docs" / "pictures" / "rooms.svg").read_text(encoding="utf-8")
    for floors in ("floors-of-edge", "floors-of-the-bridge"):
        for room in re.findall(r"\w+", contracts[f"importlinter:contract:{floors}"]["layers"]):
            assert f"`{room}`" in page
            assert f">{room}<" in picture


def test_the_page_of_threads_has_every_thread_that_the_box_starts() -> None:
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    started = {
        name
        for house in ("edge", "firmware_bridge")
        for path in (ROOT / house).rglob("*.py")
        for name in THREADS.findall(path.read_text(encoding="utf-8"))
    }
    assert len(started) > 10
    assert [name for name in sorted(started) if f"| `{name}` |" not in page] == []


def test_every_message_that_the_page_of_troubles_explains_is_one_that_is_given() -> None:
    page = (ROOT / "docs" / "trouble.md").read_text(encoding="utf-8")
    quoted = [
        message
        for cell in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
        for message in re.findall(r"`([^`]+)`", cell)
        if " " in message and not message.startswith(("trackside ", "journalctl "))
    ]
    given = "\n".join(
        text
        for house in ("edge", "firmware_bridge", "quantize", "reference")
        for path in (ROOT / house).rglob("*.py")
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
    )
    assert len(quoted) > 40
    assert [message for message in quoted if not _occurs(message, given)] == []


def _texts(module: ast.Module) -> Iterator[str]:
    """Every text of a module on a line; what is only known when it is said, as `...`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.replace("\n", " ")
        elif isinstance(node, ast.JoinedStr):
            parts = (
                part.value if isinstance(part, ast.Constant) else "..." for part in node.values
            )
            yield "".join(map(str, parts)).replace("\n", " ")


def _occurs(message: str, given: str) -> bool:
    """A message's own values, and what is left out as `...`, may stand for any text of a line."""
    parts = [re.escape(part.strip(" :,")) for part in message.split("...") if part.strip(" :,")]
    return re.search(".*".join(parts), given) is not None
