"""Phones and references as parameters of FastAPI, reports as answers, and the schema that describes them."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import jsonschema_rs
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel

from smsc_async import DeliveryError, DeliveryReport, MessageRef, MessageStatus, Phone, SentMessage
from smsc_async.callbacks import Callbacks, StatusPush
from smsc_async.fastapi import MessageRefText
from tests.callbacks.samples import SECRET, STATUS, signed
from tests.web.shop import browser, fastapi_shop

ROOT = Path(__file__).parent.parent.parent
REF = MessageRef("+79991234567", "a1")
REPORT = DeliveryReport(ref=REF, status=MessageStatus(20), error=DeliveryError(6))
app = FastAPI()


class Form(BaseModel):
    """A body."""

    phone: Phone
    ref: MessageRef
    text: MessageRefText


@app.get("/phones/{phone}")
async def _phone(phone: Phone, ref: MessageRefText, other: Phone | None = None) -> list[Any]:
    assert isinstance(ref, MessageRef)
    return [phone, ref.id, other]


@app.get("/messages/{ref}")
async def _report(ref: MessageRefText) -> DeliveryReport:
    assert ref == REF
    return REPORT


@app.post("/form")
async def _form(form: Form) -> Form:
    assert form.ref == form.text
    return form


@app.post("/ref")
async def _ref(ref: MessageRef, text: Annotated[MessageRefText, Body()]) -> list[MessageRef]:
    return [ref, text]


@app.get("/sent")
async def _sent() -> SentMessage:
    return SentMessage(id="a1", refs=(REF,))


@app.get("/push")
async def _push() -> StatusPush:
    push = Callbacks(secrets=[SECRET]).unwrap(signed(STATUS))
    assert isinstance(push, StatusPush)
    return push


async def test_a_phone_and_a_reference_are_parameters_of_a_path_a_query_and_a_body() -> None:
    ref = {"phone": REF.phone, "id": REF.id}
    async with browser(app) as http:
        found = await http.get("/phones/+7 (999) 123-45-67", params={"ref": str(REF), "other": "00 49 30 123456"})
        assert found.json() == [REF.phone, "a1", "+4930123456"]
        form = await http.post("/form", json={"phone": "+7 999 1234567", "ref": ref, "text": str(REF)})
        assert form.json() == {"phone": REF.phone, "ref": ref, "text": str(REF)}
        assert (await http.post("/ref", json={"ref": ref, "text": str(REF)})).json() == [ref, ref]
    assert Form(phone=Phone(REF.phone), ref=REF, text=REF).text is REF


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/phones/8-999-1234567?ref=+79991234567:a1", "the country of the phone is unknown; begin it with +"),
        ("/phones/+7 999 1234567 ext. 5?ref=%2B79991234567:a1", "the phone has letters after its first digit"),
        ("/phones/+79991234567?ref=+79991234567", "the text form of a reference must be phone:id"),
        ("/messages/8 999 1234567:a1", "phone must be a phone in international format"),
        ("/messages/+79991234567:a b", "id must be a number from 1 to 2147483647, or a string of up to 40"),
    ],
)
async def test_a_wrong_parameter_is_422_in_our_words_without_the_number(path: str, words: str) -> None:
    async with browser(app) as http:
        answer = await http.get(path)
    first = answer.json()["detail"][0]
    assert (answer.status_code, first["type"]) == (422, "wrong_argument")
    assert first["msg"].startswith(words)
    assert "1234567" not in answer.text.replace("+79991234567", "")


def test_a_parameter_is_built_with_its_route_and_not_at_the_first_request() -> None:
    code = """
import sys, warnings
from fastapi import FastAPI
from smsc_async import Message, MessageRef, Viber
app = FastAPI()
for kind in (Message, MessageRef, Viber):
    def take(body: kind) -> None: ...
    app.post("/" + kind.__name__)(take)
warnings.simplefilter("error")
for route in app.router.routes:
    if hasattr(route, "body_field") and route.body_field is not None:
        print(route.body_field._type_adapter.pydantic_complete)
"""
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout.split(), ran.stderr) == (["True"] * 3, "")


async def test_a_wrong_body_is_422_in_our_words() -> None:
    async with browser(app) as http:
        answer = await http.post("/form", json={"phone": "12", "ref": {"phone": "12", "id": "0"}, "text": 17})
    found = {".".join(map(str, each["loc"])): each["msg"] for each in answer.json()["detail"]}
    assert answer.status_code == 422
    assert found.keys() == {"body.phone", "body.ref", "body.text"}
    assert found["body.ref"].startswith("phone must be a phone in international format")
    assert "; id must be a number from 1 to 2147483647" in found["body.ref"]
    assert found["body.text"] == "the text form of a reference must be a string, not int"
    assert not [text for text in found.values() if text.startswith("Value error")]


async def test_a_report_has_is_final_is_delivered_and_phrase_in_json() -> None:
    async with browser(app) as http:
        report = (await http.get(f"/messages/{REF}")).json()
        push = (await http.get("/push")).json()
    assert (report["is_final"], report["is_delivered"]) == (True, False)
    assert report["phrase"] == "impossible to deliver (the subscriber is offline)"
    assert (push["is_final"], push["is_delivered"], push["phrase"]) == (True, True, "delivered")
    assert (
        DeliveryReport.model_validate(report) == DeliveryReport.model_validate_json(REPORT.model_dump_json()) == REPORT
    )
    assert "phrase" not in repr(REPORT)
    with pytest.raises(ValueError, match="phrases is not an argument"):
        DeliveryReport.model_validate({**report, "phrases": ""})


def test_the_schema_names_the_parameters_and_is_valid() -> None:
    schema = app.openapi()
    (phone, ref, _) = schema["paths"]["/phones/{phone}"]["get"]["parameters"]
    assert (phone["in"], phone["schema"]["format"], phone["schema"]["type"]) == ("path", "phone", "string")
    assert (ref["in"], ref["schema"]["examples"], ref["schema"]["type"]) == ("query", ["+79991234567:a1"], "string")
    for each in (schema, fastapi_shop().openapi()):
        for parameter in _schemas(each):
            jsonschema_rs.meta.validate(parameter)


async def test_the_answers_match_the_schema_also_with_an_undocumented_status() -> None:
    schema = app.openapi()
    answers = {"/messages/{ref}": REPORT, "/sent": None, "/push": None}
    async with browser(app) as http:
        for path in answers:
            described = schema["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            validator = jsonschema_rs.validator_for({**described, "components": schema["components"]})
            answer = (await http.get(path.replace("{ref}", str(REF)))).json()
            validator.validate(answer)
            if "status" in answer:
                validator.validate({**answer, "status": 99})
                assert not validator.is_valid({**answer, "status": "new"})


def _schemas(value: Any) -> list[Any]:
    """Return each JSON schema of an OpenAPI document."""
    if isinstance(value, list):
        return [schema for each in value for schema in _schemas(each)]
    if not isinstance(value, dict):
        return []
    own = [value["schema"]] if "schema" in value else []
    components = list(value["schemas"].values()) if isinstance(value.get("schemas"), dict) else []
    return [*own, *components, *(schema for each in value.values() for schema in _schemas(each))]
