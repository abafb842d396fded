"""What is not signed, or may be read in two ways, is refused, and nothing but one exception leaves `unwrap`."""

import hashlib
import hmac
import json
import re
import traceback
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from urllib.parse import parse_qsl, quote

import pytest

from smsc_async._protocol import encode_callback
from smsc_async.callbacks import Callbacks, IncomingMessage, InvalidCallbackSignature, StatusPush
from tests.callbacks.samples import CALL, FORMS, INCOMING, PHONE, SECRET, STATUS, signed

CALLBACKS = Callbacks(secrets=[SECRET, "another"], allow_crc32=True)
SIGNED = {"status": ("id", "phone", "status"), "incoming": ("phone", "mes", "to"), "call": ("phone", "ts")}
EACH_SIGNED = [(form, name) for form, names in SIGNED.items() for name in names]
JSON = "application/json"


def md5(*values: str) -> str:
    return hashlib.md5(":".join([*values, SECRET]).encode("cp1251"), usedforsecurity=False).hexdigest()


def query_of(**fields: str) -> bytes:
    return "&".join(f"{name}={quote(value, encoding='cp1251')}" for name, value in fields.items()).encode()


def fields_of(query: bytes) -> dict[str, str]:
    return dict(parse_qsl(query.decode(), encoding="cp1251", keep_blank_values=True))


def refused(query: bytes = b"", body: bytes = b"", content_type: str = "") -> str:
    with pytest.raises(InvalidCallbackSignature) as caught:
        CALLBACKS.unwrap(query, body, content_type)
    return str(caught.value)


@pytest.mark.parametrize(("form", "name"), EACH_SIGNED)
def test_a_signed_field_that_is_changed_missing_empty_or_repeated_is_refused(form: str, name: str) -> None:
    good = fields_of(signed(FORMS[form]))
    for odd in ("", " ", "9", f"{good[name]} ", f" {good[name]}", f"{good[name]}\0", f"{good[name]}0", "a:b", "\n"):
        refused(query_of(**{**good, name: odd}))
    refused(query_of(**{each: value for each, value in good.items() if each != name}))
    again = query_of(**{name: good[name]})
    assert refused(query_of(**good) + b"&" + again) == "the callback has a field twice"
    assert refused(again + b"&" + query_of(**good)) == "the callback has a field twice"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("odd", ["", "0", "x", "null", "й", "\ud800", "0" * 32, "F" * 32, "0" * 40, "\0"])
def test_a_wrong_signature_is_refused(form: str, odd: str) -> None:
    good = fields_of(signed(FORMS[form]))
    for name in ("md5", "sha1", "crc32", "MD5"):
        rest = {each: value for each, value in good.items() if each != "md5"}
        refused(body=json.dumps({**rest, name: odd}).encode(), content_type=JSON)
    refused(query_of(**rest))
    assert refused(query_of(**rest, md5="")) == "the callback is not signed with one of the secrets"


def test_every_signature_that_is_there_must_be_right() -> None:
    both = {**STATUS, "md5": md5("a1", PHONE, "1"), "sha1": "0" * 40}
    crc32 = fields_of(encode_callback(STATUS, SECRET, digest="crc32"))["crc32"]
    refused(query_of(**both))
    refused(query_of(**{**STATUS, "md5": "0" * 32, "crc32": crc32}))
    refused(query_of(**{**STATUS, "md5": "", "crc32": crc32}))
    both["sha1"] = fields_of(encode_callback(STATUS, SECRET, digest="sha1"))["sha1"]
    assert CALLBACKS.unwrap(query_of(**both)) == CALLBACKS.unwrap(signed())
    with pytest.raises(InvalidCallbackSignature):
        Callbacks(secrets=[SECRET]).unwrap(query_of(**STATUS, crc32=crc32))


@pytest.mark.parametrize("more", [{"mes": "x"}, {"to": "1"}, {"waitcall": ""}, {"mes": "x", "to": "1"}])
def test_fields_of_two_forms_are_refused(more: dict[str, str]) -> None:
    assert refused(query_of(**fields_of(signed()), **more)) == "the callback has fields of two forms"
    for fields in (INCOMING, CALL):
        refused(query_of(**{**fields_of(signed(fields)), "status": "1"}))


