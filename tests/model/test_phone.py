"""A phone is read as people write it, and is a string in international form."""

import json
import pickle
import sys
from functools import partial
from typing import Annotated, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from smsc_async import Client, Message, MessageRef, Phone
from smsc_async.sandbox import Sandbox
from tests.parts import is_installed, missing

if not is_installed("phonenumbers"):
    missing("phonenumbers is not installed: pip install '.[test-all]'")

NUMBER = "+79991234567"


@pytest.mark.parametrize(
    "text",
    [
        "8 (999) 123-45-67",
        "+7 (999) 123-45-67",
        "8-999-123-45-67",
        "89991234567",
        "79991234567",
        "9991234567",
        "999.123.45.67",
        "+7\u00a0999\u00a0123\u201145\u201167",  # no-break spaces and hyphens, of a web page
        "8\u202f999\u2009123\u200745\u200a67",  # narrow, thin, figure and hair spaces, of a typesetter
        "+7\t999\t123-45-67",
        "\u202a+79991234567\u202c",  # as copied from an address book
        "\ufeff+7 999 1234567 ",
        "\uff17\uff19\uff19\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17",  # full-width digits
        "\uff0b\uff17\uff08\uff19\uff19\uff19\uff09\uff11\uff12\uff13\uff0d\uff14\uff15\uff16\uff17",
        "\u0660\u0660\u0667\u0669\u0669\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667",  # Arabic digits
        "0079991234567",
        "00 7 (999) 123 45 67",
        "\uff10\uff10 7 999 1234567",
        "810 7 999 123 45 67",
        "tel:+7-999-123-45-67",
        "тел. 8 999 123 45 67",
    ],
)
def test_a_russian_number_is_read_however_it_is_written(text: str) -> None:
    assert Phone.parse(text, region="RU") == NUMBER
    assert Phone.parse(text, "ru") == NUMBER


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+7 999 123 45 67", None, NUMBER),
        ("00 49 30 123456", None, "+4930123456"),
        ("030 123456", "DE", "+4930123456"),
        ("+49 (0)30 123456", None, "+4930123456"),
        ("06 698 12345", "IT", "+390669812345"),  # Italy's zero stays
        ("8 701 123 45 67", "KZ", "+77011234567"),
        ("(650) 253-0000", "US", "+16502530000"),
        ("011 7 999 123 45 67", "US", NUMBER),
        ("+7 999 123 45 67", "DE", NUMBER),
        ("79 99123-4567", "BR", "+5579991234567"),  # without the region it would be a Russian number
    ],
)
def test_a_number_with_a_country_code_needs_no_region(text: str, region: str | None, number: str) -> None:
    assert Phone.parse(text, region) == number


