"""`query` and `list` decode to the values that were encoded, by independent decoders."""

import re
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsc_async._model.messages import Message
from smsc_async._protocol.query import encode_list, encode_query, fits_in_list

PHONE: Final = "+79215550101"

# What XML can carry, which is checked long before.
characters = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r|:\\n&=+% ;,")
texts = st.text(characters, min_size=1, max_size=100).filter(lambda text: text.strip(" \t\r\n"))
names = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
senders = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=11).filter(str.strip)
messages = st.builds(
    Message,
    phone=st.from_regex(r"\+?[0-9]{11,15}", fullmatch=True),
    text=texts,
    sender=st.none() | senders,
    tz=st.none() | st.integers(-60, 48).map(lambda quarters: quarters / 4),
)


def _parse_str(query: str) -> dict[str, str]:
    """Read a query as PHP's parse_str does: `+` is a space, percent-encoded bytes are UTF-8."""
    decoded = {}
    for pair in query.split("&"):
        name, _, value = (
            re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), part.encode().replace(b"+", b" "))
            for part in pair.partition("=")
        )
        decoded[name.decode()] = value.decode()
    return decoded


def _read_lines(value: str) -> list[tuple[str, str, str | None, float | None]]:
    """Read `list` as soap-api.txt describes it: `[sender[,tz]|]phone:text`, a newline in a text as `\\n`."""
    read = []
    for line in value.split("\n"):
        before, bar, after = line.partition("|")
        prefix, rest = (before, after) if bar else (None, line)
        phone, _, text = rest.partition(":")
        sender, _, zone = (prefix or "").partition(",")
        unescaped = text.replace("\\n", "\n").strip()
        read.append((phone, unescaped, sender if bar else None, float(zone) if zone else None))
    return read


def _as_tuples(sent: Sequence[Message]) -> list[tuple[str, str, str | None, float | None]]:
    return [(message.phone, message.text, message.sender, message.tz) for message in sent]


@given(st.dictionaries(names, texts, min_size=1, max_size=5))
@example({"pp": "a+b c&d=e%20é😀\r\n", "tz": "-3"})
def test_query_reads_back_as_php_reads_it(parameters: dict[str, str]) -> None:
    encoded = encode_query(parameters)
    assert _parse_str(encoded) == parameters
    assert re.fullmatch(r"[A-Za-z0-9_.~%=&-]*", encoded), "everything else is percent-encoded, a space too"


def test_query_keeps_the_order_and_encodes_names() -> None:
    assert encode_query({"b": "1", "a[]": "x y"}) == "b=1&a%5B%5D=x%20y"
    assert encode_query({}) == ""


@given(st.lists(messages, min_size=1, max_size=5))
def test_list_reads_back_where_it_says_that_it_can_carry_the_messages(sent: list[Message]) -> None:
    carried = [message for message in sent if fits_in_list(message)]
    if carried:
        assert _read_lines(encode_list(carried)) == _as_tuples(carried)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Message(PHONE, "Hi"), "+79215550101:Hi"),
        (Message(PHONE, "a: b\nc"), r"+79215550101:a: b\nc"),
        (Message(PHONE, "a|b", sender="IVAN"), "IVAN|+79215550101:a|b"),
        (Message(PHONE, "Hi", sender="IVAN", tz=3), "IVAN,3|+79215550101:Hi"),
        (Message(PHONE, "Hi", sender="IVAN", tz=-2.25), "IVAN,-2.25|+79215550101:Hi"),
        (Message(PHONE, "Hi", sender="IVAN", tz=0), "IVAN,0|+79215550101:Hi"),
    ],
)
def test_a_line_of_list_is_written_as_documented(message: Message, line: str) -> None:
    assert fits_in_list(message)
    assert encode_list([message, message]) == f"{line}\n{line}"


@pytest.mark.parametrize(
    "message",
    [
        Message(PHONE, r"C:\new"),
        Message(PHONE, "a\rb"),
        Message(PHONE, " a"),
        Message(PHONE, "a\n"),
        Message(PHONE, "a|b"),
        Message(PHONE, "a", tz=1),
        *(Message(PHONE, "a", sender=f"IVAN{separator}") for separator in ",|:;"),
    ],
    ids=lambda message: f"{message.sender}-{message.text!r}",
)
def test_a_message_that_would_arrive_changed_is_refused(message: Message) -> None:
    assert not fits_in_list(message)
    with pytest.raises(ValueError, match="send it with `send`") as raised:
        encode_list([message])
    assert PHONE not in str(raised.value)