def test_a_signed_callback_of_one_form_is_none_of_another_form() -> None:
    """The values are joined by colons and the form is not signed."""
    assert query_of(phone="a1", mes=PHONE, to="1", md5=md5("a1", PHONE, "1")) != signed()
    refused(query_of(phone="a1", mes=PHONE, to="1", md5=md5("a1", PHONE, "1")))
    refused(query_of(id=PHONE, phone="12", status="79990000001", md5=md5(PHONE, "12", "79990000001")))
    refused(query_of(phone=f"{PHONE}:12", ts="1700000000", waitcall="1", md5=md5(PHONE, "12", "1700000000")))
    refused(query_of(phone=PHONE, mes="a", to="b:c", md5=md5(PHONE, "a", "b:c")))
    refused(query_of(phone=f"{PHONE}:a", mes="b", to="c", md5=md5(PHONE, "a", "b", "c")))
    assert isinstance(
        CALLBACKS.unwrap(query_of(phone=PHONE, mes="a:b", to="c", md5=md5(PHONE, "a:b", "c"))), IncomingMessage
    )


def test_a_text_that_a_charset_lacks_is_not_taken_for_one_with_question_marks() -> None:
    callbacks = Callbacks(secrets=[SECRET], charset="utf-8")
    query = query_of(phone=PHONE, to="1234", md5=md5(PHONE, "pay ?", "1234")) + b"&mes="
    assert isinstance(callbacks.unwrap(query + b"pay+%3F"), IncomingMessage)
    with pytest.raises(InvalidCallbackSignature):
        callbacks.unwrap(query + quote("pay 😀").encode())


@pytest.mark.parametrize(
    "other",
    [
        b"%73tatus=3",
        b"status%00=3&status=1",
        b"%69%64=a1",
        b"id=a1;id=b2",
        b"status=1%26status=3",
        b"id=%61%31&id=a1",
    ],
)
def test_escapes_hide_no_field(other: bytes) -> None:
    assert refused(signed() + b"&" + other) == "the callback has a field twice"


def test_names_are_exact_and_broken_escapes_are_no_characters() -> None:
    good = signed()
    assert CALLBACKS.unwrap(good.replace(b"id=a1", b"%69d=%61%31")) == CALLBACKS.unwrap(good)
    for name in (b"ID", b"id[]", b"id[0]", b" id", b"id ", b"%EF%BB%BFid", b"i%64%00"):
        assert "'id'" in refused(good.replace(b"id=a1&phone", name + b"=a1&phone"))
    for value in (b"a1%", b"a1%0", b"a1%zz", b"%u0061%u0031", b"a%2531", b"a1+", b"%C0%AFa1", b"a1%26"):
        refused(good.replace(b"id=a1&", b"id=" + value + b"&"))


@pytest.mark.parametrize("charset", ["windows-1251", "utf-8"])
def test_overlong_and_broken_bytes_are_no_text(charset: str) -> None:
    callbacks = Callbacks(secrets=[SECRET], charset=charset)  # type: ignore[arg-type]
    for value in (b"%98", b"%C0%80", b"%ED%A0%80", b"%FF"):
        query = query_of(phone=PHONE, to="1234", md5=md5(PHONE, "?", "1234")) + b"&mes=" + value
        with pytest.raises(InvalidCallbackSignature):
            callbacks.unwrap(query)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'[["status", "1"]]',
        b'"status"',
        b"{",
        b"{}",
        b'{"status": "1"} {}',
        b'{"status": NaN}',
        b"\xff",
        b'{"status": "1", "id": {"a": 1}, "phone": "7"}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"status":' + b"1" * 60_000 + b"}",
        b'{"status": "1", "status": "1"}',
        b'{"\\u0073tatus": "1", "status": "1"}',
        b'{"' + b'a":1,"' * 101 + b'":1}',
        b'{"\\ud800": "\\udfff", "status": "\\ud800"}',
        json.dumps({**STATUS, "md5": md5("a1", PHONE, "1")}).encode("utf-16"),
        json.dumps({**STATUS, "status": True, "md5": md5("a1", PHONE, "True")}).encode(),
        json.dumps({**STATUS, "status": [1], "md5": md5("a1", PHONE, "1")}).encode(),
        json.dumps({**STATUS, "status": None, "md5": md5("a1", PHONE, "None")}).encode(),
    ],
    ids=range(23),
)
def test_odd_json_is_refused(body: bytes) -> None:
    refused(body=body, content_type=JSON)