@pytest.mark.parametrize(
    ("text", "region", "words"),
    [
        (
            "8 (999) 123-45-67",
            None,
            r"country of the phone is unknown; begin it with \+ .* region=.RU. \(--region RU\)",
        ),
        ("79991234567", None, "the country of the phone is unknown"),
        ("", None, "the country of the phone is unknown"),
        ("", "RU", "this is no valid phone number in RU"),
        ("8 999 123", "RU", "this is no valid phone number in RU"),
        ("112", "RU", "this is no valid phone number in RU"),
        ("380501234567", "RU", "this is no valid phone number in RU"),  # a missing + is not guessed
        ("+8 999 123 45 67", "RU", "this is no valid phone number"),
        ("00 00", None, "this is no valid phone number$"),
        ("+7 999", None, "this is no valid phone number$"),
        ("+79991234567\n+79991234568", "RU", "this is no valid phone number"),
        ("+79991234567\t+79991234568", "RU", "this is no valid phone number"),
        ("+79991234567, +79991234568", "RU", "this is no valid phone number"),
        ("+7 999 123-45-67 доб. 12", "RU", "has letters after its first digit"),
        ("+7 999 123-45-67 x12", "RU", "has letters after its first digit"),
        ("8 999 123 45 67 Ivan", "RU", "has letters after its first digit"),
        ("1-800-FLOWERS", "US", "has letters after its first digit"),
        ("7.99912E+10", "RU", "has letters after its first digit"),
        ("+7 999 123-45-67 #12", "RU", "this is no valid phone number"),
        ("9" * 1000, "RU", "this is no valid phone number in RU"),
        ("8 999 123-45-67", "Russia", "region must be 'RU' or another country in two letters"),
        ("8 999 123-45-67", "", "region must be 'RU' or another country in two letters"),
        ("8 999 123-45-67", 7, "region must be 'RU' or another country in two letters, not int"),
        (79991234567, "RU", "a phone must be a string, not int"),
        (None, None, "a phone must be a string, not None"),
    ],
)
def test_what_is_no_number_is_refused_in_words_without_the_number(text: Any, region: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Phone.parse(text, region)
    assert "999" not in str(caught.value)
    assert caught.value.__context__ is None
    names = []
    frames = caught.value.__traceback__
    while frames is not None:
        names.append(frames.tb_frame.f_code.co_name)
        frames = frames.tb_next
    assert "_read" not in names


@given(st.text(max_size=40), st.sampled_from([None, "RU", "US", "DE", "IT", "BR"]))
def test_any_text_is_a_phone_or_a_value_error(text: str, region: str | None) -> None:
    try:
        phone = Phone.parse(text, region)
    except ValueError:
        return
    assert Phone(phone) == phone == Phone.parse(phone)


def test_a_phone_is_a_string_whose_repr_hides_it() -> None:
    phone = Phone(NUMBER)
    assert isinstance(phone, str)
    assert f"{phone}" == str(phone) == NUMBER
    assert json.dumps([phone]) == f'["{NUMBER}"]'
    assert repr([phone]) == "[Phone('+799*****67')]"
    assert {phone: 1}[NUMBER] == 1  # type: ignore[index]  # equal to its text
    copied = pickle.loads(pickle.dumps(phone))  # noqa: S301 - our own
    assert (copied, type(copied)) == (phone, Phone)
    assert Phone.parse(phone, "DE") is phone
    for wrong in ("79991234567", "+7 999", "+0999123", "", "+" + "1" * 16, None, b"+79991234567"):
        with pytest.raises(ValueError, match=r"number must be '\+79991234567' or another number .*see Phone.parse"):
            Phone(wrong)  # type: ignore[arg-type]


async def test_a_phone_is_taken_wherever_a_recipient_is() -> None:
    phone = Phone.parse("8 999 123-45-67", "RU")
    sandbox = Sandbox()
    async with Client(apikey="demo", transport=sandbox.transport()) as client:
        sent = await client.send(phone, "Hi")
        assert (await client.cost([phone], "Hi")).amount
        assert (await client.status(MessageRef(phone, sent.id))).ref == sent.ref
        (outcome,) = [each async for each in client.send_batch([Message(phone, "Ho")])]
    assert (sent.ref.phone, outcome.message.phone) == (NUMBER, NUMBER)


class Form(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    phone: Phone
    russian: Annotated[Phone, BeforeValidator(partial(Phone.parse, region="RU"))] | None = None


def test_a_phone_is_the_type_of_a_field() -> None:
    form = Form.model_validate({"phone": "00 7 999 123-45-67", "russian": "8 (999) 123-45-67"})
    assert (form.phone, form.russian) == (NUMBER, NUMBER)
    assert type(form.phone) is type(form.russian) is Phone
    assert Form.model_validate_json(form.model_dump_json()) == form
    assert form.model_dump() == {"phone": NUMBER, "russian": NUMBER}
    assert NUMBER not in repr(form)
    for wrong in ("8 (999) 123-45-67", 79991234567, None):
        with pytest.raises(ValidationError) as caught:
            Form.model_validate({"phone": wrong})
        assert "123-45-67" not in str(caught.value)
    schema = {"type": "string", "format": "phone", "examples": [NUMBER]}
    for mode in ("validation", "serialization"):
        assert TypeAdapter(Phone).json_schema(mode=mode) == schema


async def test_a_phone_is_a_parameter_of_fastapi() -> None:
    from fastapi import FastAPI  # noqa: PLC0415 - an extra

    app = FastAPI()

    @app.get("/{phone}")
    async def show(phone: Phone, other: Phone | None = None) -> list[Phone | None]:
        assert isinstance(phone, Phone)
        return [phone, other]

    @app.post("/")
    async def submit(form: Form) -> Form:
        return form

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as service:
        shown = await service.get("/+7 999 1234567", params={"other": "007(999)1234567"})
        assert shown.json() == [NUMBER, NUMBER]
        assert (await service.get("/8-999-1234567")).status_code == 422
        submitted = await service.post("/", json={"phone": NUMBER, "russian": "8 999 1234567"})
        assert submitted.json() == {"phone": NUMBER, "russian": NUMBER}
    assert app.openapi()["components"]["schemas"]["Form"]["properties"]["phone"]["format"] == "phone"


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'smsc-async\[phones\]'"):
        Phone.parse(NUMBER)
    assert Phone(NUMBER) == NUMBER
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'smsc-async\[phones\]'"):
        TypeAdapter(Phone)  # when the field is defined, and not with the first value


def test_a_damaged_library_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "phonenumbers.py").write_text("import a_part_that_is_missing\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "phonenumbers", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_missing"):
        Phone.parse(NUMBER)
