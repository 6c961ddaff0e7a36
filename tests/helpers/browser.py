"""A real headless Chromium that notes what goes wrong in a page, and what it asks the network for."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

ARGUMENTS = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")


@dataclass(frozen=True)
class Seen:
    """A page that is open.

    Attributes:
        page: it, as Playwright has it.
        errors: of scripts, and what the console was told.
        requests: addresses that were asked for, the page's own left out.

    """

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def opened(path: Path) -> Iterator[Seen]:
    """Open a page from its file. Skips the test where there is no browser; the gate has one."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        assert not os.environ.get("CI"), f"no browser; install one of {', '.join(PROGRAMS)}"
        pytest.skip(f"no browser; install one of {', '.join(PROGRAMS)}")
    with sync_playwright() as playwright:
        sandbox = () if os.geteuid() else ("--no-sandbox",)  # Chromium refuses root its sandbox
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *sandbox])
        page = browser.new_page(viewport={"width": 1150, "height": 1500})
        seen = Seen(page)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda message: seen.errors.append(message.text))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        assert seen.requests.pop(0) == path.as_uri()
        yield seen
        browser.close()
