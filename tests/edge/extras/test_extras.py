"""What is missing is said with the extra that brings it, as setup.cfg has it."""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions

import pytest

from edge.extras import EXTRA_OF_MODULE, NotInstalled, not_installed, require
from stands.places import ROOT

HOUSES = ("benchmarks", "edge", "firmware_bridge", "quantize", "reference")


def extras() -> dict[str, set[str]]:
    """The packages of each extra, those of extras that it takes in among them."""
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = {
        name: set(text.split("\n")) - {""}
        for name, text in parser["options.extras_require"].items()
    }

    def packages(extra: str) -> set[str]:
        found = set()
        for wanted in listed[extra]:
            if taken_in := re.match(r"trackside\[(.+)\]", wanted):
                found |= {p for other in taken_in[1].split(",") for p in packages(other)}
            else:
                found.add(_plain(re.split(r"[\[<>=;! ]", wanted)[0]))
        return found

    return {extra: packages(extra) for extra in listed}


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_the_extra_of_each_module_brings_it() -> None:
    brings, installed = extras(), packages_distributions()
    for module, extra in EXTRA_OF_MODULE.items():
        assert extra in brings, module
        if module in installed:
            assert {_plain(name) for name in installed[module]} & brings[extra], module


def test_every_extra_that_a_message_names_is_one() -> None:
    named = {
        extra
        for house in HOUSES
        for path in (ROOT / house).rglob("*.py")
        for extra in re.findall(r"trackside\[([\w-]+)\]", path.read_text())
    }
    assert named
    assert named <= set(extras())


def test_what_is_missing_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho", None)
    said = "paho is not installed: pip install 'trackside[mqtt]'"
    with pytest.raises(NotInstalled, match=f"^{re.escape(said)}$"):
        require("yaml", "paho.mqtt")
    assert not_installed("paho.mqtt") == said
    assert not_installed("yaml") is None  # the box has it, or is broken
