"""What a test asserts about the messages of a sandbox, and what it reads when that fails."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from smsc_async import Client, ConnectionLost, Email, InvalidPhone, testing
from smsc_async.sandbox import Account, Sandbox

PHONE = "+79991234567"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with testing.client(sandbox) as client:
        yield client


@pytest.mark.parametrize("phone", [PHONE, "79991234567", "8 (999) 123-45-67", "+7 999 123-45-67"])
async def test_a_phone_may_be_written_in_any_way(sandbox: Sandbox, client: Client, phone: str) -> None:
    await client.send(PHONE, "Your code is 4821")
    message = sandbox.assert_sent(phone, contains="4821")
    assert message == sandbox.messages[0]


async def test_the_newest_of_several_is_returned(sandbox: Sandbox, client: Client) -> None:
    for text in ("code 1", "code 2", "Hello"):
        await client.send(PHONE, text)
    assert sandbox.assert_sent(PHONE).text == "Hello"
    assert sandbox.assert_sent(PHONE, contains="code").text == "code 2"


async def test_an_address_is_a_recipient_too(sandbox: Sandbox, client: Client) -> None:
    await client.send("Ann@example.com", "Hello", via=Email(sender="shop@example.com", subject="Order"))
    assert sandbox.assert_sent("ann@example.com").phone == "ann@example.com"


def test_nothing_was_sent(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match=f"^no message to {re.escape(PHONE)}\nnothing was sent$"):
        sandbox.assert_sent(PHONE)


async def test_what_was_sent_instead_is_shown_with_what_was_refused(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("lose_request", operation="send", times=1)
    with pytest.raises(ConnectionLost):
        await client.send(PHONE, "Lost")
    await client.send(PHONE, "Hello\nAnn")
    await client.send("+79990000000", "Your Code is 4821")
    with pytest.raises(InvalidPhone):
        await client.send("79000009007", "code")
    with pytest.raises(AssertionError) as caught:
        sandbox.assert_sent(PHONE, contains="Code")
    assert str(caught.value).splitlines() == [
        "no message to +79991234567 contains 'Code'",
        "sent instead:",
        "  to 79991234567: 'Hello\\nAnn'",
        "  to 79990000000: 'Your Code is 4821'",
        "refused or lost:",
        "  send_sms: the fault lose_request",
        "  send_sms: error 7",
    ]


async def test_only_the_last_ten_are_shown(sandbox: Sandbox, client: Client) -> None:
    for number in range(12):
        await client.send(PHONE, f"Hello {number}")
    sandbox.faults.add("error", code=7)
    for number in range(11):
        with pytest.raises(InvalidPhone):
            await client.send(PHONE, f"Bad {number}")
    with pytest.raises(AssertionError) as caught:
        sandbox.assert_sent("+79990000000")
    lines = str(caught.value).splitlines()
    assert lines[2:4] == ["  ... 2 earlier", "  to 79991234567: 'Hello 2'"]
    assert lines[14:16] == ["  ... 1 earlier", "  send_sms: error 7"]
    assert len(lines) == 25


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"phone": 79991234567}, r"phone must be a string such as '\+79991234567', not int"),
        ({"phone": PHONE, "contains": 4821}, "contains must be a part of the text, or None, not int"),
    ],
)
def test_a_wrong_argument_is_no_failed_assertion(sandbox: Sandbox, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        sandbox.assert_sent(**arguments)


async def test_a_sandbox_is_drawn_with_its_newest_messages_first_and_without_credentials() -> None:
    sandbox = Sandbox(accounts=[Account(login="the-login", password="the-password", apikey="the-key-123")])
    assert str(sandbox) == "A sandbox with 0 messages."
    async with testing.client(sandbox) as client:
        await client.send("+79000000001", "<i>first</i> 4821")
        await client.send("+79000000000", "second")
    html = sandbox._repr_html_()
    assert str(sandbox) == "A sandbox with 2 messages: 1 delivered, 1 handed to the operator."
    assert html.index("second") < html.index("&lt;i&gt;first&lt;/i&gt; 4821")
    for private in ("79000000001", "the-login", "the-password", "the-key-123"):
        assert private not in html + str(sandbox)
    rows = sandbox.to_rows()
    assert [(row["phone"], row["status"], row["text"]) for row in rows] == [
        ("79000000001", 1, "<i>first</i> 4821"),
        ("79000000000", 0, "second"),
    ]
    assert rows[0]["accepted_at"].tzinfo is not None
