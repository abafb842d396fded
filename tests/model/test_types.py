"""The valid recipients, senders, ids and texts; no error repeats a refused value."""

import copy
import json
import pickle
import re
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from smsc_async import After, Email, GetStatus
from smsc_async._model.messages import Message
from smsc_async._model.types import (
    UNSET,
    MessageId,
    MessageRef,
    Recipient,
    Sender,
    Text,
    TimeZoneOffset,
    check_xml_text,
    is_email,
    is_group,
    is_phone,
    recipient_key,
    spellings,
)

recipient = TypeAdapter[str](Recipient)
sender = TypeAdapter[str](Sender)
message_id = TypeAdapter[str](MessageId)
text = TypeAdapter[str](Text)
zone = TypeAdapter[float](TimeZoneOffset)


@pytest.mark.parametrize(
    "given",
    [
        *("+79991234567", "79991234567", "89991234567", "1234", "G1", "g20", "ivan@example.com", "#123456"),
        *("nickname", "@nick_name1", "имя@пример.рф"),
    ],
)
def test_recipient_goes_as_given(given: str) -> None:
    assert recipient.validate_python(given) == given


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            "+7 999 123 45 67",
            "+7(999)1234567",
            "123",
            "1" * 21,
            "+",
            "G",
            "#",
            "a@b@c",
            "abc",
            "nick!",
        ),
        *("\u0667999123456", "79991234567\n", "+79991234567:text"),
    ],
)
def test_what_is_no_recipient_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must be a phone in international format"):
        recipient.validate_python(given)


@pytest.mark.parametrize("separator", [",", ";"])
def test_list_in_a_string_is_told_from_a_list(separator: str) -> None:
    with pytest.raises(ValueError, match="one recipient; for more, pass a list to `send`"):
        recipient.validate_python(f"79991234567{separator}79991234568")


def test_kinds_of_recipients_are_told_apart() -> None:
    kinds = {
        given: (is_phone(given), is_group(given), is_email(given)) for given in ("+7999", "G7", "a@b.c", "#12", "nick")
    }
    assert kinds == {
        "+7999": (True, False, False),
        "G7": (False, True, False),
        "a@b.c": (False, False, True),
        "#12": (False, False, False),
        "nick": (False, False, False),
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+79991234567", "79991234567"),
        ("89991234567", "+79991234567"),
        ("Ivan@Example.com", "ivan@example.COM"),
        ("g12", "G12"),
        ("@Nick", "@nick"),
    ],
)
def test_spellings_of_one_recipient_have_one_key(one: str, other: str) -> None:
    assert recipient_key(one) == recipient_key(other)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("79991234567", {"79991234567", "+79991234567", "89991234567"}),
        ("89991234567", {"79991234567", "+79991234567", "89991234567"}),
        ("+89991234567", {"+89991234567"}),
        ("+4930123456", {"4930123456", "+4930123456"}),
        ("Ann@Example.com", {"Ann@Example.com", "ann@example.com"}),
        ("#79991", {"#79991"}),
    ],
)
def test_the_spellings_of_a_recipient_have_its_key(given: str, expected: set[str]) -> None:
    assert set(spellings(given)) == expected
    assert len(spellings(given)) == len(expected)
    assert {recipient_key(each) for each in expected} == {recipient_key(given)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+89991234567", "+79991234567"),
        ("8999123456", "7999123456"),
        ("79991234567", "79991234568"),
        ("#79991", "79991"),
    ],
)
def test_different_recipients_have_different_keys(one: str, other: str) -> None:
    assert recipient_key(one) != recipient_key(other)


@pytest.mark.parametrize("given", ["ivan", "My Shop", "A-1.b_c&d", "12345678901", "1" * 15, "a"])
def test_sender_is_11_characters_or_15_digits(given: str) -> None:
    assert sender.validate_python(given) == given


@pytest.mark.parametrize("given", ["", " ", "twelve chars", "1" * 16, "иван", "a\nb", "a\x7f", "\u0663\u0663\u0663"])
def test_sender_beyond_that_is_refused(given: str) -> None:
    with pytest.raises(
        ValueError, match="up to 11 Latin letters, digits, spaces and punctuation marks, or up to 15 digits"
    ):
        sender.validate_python(given)


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        (1, "1"),
        (2_147_483_647, "2147483647"),
        ("7", "7"),
        ("a", "a"),
        ("A-z_0.9", "A-z_0.9"),
        ("x" * 40, "x" * 40),
        ("9999999999a", "9999999999a"),
        ("2147483648", "2147483648"),
        ("20261127000123456789", "20261127000123456789"),
        ("9" * 40, "9" * 40),
        ("0010", "0010"),
    ],
)
def test_id_is_a_number_or_40_characters(given: int | str, wire: str) -> None:
    assert message_id.validate_python(given) == wire


