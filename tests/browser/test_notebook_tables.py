"""The tables of a notebook in Chromium."""

import pytest

from smsc_async._notebook import to_html
from tests.parts import missing

from .chromium import CHROMIUM, browser, window

pytestmark = pytest.mark.slow


def test_a_long_text_is_readable_beside_wide_columns_and_a_page_is_never_wider_than_its_window() -> None:
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} is not here: apt install chromium")
    wide = {f"column {number}": "such a value has a width" for number in range(6)}
    html = to_html("Two rows.", [{**wide, "text": "Your order has arrived."}, {**wide, "text": "word" * 500}])
    with browser() as started, window(started, 360, "light") as context:
        page = context.new_page()
        page.set_content(html)
        heights = [page.locator("tr").nth(row).bounding_box() for row in (1, 2)]
        assert heights[0] is not None
        assert heights[0]["height"] < 60  # pixels: two lines
        assert page.evaluate("document.documentElement.scrollWidth") == 360
