"""Every page of the sandbox in Chromium, in both themes, on a phone and on a wide screen."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from smsc_async.sandbox import Sandbox
from tests.parts import missing

from .chromium import CHROMIUM, SIZES, THEMES, browser, window
from .stage import SCENES, Scene, Stage, send, staged

pytestmark = pytest.mark.slow

AXE = os.environ.get("AXE_CORE", "")
FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
WATCH = """(selector) => {
  const tabs = (each) => each.type !== "radio" || each.checked;
  window.left = new Set([...document.querySelectorAll(selector)].filter(
    (each) => each.checkVisibility({visibilityProperty: true}) && !each.disabled && each.tabIndex >= 0 && tabs(each)));
  return window.left.size;
}"""
STEP = """() => {
  const each = document.activeElement;
  if (each === document.body) return null;
  window.left.delete(each);
  const shown = [each, each.closest("label"), each.closest(".tab"), each.parentElement].filter(Boolean).some((one) => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  });
  const box = each.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return {name: each.outerHTML.slice(0, 120), shown, inside};
}"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} is not here: apt install chromium")
    with browser() as started:
        yield started


class Look:
    """A page that was opened, with what it has loaded and complained about."""

    def __init__(self, page: Page, stage: Stage, scene: Scene) -> None:
        self.page, self.scene = page, scene
        self.complaints: list[str] = []
        self.loaded: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.loaded.append(request.url))
        answer = page.goto(stage.url(scene))
        assert answer is not None
        assert answer.status == scene.status
        page.wait_for_timeout(400)  # what is loaded late, and the first events

    def _hear(self, message: ConsoleMessage) -> None:
        is_its_status = self.scene.status >= 400 and f"status of {self.scene.status}" in message.text
        if message.type in {"error", "warning"} and not is_its_status:
            self.complaints.append(message.text)


LOOKS = list(product(SCENES, SIZES, THEMES))
LIGHT = [each for each in LOOKS if each[2] == "light"]  # the way of the focus is the same in both themes


@pytest.fixture(scope="module", params=LOOKS, ids=[f"{each.name}-{width}-{theme}" for each, width, theme in LOOKS])
def look(request: pytest.FixtureRequest, chromium: Browser, stage: Stage) -> Iterator[Look]:
    scene, width, theme = request.param
    with window(chromium, width, theme) as context:
        yield Look(context.new_page(), stage, scene)


def test_nothing_overflows_complains_or_comes_from_elsewhere(look: Look, stage: Stage) -> None:
    width, inner = look.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    assert look.complaints == []
    assert [url for url in look.loaded if not url.startswith(stage.origin(look.scene))] == []
    assert "hostile" not in look.page.title()


def test_axe_finds_no_violation(look: Look) -> None:
    assert _violations(look.page) == []


def _violations(page: Page) -> list[object]:
    if not AXE:
        missing("AXE_CORE is not set: npm pack axe-core, and set it to the path of its axe.min.js")
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]


@pytest.mark.parametrize("look", LIGHT, indirect=True, ids=[f"{each.name}-{width}" for each, width, _ in LIGHT])
def test_tab_reaches_everything_and_the_focus_is_seen(look: Look) -> None:
    count = look.page.evaluate(WATCH, FOCUSABLE)
    assert count
    for _ in range(count + 5):
        look.page.keyboard.press("Tab")
        step = look.page.evaluate(STEP)
        if step is None:
            break
        assert step["shown"], step["name"]
        assert step["inside"], step["name"]
    assert look.page.evaluate("[...window.left].map((each) => each.outerHTML.slice(0, 120))") == []


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_without_a_script_each_page_is_whole(chromium: Browser, stage: Stage, scene: Scene) -> None:
    with window(chromium, 1440, "light", script=False) as context:
        page = context.new_page()
        page.goto(stage.url(scene))
        assert page.locator("h1:visible").count() == 1


def test_the_focus_and_what_is_open_stay_when_a_part_of_the_page_is_shown_anew(chromium: Browser, stage: Stage) -> None:
    with window(chromium, 1440, "light") as context:
        page = context.new_page()
        page.goto(stage.url(next(each for each in SCENES if each.name == "limits")))
        summary = page.locator(".limit summary").first
        summary.press("Enter")
        name = summary.get_attribute("id")
        page.evaluate("document.querySelector('#limits').dataset.old = 'yes'")
        stage.sandboxes["full"].advance(1)
        page.wait_for_selector("#limits:not([data-old])")
        assert page.evaluate("document.activeElement.id") == name
        assert page.locator(f"details:has(> #{name})").get_attribute("open") is not None


def test_a_rule_is_added_by_the_keyboard_after_its_mistake_was_said(chromium: Browser, stage: Stage) -> None:
    with window(chromium, 360, "dark") as context:
        page = context.new_page()
        page.goto(stage.url(next(each for each in SCENES if each.name == "faults-empty")))
        page.select_option("#kind", "delay")
        page.locator("#seconds").fill("soon")
        page.locator("#seconds").press("Enter")
        page.wait_for_selector("#seconds-wrong")
        assert page.evaluate("document.activeElement.id") == "seconds"
        page.locator("#seconds").fill("3")
        page.locator("#seconds").press("Enter")
        page.wait_for_selector(".rules tbody tr")
        assert "delay seconds=3" in page.locator(".rules").inner_text()
        assert page.locator("#seconds-wrong").count() == 0
        page.locator(".rules button").first.press("Enter")
        page.wait_for_selector("text=The sandbox answers as the service does")


def test_a_page_whose_sandbox_has_stopped_says_so_and_misses_nothing_when_it_is_back(chromium: Browser) -> None:
    sandbox = Sandbox()
    with ExitStack() as windows:
        with sandbox.serve() as url:
            send(url, "before")
            pages = []
            for width, theme in product(SIZES, THEMES):
                page = windows.enter_context(window(chromium, width, theme)).new_page()
                page.goto(urljoin(url, "/"))
                page.wait_for_timeout(400)  # until it listens
                pages.append(page)
        for page in pages:
            page.wait_for_selector(".notice:has-text('The sandbox does not answer')")
            assert page.locator("#live").inner_text() in {"Not connected", ""}  # a narrow window shows the mark only
            assert page.locator("form[method=post] button:enabled").count() == 0
            width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert width <= inner
            assert _violations(page) == []
        with sandbox.serve(port=urlsplit(url).port or 0):
            send(url, "while it was away")
            for page in pages:
                page.wait_for_selector(".row-text:has-text('while it was away')")
                page.wait_for_selector(".notice", state="detached")
                assert page.locator("form[method=post] button:disabled").count() == 0


def test_the_url_of_callbacks_is_entered_by_the_keyboard_on_the_page_of_accounts(chromium: Browser) -> None:
    sandbox = Sandbox()
    with sandbox.serve() as url, window(chromium, 360, "light") as context:
        page = context.new_page()
        page.goto(urljoin(url, "/_sandbox/accounts"))
        page.locator("#callback-url").fill("http://127.0.0.1:8000/sms")
        page.locator("#callback-secret").fill("secret")
        page.locator("#callback-secret").press("Enter")
        page.wait_for_selector("#callback-secret[placeholder='set, not shown']")
        assert page.locator("#callback-secret").input_value() == ""
        page.locator("#callback button").last.press("Enter")
        page.wait_for_selector("#callback-secret[required]")
        assert sandbox.callbacks.settings is None