def test_a_number_of_more_than_32_bits_is_an_id_as_a_string_and_the_error_says_so() -> None:
    with pytest.raises(ValueError, match="1 to 2147483647 if it is a number; pass a longer one as a string"):
        message_id.validate_python(2_147_483_648)


@pytest.mark.parametrize(
    "given", [0, -1, 2_147_483_648, "0", "000", "", "9" * 41, "x" * 41, "a b", "é", "a\n", "\u0661"]
)
def test_id_beyond_that_is_refused_with_the_range(given: int | str) -> None:
    with pytest.raises(ValueError, match="1 to 2147483647"):
        message_id.validate_python(given)


@pytest.mark.parametrize("given", [True, 1.5, None, b"1"])
def test_id_of_another_type_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="must be a string or a whole number"):
        message_id.validate_python(given)


@pytest.mark.parametrize("given", ["a", "a" * 1000, " a ", "line\nline\r\n", "\u00a0", "😀", "]]>&<"])
def test_text_of_1_to_1000_characters_goes(given: str) -> None:
    assert text.validate_python(given) == given


@pytest.mark.parametrize("given", [" ", "\n", "\r\n", " \t \r\n"])
def test_text_of_whitespace_only_is_refused_because_it_would_arrive_empty(given: str) -> None:
    with pytest.raises(ValueError, match="would arrive empty"):
        text.validate_python(given)


@pytest.mark.parametrize(("given", "limit"), [("", "at least 1 character"), ("a" * 1001, "at most 1000 characters")])
def test_text_outside_its_length_is_refused_with_the_limit(given: str, limit: str) -> None:
    with pytest.raises(ValueError, match=limit):
        text.validate_python(given)


@pytest.mark.parametrize(
    ("bad", "name"), [("\x00", "U+0000"), ("\x1b", "U+001B"), ("\ud83d", "U+D83D"), ("\uffff", "U+FFFF")]
)
def test_character_that_xml_cannot_carry_is_named(bad: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"character {name.replace('+', chr(92) + '+')} at position 2 "):
        check_xml_text(f"ab{bad}")


@given(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32, exclude_characters="\ufffe\uffff")))
def test_what_xml_can_carry_stays_as_it_is(value: str) -> None:
    assert check_xml_text(value) == value


@pytest.mark.parametrize("given", [-15, 0, 12, 5.5, 0.25])
def test_time_zone_counts_from_moscow_in_quarters(given: float) -> None:
    assert zone.validate_python(given) == given


@pytest.mark.parametrize("given", [-15.25, 12.25, 0.1, float("nan"), float("inf")])
def test_time_zone_beyond_the_globe_is_refused(given: float) -> None:
    with pytest.raises(ValueError, match=r"should be|must be a finite number"):
        zone.validate_python(given)


@pytest.mark.parametrize(
    "ref", [MessageRef("+79991234567", 7), MessageRef("#123", "a-b"), MessageRef("a@b.c", "x" * 40)]
)
def test_reference_survives_text_json_pickle_and_copies(ref: MessageRef) -> None:
    assert MessageRef.parse(str(ref)) == ref
    assert MessageRef.parse(f" {ref}\n") == ref
    assert MessageRef.model_validate_json(ref.model_dump_json()) == ref
    assert MessageRef(**ref.model_dump()) == ref
    assert pickle.loads(pickle.dumps(ref)) == ref  # noqa: S301 - our own bytes
    assert copy.deepcopy(ref) == ref
    assert len({ref, copy.copy(ref)}) == 1


def test_reference_reads_like_phone_and_id() -> None:
    assert str(MessageRef("+79991234567", 7)) == "+79991234567:7"
    assert json.loads(MessageRef("+79991234567", 7).model_dump_json()) == {"phone": "+79991234567", "id": "7"}


def test_a_reference_of_values_that_were_checked_before_is_the_same() -> None:
    ref, other = MessageRef.of_checked("+79991234567", "a1"), MessageRef("+79991234567", "a1")
    assert ref == other
    assert hash(ref) == hash(other)
    assert (str(ref), repr(ref), ref.model_dump_json()) == (str(other), repr(other), other.model_dump_json())


@pytest.mark.parametrize("given", ["", "7", "+79991234567", ":", ":7", "+79991234567:", "+79991234567:7:"])
def test_text_that_is_no_reference_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"phone:id|must be"):
        MessageRef.parse(given)


