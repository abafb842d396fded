"""The search, the filters and the pages of the inbox."""

from decimal import Decimal

import httpx
import pytest

from smsc_async.sandbox import AcceptedMessage, Sandbox, ServiceChannel
from smsc_async.sandbox._pages.inbox import Inbox, Search, inbox_of
from smsc_async.sandbox._pages.soap import Token, tokens_of
from smsc_async.sandbox._pages.words import money, phone_words, span, status_label

NOW = 1_795_000_000.0


def _sandbox(*messages: dict[str, object]) -> Sandbox:
    """Return a sandbox with these messages, the last one the newest."""
    sandbox = Sandbox(clock=lambda: NOW)
    for key, values in enumerate(messages, 1):
        at = NOW - len(messages) + key
        given: dict[str, object] = {
            "id": f"id-{key}",
            "phone": "79991234567",
            "text": f"text {key}",
            "sender": "SHOP",
            "channel": ServiceChannel.SMS,
            "accepted_at": at,
            "send_at": at,
            "parts": 1,
            "cost": Decimal("4.50"),
            "login": "demo",
            "timeline": (at, -1, 0),
            "key": key,
            **values,
        }
        sandbox._service._state.outbox.add(AcceptedMessage(**given))  # type: ignore[arg-type]
    return sandbox


def _inbox(sandbox: Sandbox, **query: str) -> Inbox:
    return inbox_of(sandbox, sandbox._lookup.search, Search.read(query), NOW)


def _keys(sandbox: Sandbox, **query: str) -> list[int]:
    return [row.key for day in _inbox(sandbox, **query).days for row in day.rows]


MESSAGES: tuple[dict[str, object], ...] = (
    {"text": "\N{CYRILLIC CAPITAL LETTER KA}\N{CYRILLIC SMALL LETTER O}\N{CYRILLIC SMALL LETTER DE} 4821"},
    {"phone": "77011234567", "sender": "Bank", "channel": ServiceChannel.VIBER, "timeline": (NOW, 1, 0)},
    {"phone": "a.b@Example.test".lower(), "id": "Order-7", "login": "shop", "timeline": (NOW, 20, 6)},
    {"phone": "79990000000", "timeline": (NOW - 1, 0, 0, NOW + 60, 1, 0)},
)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", [4, 3, 2, 1]),
        ("\N{CYRILLIC SMALL LETTER KA}\N{CYRILLIC SMALL LETTER O}\N{CYRILLIC SMALL LETTER DE}", [1]),
        ("TEXT 3", [3]),
        ("+7 701 123-45-67", [2]),
        ("8 (701) 123-45-67", [2]),
        ("701 123", [2]),
        ("order-7", [3]),
        ("bAnK", [2]),
        ("A.B@example", [3]),
        ("-", [4, 3, 2, 1]),
        ("nothing like it", []),
    ],
)
def test_a_search_looks_in_phones_texts_ids_and_senders(query: str, keys: list[int]) -> None:
    assert _keys(_sandbox(*MESSAGES), q=query) == keys


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"account": "shop"}, [3]),
        ({"channel": "viber"}, [2]),
        ({"status": "1"}, [2]),
        ({"status": "0"}, [4]),
        ({"status": "open"}, [4, 1]),
        ({"status": "failed"}, [3]),
        ({"status": "failed", "account": "demo"}, []),
        ({"channel": "none", "status": "99", "before": "x"}, [4, 3, 2, 1]),
    ],
)
def test_messages_are_filtered_by_account_channel_and_status(query: dict[str, str], keys: list[int]) -> None:
    assert _keys(_sandbox(*MESSAGES), **query) == keys


def test_a_later_search_finds_later_messages_and_none_that_are_gone() -> None:
    sandbox = _sandbox(*MESSAGES)
    assert _keys(sandbox, q="shop") == [4, 3, 1]
    outbox = sandbox._service._state.outbox
    newest = outbox.messages[-1]
    outbox.add(newest.__class__(**{**{name: getattr(newest, name) for name in newest.__slots__}, "key": 5}))
    assert _keys(sandbox, q="shop") == [5, 4, 3, 1]
    sandbox.delete_messages()
    assert _keys(sandbox, q="shop") == []


def test_a_part_of_the_messages_is_searched_too() -> None:
    sandbox = _sandbox(*MESSAGES)
    found = sandbox.find(text="text")
    assert [message.key for message in found] == [4, 3, 2]
    wanted = type(sandbox._lookup).search
    from smsc_async.sandbox._outbox import MessageFilter  # noqa: PLC0415

    assert [each.key for each in wanted(sandbox._lookup, MessageFilter(anywhere="shop", after=1))] == [4, 3]
    assert [each.key for each in wanted(sandbox._lookup, MessageFilter(anywhere="shop", key=1))] == [1]


def test_a_thousand_messages_are_shown_by_pages_without_a_gap() -> None:
    sandbox = _sandbox(*[{} for _ in range(120)])
    seen, query = [], {"q": "text"}
    positions = []
    while True:
        page = _inbox(sandbox, **query)
        seen += [row.key for day in page.days for row in day.rows]
        positions.append((page.first, page.shown, page.matching))
        if not page.older:
            break
        query = dict(httpx.QueryParams(page.older.partition("?")[2]))
    assert seen == list(range(120, 0, -1))
    assert positions == [(1, 50, 120), (51, 50, 120), (101, 20, 120)]
    assert page.newer == "/?q=text"


def test_the_address_of_a_search_is_read_back() -> None:
    search = Search(q="a&b=\N{SNOWMAN}", account="x y", channel="sms", status="open")
    assert Search.read(dict(httpx.QueryParams(search.address().partition("?")[2]))) == search
    assert Search().address("/", 7) == "/?before=7"


def test_words() -> None:
    assert phone_words("79991234567") == "+7 999 123-45-67"
    assert phone_words("4915112345678") == "+4915112345678"
    assert phone_words("@nick_name") == "@nick_name"
    assert status_label(31).word == "Status 31"
    assert [span(each) for each in (0.2, 59, 60, 3_661, 90_000, 172_800)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "1 day 1 h",
        "2 days",
    ]
    assert [money(Decimal(each)) for each in ("4.5", "9", "0.125")] == ["4.50", "9.00", "0.125"]


def test_soap_is_shown_indented_and_whatever_it_is() -> None:
    document = '<?xml version="1.0"?><a x="1" y><b>text &lt;</b><c/><psw>***</psw>\n<d></d></a>'
    shown = "".join(token.text for token in tokens_of(document))
    assert shown == (
        '<?xml version="1.0"?>\n<a x="1" y>\n  <b>text &lt;</b>\n  <c/>\n  <psw>***</psw>\n  <d></d>\n</a>'
    )
    assert Token("masked", "***") in tokens_of(document)
    assert tokens_of("no < markup") == [Token("x", "no < markup")]
    assert "".join(token.text for token in tokens_of("<html><<b></i>")) != ""
    assert tokens_of("") == [Token("x", "")]