def test_a_form_that_says_it_is_json_is_refused_and_the_reverse() -> None:
    refused(body=signed(), content_type=JSON)
    refused(body=json.dumps(fields_of(signed())).encode())
    refused(body=json.dumps(fields_of(signed())).encode(), content_type="text/application/json")


def test_what_is_oversize_is_refused_before_it_is_read() -> None:
    large = signed() + b"&a=" + b"x" * Callbacks.max_bytes
    assert refused(large) == "the query has more than 65,536 bytes"
    assert refused(body=large) == "the body has more than 65,536 bytes"
    assert refused(signed() + b"&a" * 101) == "the callback has more than 100 fields"
    assert (
        refused(signed() + b"".join(b"&a%d" % number for number in range(100)))
        == "the callback has more than 100 fields"
    )
    assert CALLBACKS.unwrap(b"&&" * 30_000 + signed()) == CALLBACKS.unwrap(signed())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"phone": "not a phone"},
            "the callback is not about a message: phone must be a phone in international format",
        ),
        ({"phone": "G5"}, "the callback is not about a message: phone: a group code stands for many numbers"),
        ({"id": "0"}, "the callback is not about a message: id must be"),
        ({"status": "one"}, "the field 'status' of the callback is missing, or not of the right form"),
        ({"status": "1.0"}, "the field 'status' of the callback is missing, or not of the right form"),
        ({"status": "1000"}, "the field 'status' of the callback is missing, or not of the right form"),
        ({"status": "१"}, "the field 'status' of the callback is missing, or not of the right form"),
        ({"id": "a b"}, "the field 'id' of the callback is missing, or not of the right form"),
    ],
)
def test_what_is_signed_and_not_about_a_message_is_refused(change: dict[str, str], message: str) -> None:
    query = encode_callback({**STATUS, **change}, SECRET, charset="utf-8")
    assert refused(query).startswith(message)


@pytest.mark.parametrize("change", [{"ts": "0"}, {"ts": "soon"}, {"ts": "-5"}, {"ts": "9" * 12}, {"phone": "  "}])
def test_a_call_without_a_time_or_a_phone_is_refused(change: dict[str, str]) -> None:
    refused(signed({**CALL, **change}))


def test_unsigned_fields_change_nothing_that_is_signed() -> None:
    good = fields_of(signed())
    for name in ("err", "ts", "time", "cost", "type", "flag", "sender_id"):
        for odd in ("", "x", "-1", "9" * 30, "\0", "1e400", "NaN", "٣", " 1 "):
            body = json.dumps({**good, name: odd}).encode()
            push = CALLBACKS.unwrap(body=body, content_type=JSON)
            assert isinstance(push, StatusPush)
            assert (push.ref.phone, push.ref.id, push.status) == (PHONE, "a1", 1)


def test_the_comparison_is_in_constant_time_over_all_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def recorded(given: bytes, expected: bytes) -> bool:
        compared.append(expected)
        return compare(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", recorded)
    counts = set()
    for query in (signed(), signed(secret="another"), signed(secret="third"), signed().replace(b"a1", b"a2")):
        compared.clear()
        with suppress(InvalidCallbackSignature):
            CALLBACKS.unwrap(query)
        counts.add(len(compared))
    assert counts == {4}  # two secrets, in windows-1251 and UTF-8


def _frames(error: BaseException) -> Iterator[FrameType]:
    return (frame for frame, _ in traceback.walk_tb(error.__traceback__) if "smsc_async" in frame.f_code.co_filename)


def test_a_refusal_shows_neither_secret_nor_phone_nor_text() -> None:
    queries = [signed(secret="x"), signed(INCOMING, secret="x"), signed(phone="canary phone"), signed(id="0")]
    queries += [query_of(**{**fields_of(signed(INCOMING)), "phone": f"{PHONE}:"}), b"mes=canary&mes=canary"]
    for query in queries:
        try:
            CALLBACKS.unwrap(query)
        except InvalidCallbackSignature as error:
            held = [value for frame in _frames(error) if frame.f_code.co_name != "checking" for value in frame.f_locals]
            shown = f"{error} {error!r} {held} {error.__context__!r} {''.join(traceback.format_exception(error))}"
            assert not re.search(f"canary-secret|{PHONE}|Привет|canary phone", shown)
        else:
            pytest.fail("it was accepted")
    assert SECRET not in f"{CALLBACKS!r} {vars(CALLBACKS)!r}"
