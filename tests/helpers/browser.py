"""Pages in a real headless Chromium, with their script errors, their network requests and the data in their script."""

import gzip
import json
import os
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
"""Executables of a browser, in the order in which they are looked for."""

ARGUMENTS = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")
"""Arguments of the browser: it starts no connection of its own."""


@dataclass(frozen=True)
class OpenPage:
    """An open page.

    Attributes:
        page: the page of Playwright.
        errors: errors of scripts and messages of the console.
        requests: requested addresses, except the page's own.

    """

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def visit(self, path: Path) -> None:
        """Open another page in the same browser, and wait until its charts are drawn."""
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready]")
        self.requests.remove(path.as_uri())


@contextmanager
def open_page(path: Path) -> Iterator[OpenPage]:
    """Open a page from its file and wait until its charts are drawn; skip the test if there is no browser.

    The test fails instead if the environment variable CI is set.
    """
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        message = f"no browser; install one of {', '.join(PROGRAMS)}"
        assert not os.environ.get("CI"), message
        pytest.skip(message)
    with sync_playwright() as playwright:
        sandbox = () if os.geteuid() else ("--no-sandbox",)  # Chromium refuses to sandbox itself for root
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *sandbox])
        page = browser.new_page(viewport={"width": 1150, "height": 1500})
        opened = OpenPage(page)
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        page.on("console", lambda message: opened.errors.append(message.text))
        page.on("request", lambda request: opened.requests.append(request.url))
        opened.visit(path)
        yield opened
        browser.close()


def data_of(page: str) -> Any:
    """Return the charts and the texts in the script of a page."""
    data = re.search(r'<script type="application/octet-stream" id="data">([A-Za-z0-9+/=]*)</script>', page)
    assert data
    return unpacked(data[1])


def unpacked(text: str) -> Any:
    """Return the value of JSON that was compressed for a page."""
    return json.loads(gzip.decompress(b64decode(text)))
