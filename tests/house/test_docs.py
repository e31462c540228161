"""The pages that tell a newcomer how it hangs together name what is there, and all of it."""

from __future__ import annotations

import configparser
import re
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
