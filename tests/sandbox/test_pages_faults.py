"""The page of faults: the rules, the form, the presets, and the same rules in code."""

import html
import re
from itertools import product
from pathlib import Path

import pytest

from smsc_async.sandbox import Fault, Sandbox, _pages
from smsc_async.sandbox._fault import FaultKind
from smsc_async.sandbox._pages.faults import KINDS, PRESETS

from .web import Web

CSS = (Path(_pages.__file__).parent / "static" / "app.css").read_text(encoding="utf-8")


@pytest.fixture
def web() -> Web:
    return Web(Sandbox())


def _rules(page: str) -> list[str]:
    rows = re.findall(r"<tr[^>]*>\s*<td.*?</tr>", page.partition('id="rules"')[2], re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows]


def _texts(web: Web) -> list[str]:
    return [each.fault.text for each in web.sandbox.faults]


async def test_without_faults_the_page_says_so_and_offers_presets_and_a_form(web: Web) -> None:
    page = await web.page("faults")
    assert "No faults" in page
    assert [f'value="{name}"' in page for name in PRESETS] == [True] * len(PRESETS)
    assert [f'<option value="{kind}"' in page for kind in FaultKind] == [True] * len(FaultKind)
    assert "The same rules in" not in page


def test_each_kind_is_in_the_form_with_a_rule_of_the_stylesheet_that_shows_its_own_fields() -> None:
    assert set(KINDS) == set(FaultKind)
    assert [f'[value="{kind}"]:checked) [data-of~="{kind}"]' in CSS for kind in FaultKind] == [True] * len(FaultKind)


def test_the_form_has_all_own_fields_of_each_kind() -> None:
    given = {"seconds": 1.0, "at": 1, "status": 500, "code": 1, "namespace": "urn:x", "executed": True}
    given["faultcode"] = "Client"
    for kind, (name, value) in product(FaultKind, given.items()):
        needed = {"seconds": 1.0} if "seconds" in KINDS[kind].own else {"code": 1} if kind is FaultKind.ERROR else {}
        try:
            Fault(kind, **{**needed, name: value})
        except ValueError:
            assert name not in KINDS[kind].own, kind
        else:
            assert name in KINDS[kind].own, kind


async def test_the_rules_are_listed_with_what_they_affect_and_how_often_they_did(web: Web) -> None:
    web.sandbox.faults.add("delay seconds=0.5 operation=status after=3 probability=0.2")
    web.sandbox.faults.add("http status=502 phone=79991234567 times=1")
    web.sandbox.faults.add("duplicate_callback times=3 probability=0.5")
    web.sandbox.faults.add("error code=9 times=2")
    await web.call("get_balance")
    assert _rules(await web.page("faults")) == [
        (
            "on Delay delay seconds=0.5 The request is executed at once, its answer comes these seconds later. "
            "status 20 %, after 3 others 0 times"
        ),
        (
            "on HTTP error page http status=502 executed=false A page of HTML with this status comes in place of XML. "
            "any operation, +7 999 123-45-67 once 0 of 1"
        ),
        "on Send it twice duplicate_callback The callback is sent twice. callbacks 50 %, 3 times 0 of 3",
        "on Error 1 to 9 error code=9 The service refuses the request with this error. any operation 2 times 1 of 2",
    ]
    await web.call("get_balance")
    assert _rules(await web.page("faults"))[-1].startswith("used up")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"kind": "lose_answer", "operation": "send", "times": "1"}, "lose_answer operation=send times=1"),
        ({"kind": "delay", "seconds": "2,5", "probability": "0.5"}, "delay probability=0.5 seconds=2.5"),
        ({"kind": "lose_request", "seconds": "x", "at": "y"}, "lose_request"),
        ({"kind": "empty", "executed": "no", "after": "2"}, "empty after=2 executed=false"),
        ({"kind": "soap_fault", "faultcode": "Client", "executed": "yes"}, "soap_fault faultcode=Client executed=true"),
        ({"kind": "lose_callback", "operation": "send", "phone": " +79991234567 "}, "lose_callback phone=+79991234567"),
    ],
)
async def test_a_form_adds_a_rule_and_the_fields_of_other_kinds_do_not_count(
    web: Web, form: dict[str, str], text: str
) -> None:
    answer = await web.post("faults", **form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/_sandbox/faults")
    assert _texts(web) == [text]


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({}, "kind"),
        ({"kind": "<script>"}, "kind"),
        ({"kind": "delay"}, "seconds"),
        ({"kind": "delay", "seconds": "soon"}, "seconds"),
        ({"kind": "delay", "seconds": "nan"}, "seconds"),
        ({"kind": "slow_drip", "seconds": "-1", "probability": "1.2"}, "seconds probability"),
        ({"kind": "cut", "at": "1.5", "times": "0", "after": "-1"}, "at times after"),
        ({"kind": "cut", "at": "1" * 5_000}, "at"),
        ({"kind": "error"}, "code"),
        ({"kind": "error", "code": "10"}, "code"),
        ({"kind": "http", "status": "99", "executed": "maybe"}, "status executed"),
        ({"kind": "drifted_namespace", "namespace": "a b"}, "namespace"),
        ({"kind": "soap_fault", "faultcode": "Sender"}, "faultcode"),
        ({"kind": "foreign_id", "operation": "cost"}, "operation"),
        ({"kind": "lose_answer", "operation": "all"}, "operation"),
        ({"kind": "lose_answer", "phone": "79991234567,79991234568"}, "phone"),
        ({"kind": "lose_answer", "probability": "0"}, "probability"),
    ],
)
async def test_a_wrong_form_comes_back_with_the_message_at_its_fields(
    web: Web, form: dict[str, str], fields: str
) -> None:
    answer = await web.post("faults", **form)
    assert answer.status_code == 422
    assert set(re.findall(r'class="wrong" id="(\w+)-wrong"', answer.text)) == set(fields.split())
    for name in fields.split():
        assert f'aria-describedby="{name}-wrong"' in answer.text
    assert "<script>" not in answer.text.partition("<main")[2]
    assert _texts(web) == []


