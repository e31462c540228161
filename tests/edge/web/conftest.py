"""What the tests of the page share: a browser, opened once for each of their files."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Playwright is loaded here: files that want it are skipped without it."""
    with import_module("stands.browser").chromium() as opened:
        yield opened
