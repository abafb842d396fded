"""A callback becomes a value if it is signed, in each form, encoding and charset that the service may use."""

import hashlib
import json
import pickle
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from smsc_async import DeliveryError, MessageRef, MessageStatus
from smsc_async._protocol import encode_callback
from smsc_async.callbacks import (
    Callbacks,
    CallConfirmed,
    HlrDetails,
    IncomingMessage,
    InvalidCallbackSignature,
    MessageType,
    StatusPush,
)
from tests.callbacks.samples import CALL, FORMS, INCOMING, PHONE, SECRET, STATUS, signed

AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
CALLBACKS = Callbacks(secrets=[SECRET])


def status(**fields: str) -> StatusPush:
    push = CALLBACKS.unwrap(signed(STATUS, **fields))
    assert isinstance(push, StatusPush)
    return push


def incoming(query: bytes, callbacks: Callbacks = CALLBACKS) -> IncomingMessage:
    message = callbacks.unwrap(query)
    assert isinstance(message, IncomingMessage)
    return message


def test_a_status_is_read_with_its_hints() -> None:
    push = status()
    assert push == StatusPush(
        ref=MessageRef(PHONE, "a1"),
        status=MessageStatus.DELIVERED,
        at=AT,
        error=DeliveryError.NONE,
        type=MessageType.SMS,
        cost=Decimal("1.44"),
        sender="ivan",
        extra={"time": "14.11.2023 22:13:20", "flag": "0"},
    )
    assert (push.is_final, push.is_delivered, push.is_reachable) == (True, True, None)


def test_an_incoming_message_is_read() -> None:
    assert incoming(signed(INCOMING)) == IncomingMessage(
        phone=PHONE, text="Привет: да", to="79990000001", id="17", at=AT
    )


def test_a_text_is_kept_as_it_is() -> None:
    for text in ("", " yes \n", "a:b:c", "1", "😀 and é"):
        query = encode_callback({**INCOMING, "mes": text}, SECRET, charset="utf-8")
        assert incoming(query, Callbacks(secrets=[SECRET], charset="utf-8")).text == text


def test_a_call_is_read() -> None:
    assert CALLBACKS.unwrap(signed(CALL)) == CallConfirmed(phone=PHONE, at=AT, extra={"waitcall": "1"})


def test_status_zero_is_a_status_and_the_type_is_not_one() -> None:
    push = status(status="0", type="1")
    assert (push.status, push.type, push.is_final) == (MessageStatus.SENT, MessageType.FLASH, False)
    assert status(status="-1").status is MessageStatus.WAITING
    assert status(status="77", type="99", err="300").status == 77


def test_values_survive_pickle_and_their_json() -> None:
    for fields in FORMS.values():
        push = CALLBACKS.unwrap(signed(fields))
        assert pickle.loads(pickle.dumps(push)) == push  # noqa: S301 - our own bytes
        assert type(push).model_validate_json(push.model_dump_json()) == push


@pytest.mark.parametrize(
    ("fields", "is_final", "is_reachable"),
    [
        ({"type": "4", "status": "1", "err": "0"}, True, True),
        ({"type": "5", "status": "1", "err": "0"}, True, True),
        ({"type": "4", "status": "1", "err": "6"}, True, False),
        ({"type": "4", "status": "2", "err": ""}, False, None),
        ({"type": "5", "status": "1", "err": "odd"}, False, None),
        ({"type": "4", "status": "20", "err": ""}, True, False),
        ({"type": "5", "status": "0", "err": ""}, False, None),
        ({"type": "0", "status": "1", "err": ""}, True, None),
    ],
)
def test_an_hlr_request_or_a_ping_says_whether_the_subscriber_is_reachable(
    fields: dict[str, str], is_final: bool, is_reachable: bool | None
) -> None:
    push = status(**fields)
    assert (push.is_final, push.is_reachable) == (is_final, is_reachable)
    assert push.is_delivered is (is_final and fields["status"] != "20" and is_reachable is not False)


def test_the_details_of_an_hlr_request_are_typed() -> None:
    names = {"imsi": "250019999999999", "msc": "79168999999", "mcc": "250", "mnc": "01"}
    more = {"cn": "Russia", "net": "MTS", "rcn": "", "rnet": "Beeline"}
    push = status(type="4", **names, **more)
    assert push.hlr == HlrDetails(**names, country="Russia", operator="MTS", roaming_operator="Beeline")
    assert "rcn" in push.extra
    assert "250019999999999" not in f"{push!r} {push.hlr!r}"
    assert "79168999999" not in f"{push!r}"
    assert status().hlr is None


@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
def test_a_query_a_form_and_json_are_the_same(fields: dict[str, str]) -> None:
    form = signed(fields)
    md5 = form.rpartition(b"=")[2].decode()
    document = json.dumps({**fields, "md5": md5}).encode()
    spelled = json.dumps({**fields, "md5": md5}, ensure_ascii=False).encode()
    expected = CALLBACKS.unwrap(form)
    assert CALLBACKS.unwrap(body=form, content_type="application/x-www-form-urlencoded") == expected
    assert CALLBACKS.unwrap(body=form) == expected
    for kind in ("application/json", "Application/JSON; charset=utf-8", " application/problem+json"):
        for each in (document, spelled, b"\xef\xbb\xbf" + document):
            assert CALLBACKS.unwrap(body=each, content_type=kind) == expected