async def test_what_was_entered_stays_in_a_wrong_form_and_is_escaped(web: Web) -> None:
    answer = await web.post("faults", kind="delay", seconds='"><script>alert(1)</script>', phone="+7 999 1234567")
    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in answer.text
    assert 'value="+7 999 1234567"' in answer.text
    assert '<option value="delay" selected>' in answer.text


async def test_htmx_gets_an_empty_form_and_a_line_for_the_rule_that_was_added(web: Web) -> None:
    answer = await web.post_by_htmx("faults", kind="error", code="6")
    assert answer.status_code == 200
    assert "The rule is added" in answer.headers["HX-Trigger"]
    assert 'id="code" name="code" value=""' in answer.text
    assert _texts(web) == ["error code=6"]


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_adds_its_rules(web: Web, preset: str) -> None:
    assert (await web.post("faults/preset", preset=preset)).status_code == 303
    assert len(web.sandbox.faults) == len(PRESETS[preset].faults)


async def test_a_rule_that_is_used_up_is_on_as_long_as_its_block_or_its_namespace_lasts(web: Web) -> None:
    web.sandbox.faults.add("block seconds=1800 times=1")
    await web.ask(1)
    assert "error 4" in await web.page("limits") or "<error>4" in await web.call("get_balance")
    page = await web.page("faults")
    assert ("1 fault on" in page, _rules(page)[0].startswith("on ")) == (True, True)
    web.sandbox.advance(1800)
    page = await web.page("faults")
    assert ("No faults" in page, _rules(page)[0].startswith("used up")) == (True, True)
    web.sandbox.faults.add("drifted_namespace times=1")
    await web.ask(1)
    assert "1 fault on" in await web.page("faults")


async def test_rules_are_removed_one_by_one_and_all_at_once(web: Web) -> None:
    for _ in range(3):
        web.sandbox.faults.add("lose_answer")
    await web.post("faults/remove", id=2)
    assert [each.id for each in web.sandbox.faults] == [1, 3]
    await web.post("faults/clear")
    assert len(web.sandbox.faults) == 0


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("faults/remove", {"id": "7"}, "no fault with the id 7"),
        ("faults/remove", {"id": "<b>"}, "no fault with the id"),
        ("faults/remove", {}, "no fault with the id"),
        ("faults/preset", {"preset": "<b>"}, "There is no such preset"),
        ("faults/seed", {"seed": "x"}, "The seed must be a whole number"),
        ("faults/seed", {"seed": "1" * 16}, "The seed must be a whole number"),
    ],
)
async def test_what_can_not_be_done_is_said(web: Web, path: str, fields: dict[str, str], said: str) -> None:
    answer = await web.post(path, **fields)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    answer = await web.post_by_htmx(path, **fields)
    assert (answer.status_code, answer.text) == (422, "")
    assert '"kind": "error"' in answer.headers["HX-Trigger"]


async def test_the_seed_is_set(web: Web) -> None:
    await web.post("faults/seed", seed=" -7 ")
    assert web.sandbox.faults.seed == -7
    assert 'name="seed" value="-7"' in await web.page("faults")


async def test_the_rules_in_code_make_the_same_rules(web: Web) -> None:
    web.sandbox.faults.add("error", code=6, phone="o'\"&$(x)\\")
    page = await web.page("faults")
    codes = [html.unescape(code) for code in re.findall(r'<pre class="code"[^>]*>(.*?)</pre>', page, re.DOTALL)]
    assert [name in page for name in ('aria-label="Python"', 'aria-label="Command line"')] == [True, True]
    again = Sandbox()
    exec(codes[0], {"sandbox": again})  # noqa: S102 - what the page tells its users to run
    assert [each.fault for each in again.faults] == [each.fault for each in web.sandbox.faults]
    assert codes[1].startswith("smsc-async sandbox --seed 0 \\\n  --fault 'error ")
    assert codes[2].startswith("curl http://localhost:8025/_sandbox/api/faults --json '{")


async def test_a_hostile_phone_of_a_rule_is_escaped(web: Web) -> None:
    web.sandbox.faults.add("lose_answer", phone="<script>alert(1)</script>")
    page = await web.page("faults")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
