"""A Chromium of a phone's or a desk's size, and axe-core to look at its pages."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Final

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.integration.checkout.test_pages_browser import DESK, PHONE, axe, check

__all__ = ["DESK", "PHONE", "axe", "check", "launched", "looking"]

_ARGUMENTS: Final = ["--no-sandbox", "--disable-dev-shm-usage"]


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """The browser of the machine, else the one that Playwright installed."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def looking(
    browser: Browser, *, locale: str = "fr-FR", script: bool = True, size: ViewportSize = PHONE
) -> Iterator[Page]:
    """A page of a browser of its own; with `script` axe can be put in beside the policy of the page."""
    context: BrowserContext = browser.new_context(
        locale=locale, viewport=size, bypass_csp=script, java_script_enabled=script
    )
    yield context.new_page()
    context.close()