@pytest.mark.parametrize("given", ["G1", "g22"])
def test_group_has_no_reference(given: str) -> None:
    with pytest.raises(ValueError, match="pass it to `send`"):
        MessageRef(given, 1)


@pytest.mark.parametrize(
    ("given", "phone"),
    [
        ("79991234567", "79991234567"),
        ("79991234567,+79991234568", "79991234567,+79991234568"),
        (" 79991234567 ;G5, a@b.c;", "79991234567,G5,a@b.c"),
        ("79991234567,", "79991234567"),
        ("g22", "g22"),
    ],
)
def test_message_has_one_recipient_or_several(given: str, phone: str) -> None:
    assert Message(given, "text").phone == phone


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "phone must be a phone"),
        (" ", "phone must be a phone"),
        (",;", "phone must be a phone"),
        ("+79991234567,12", "phone must be a phone"),
        ("+79991234567 +79991234568", "phone must be a phone"),
        ("+79991234567,G1;89991234567", "recipients 1 and 3 are the same"),
        (79991234567, "must be a string, such as"),
    ],
)
def test_message_without_a_recipient_or_with_one_twice_is_refused(given: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        Message(given, "text")
    assert "999" not in str(caught.value).replace("'+79991234567'", "")


def test_message_takes_positions_and_keywords_and_is_a_frozen_value() -> None:
    message = Message("+79991234567", "Hi", "ivan", 2)
    assert message == Message(phone="+79991234567", text="Hi", sender="ivan", tz=2)
    assert pickle.loads(pickle.dumps(message)) == message  # noqa: S301 - our own bytes
    assert Message.model_validate_json(message.model_dump_json()) == message
    with pytest.raises(AttributeError, match="Message is frozen"):
        message.text = "other"  # type: ignore[misc]  # that it's frozen is the point


def test_unset_prints_as_its_name_and_stays_itself() -> None:
    assert repr(UNSET) == "UNSET"
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    "fields",
    [
        {"phone": "canary 1", "text": "Hi"},
        {"phone": "canary 1,canary2", "text": "Hi"},
        {"phone": "+79991234567", "text": "canary\x00"},
        {"phone": "+79991234567", "text": "canary" * 200},
        {"phone": "+79991234567", "text": "Hi", "sender": "canary in sender"},
        {"phone": "+79991234567", "text": "Hi", "tz": "canary"},
        {"phone": ["canary"], "text": {"canary": "canary"}},
    ],
)
def test_refusal_never_repeats_what_it_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"phone|text|sender|tz") as caught:
        Message.model_validate(fields)
    error = caught.value
    shown = [str(error), repr(error), repr(copy.copy(error)), repr(error.args)]
    assert "canary" not in "".join(shown)
    assert "canary" not in "".join(traceback.format_exception(error))
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        (Message, {"phone": "+79995554433"}, "text is missing"),
        (Message, {"phone": "+79995554433", "txt": "x"}, "text is missing; txt is not an argument; did you mean text?"),
        (Message, {"phone": "+79995554433", "text": "x", "kind": "Message"}, "kind is not an argument"),
        (MessageRef, {"phone": "+79995554433", "id": 1, "79995554433": 1}, "an unknown argument"),
        (MessageRef, {"phone": "+79995554433", "id": 1, 79995554433: 1}, "an unknown argument"),
        (GetStatus, {"ref": {"phone": "+79995554433", "id": 1, "79995554433": 1}}, "ref: an unknown argument"),
        (
            GetStatus,
            {"ref": "+79995554433:1", 79995554433: 1},
            "ref must be a MessageRef, not str; an unknown argument",
        ),
        (After, {"kind": "After"}, "minutes is missing"),
        (Email, {"kind": "Telegram", "sender": "a@b.c", "subject": "x"}, "kind is not an argument"),
    ],
)
def test_data_with_other_fields_is_refused_in_words_that_quote_no_private_name(
    kind: type[BaseModel], data: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(sentence)}$") as caught:
        kind.model_validate(data)
    assert "9995554433" not in repr(caught.value)


def test_a_model_of_the_application_that_holds_a_message_refuses_data_with_other_fields() -> None:
    class Body(BaseModel):
        message: Message

    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"message": {"phone": "+79995554433", "+79995554433": 1}})
    found = [(error["loc"], error["msg"]) for error in caught.value.errors()]
    assert found == [(("message", "text"), "is missing"), (("message",), "an unknown argument")]
    assert "9995554433" not in str(caught.value)
