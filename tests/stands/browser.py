"""Chromium, and pages in it that tell of whatever it complains of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from stands.waiting import PATIENCE_S

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="apt-get install chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched_page(
    browser: Browser, *, height_px: int, has_touch: bool = False, overlooked: tuple[str, ...] = ()
) -> Iterator[Page]:
    """It fails the test for whatever the browser complains of, but for what is overlooked."""
    said: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": height_px}, has_touch=has_touch)
    page.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    yield page
    page.close()
    complaints = [each for each in said if not any(part in each for part in overlooked)]
    assert not complaints, complaints