def test_numbers_of_json_are_read_as_they_are_written() -> None:
    md5 = hashlib.md5(f"12:{PHONE}:0:{SECRET}".encode(), usedforsecurity=False).hexdigest()
    body = f'{{"id": 12, "phone": {PHONE}, "status": 0, "cost": 1.10, "err": null, "md5": "{md5}", "x": [{{"a": 1}}]}}'
    push = CALLBACKS.unwrap(body=body.encode(), content_type="application/json")
    assert push == StatusPush(ref=MessageRef(PHONE, 12), status=MessageStatus.SENT, cost=Decimal("1.10"))


def test_if_there_is_a_body_the_query_does_not_count() -> None:
    assert CALLBACKS.unwrap(b"id=b2&status=3&md5=0&id=7", signed()) == status()
    with pytest.raises(InvalidCallbackSignature):
        CALLBACKS.unwrap(signed(), b"a=b")


def test_parameters_of_the_url_itself_are_kept_as_extra() -> None:
    push = CALLBACKS.unwrap(b"charset=utf-8&shop=7&" + signed())
    assert push.extra.keys() == {"charset", "shop", "time", "flag"}


@pytest.mark.parametrize("charset", ["windows-1251", "utf-8", "koi8-r"])
@pytest.mark.parametrize("hashed", ["charset", "utf-8", "windows-1251"])
def test_escapes_are_bytes_of_the_charset_and_the_signature_is_of_any_usual_bytes(
    charset: Literal["windows-1251", "utf-8", "koi8-r"], hashed: str
) -> None:
    text = f"{PHONE}:Привет, мир:79990000001:{SECRET}"
    md5 = hashlib.md5(text.encode(charset if hashed == "charset" else hashed), usedforsecurity=False).hexdigest()
    words = quote("Привет, мир", encoding=charset).replace("%20", "+")
    query = f"phone={PHONE}&mes={words}&to=79990000001&md5={md5}".encode()
    assert incoming(query, Callbacks(secrets=[SECRET], charset=charset)).text == "Привет, мир"


def test_a_wrong_charset_is_refused_and_never_a_wrong_text() -> None:
    query = encode_callback({**INCOMING, "mes": "И"}, SECRET, charset="utf-8")
    with pytest.raises(InvalidCallbackSignature, match="'mes' of the callback is missing, or not of the right form"):
        CALLBACKS.unwrap(query)
    with pytest.raises(InvalidCallbackSignature):
        Callbacks(secrets=[SECRET], charset="utf-8").unwrap(signed(INCOMING))


def test_unsigned_fields_of_another_charset_have_no_value() -> None:
    push = CALLBACKS.unwrap(b"sender_id=%98&" + signed({**STATUS, "sender_id": ""}).replace(b"sender_id=&", b""))
    assert isinstance(push, StatusPush)
    assert push.sender is None


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_md5_and_sha1_are_accepted_in_upper_case_too(digest: Literal["md5", "sha1"]) -> None:
    query = encode_callback(STATUS, SECRET, digest=digest)
    rest, _, value = query.rpartition(b"=")
    assert CALLBACKS.unwrap(query) == CALLBACKS.unwrap(rest + b"=" + value.upper()) == status()


def test_a_crc32_is_accepted_only_if_it_was_allowed() -> None:
    query = encode_callback(STATUS, SECRET, digest="crc32")
    rest, _, value = query.rpartition(b"=")
    hexadecimal = f"{zlib.crc32(f'a1:{PHONE}:1:{SECRET}'.encode()):08X}".encode()
    allowing = Callbacks(secrets=[SECRET], allow_crc32=True)
    for each in (query, rest + b"=" + hexadecimal):
        assert allowing.unwrap(each) == status()
        with pytest.raises(InvalidCallbackSignature):
            CALLBACKS.unwrap(each)
    assert int(value) >= 0
    assert allowing.unwrap(signed()) == status()


def test_the_new_and_the_old_secret_are_accepted() -> None:
    secrets: list[str | SecretStr] = ["new", SecretStr("old")]
    both = Callbacks(secrets=iter(secrets))
    assert both.unwrap(signed(secret="new")) == both.unwrap(signed(secret="old")) == status()
    with pytest.raises(InvalidCallbackSignature):
        both.unwrap(signed(secret="older"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"secrets": "secret"}, r"secrets must be a list of strings, such as \[new, old\], not str"),
        ({"secrets": None}, r"secrets must be a list of strings, such as \[new, old\], not None"),
        ({"secrets": []}, "secrets must not be empty; pass the secret of the account's settings"),
        ({"secrets": ["a", 5]}, r"secrets\[1\] must be a string, not int"),
        ({"secrets": [""]}, r"secrets\[0\] must not be empty"),
        ({"secrets": ["canary "]}, r"secrets\[0\] must not begin or end with whitespace; remove it"),
        ({"secrets": ["x:canary", "canary"]}, "no secret must end with a colon and another secret; choose another one"),
        ({"charset": "cp1251"}, "charset must be 'windows-1251', 'utf-8' or 'koi8-r'"),
        ({"charset": None}, "charset must be 'windows-1251', 'utf-8' or 'koi8-r', not None"),
        ({"allow_crc32": 1}, "allow_crc32 must be True or False, not int"),
    ],
)
def test_a_wrong_argument_is_one_sentence_without_the_secret(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        Callbacks(**{"secrets": [SECRET], **arguments})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": "id=1"}, "query must be bytes, not str"),
        ({"body": None}, "body must be bytes, not None"),
        ({"content_type": b""}, "content_type must be a string, not bytes"),
    ],
)
def test_a_request_of_other_types_is_a_wrong_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        CALLBACKS.unwrap(**arguments)
    assert not isinstance(caught.value, InvalidCallbackSignature)
