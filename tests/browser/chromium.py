"""Debian's Chromium by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, get_args

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from .stage import FOREIGN_HOST

__all__ = ["CHROMIUM", "SIZES", "THEMES", "Theme", "browser", "window"]

CHROMIUM: Final = Path("/usr/bin/chromium")
Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)
SIZES: Final = {360: 780, 1440: 900}
"""The heights of the windows by their widths."""


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", f"--host-resolver-rules=MAP {FOREIGN_HOST} 127.0.0.1"]
        )
        with started:
            yield started


def window(browser: Browser, width: int, theme: Theme, *, script: bool = True) -> BrowserContext:
    """Open a window."""
    return browser.new_context(
        viewport={"width": width, "height": SIZES[width]},
        color_scheme=theme,
        reduced_motion="reduce",
        java_script_enabled=script,
    )
