"""A fault as an object, as text and as JSON: the same for Python, the command line and HTTP."""

import json
from typing import Any

import pytest

from smsc_async.sandbox import Fault, FaultKind

FORMS: list[tuple[Fault, str, dict[str, Any]]] = [
    (Fault("lose_request"), "lose_request", {"kind": "lose_request"}),
    (
        Fault("lose_answer", operation="send", probability=0.1),
        "lose_answer operation=send probability=0.1",
        {"kind": "lose_answer", "operation": "send", "probability": 0.1},
    ),
    (
        Fault(FaultKind.DELAY, seconds=3, times=2, after=1),
        "delay times=2 after=1 seconds=3.0",
        {"kind": "delay", "seconds": 3, "times": 2, "after": 1},
    ),
    (
        Fault("http", status=503, executed=True, phone="+79991234567"),
        "http phone=+79991234567 status=503 executed=true",
        {"kind": "http", "status": 503, "executed": True, "phone": "+79991234567"},
    ),
    (Fault("cut"), "cut at=0", {"kind": "cut", "at": 0}),
    (
        Fault("drifted_namespace", namespace="urn:a'b"),
        """drifted_namespace namespace='urn:a'"'"'b'""",
        {"kind": "drifted_namespace", "namespace": "urn:a'b"},
    ),
    (Fault("foreign_id"), "foreign_id operation=send", {"kind": "foreign_id", "operation": "send"}),
]


@pytest.mark.parametrize(("fault", "text", "data"), FORMS, ids=[text for _, text, _ in FORMS])
def test_the_text_and_the_json_of_a_fault_give_the_same_fault(fault: Fault, text: str, data: dict[str, Any]) -> None:
    assert (fault.text, fault.as_json()) == (text, data)
    assert Fault.parse(text) == Fault.model_validate(data) == Fault.model_validate_json(json.dumps(data)) == fault


def test_a_parameter_that_is_left_out_has_its_default() -> None:
    assert Fault.parse("http").status == 502
    assert Fault.parse("soap_fault").faultcode == "Server"
    assert Fault.parse("block").seconds == 600
    assert Fault.parse("drifted_namespace").namespace == "urn:drifted"


@pytest.mark.parametrize(
    ("text", "executed"),
    [
        ("lose_request", False),
        ("lose_answer", True),
        ("http", False),
        ("http executed=TRUE", True),
        ("empty", True),
        ("empty executed=false", False),
        ("error code=1", False),
        ("garbage", True),
    ],
)
def test_whether_a_request_is_executed_depends_on_the_kind_and_on_the_parameter(text: str, *, executed: bool) -> None:
    assert Fault.parse(text).is_executed is executed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "fault must be a kind and parameters, such as 'lose_answer operation=send probability=0.1'"),
        ("lose_answer 'x", "fault must be a kind and parameters"),
        ("lose_answer times", "each parameter is name=value"),
        ("lose_answer times=", "each parameter is name=value"),
        ("http status=502 status=503", "each parameter at most once"),
        ("http phone=+79991234567,+79991234568", "^phone must be one recipient, .*: add a fault for each$"),
        ("http phone=';'", "phone must be one recipient"),
        ("nothing", "kind must be 'lose_request', "),
        ("http stat=3", "stat is not an argument; did you mean status\\?"),
        ("cut seconds=3", "seconds is a parameter of delay, block, slow_drip, delay_callback, not of cut"),
        ("lose_answer executed=true", "executed is a parameter of http, empty, soap_fault, not of lose_answer"),
        ("delay", "delay needs seconds, such as 'delay seconds=3'"),
        ("error", "error needs code"),
        ("delay seconds=-1", "seconds must be at least 0"),
        ("delay seconds=nan", "seconds must be a finite number"),
        ("delay seconds=long", "seconds must be a number, not str"),
        ("lose_answer probability=0", "probability must be more than 0"),
        ("lose_answer probability=1.1", "probability must be at most 1"),
        ("lose_answer times=0", "times must be at least 1"),
        ("lose_answer times=1.5", "times must be a whole number"),
        ("lose_answer operation=sent", "operation must be 'send', 'cost', 'status' or 'balance'"),
        ("lose_answer times=true", "times must be a whole number, not bool"),
        ("error code=10", "code must be at most 9"),
        ("http status=100", "status must be at least 200"),
        ("drifted_namespace namespace=' '", "namespace"),
        ("foreign_id operation=cost", "foreign_id is a fault of operation=send"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_to_pass(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault.parse(text)


@pytest.mark.parametrize("name", ["times", "after", "probability"])
def test_a_boolean_is_no_number(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a (whole )?number, not bool"):
        Fault("lose_answer", **{name: True})


@pytest.mark.parametrize(("kind", "name"), [("delay", "seconds"), ("cut", "at"), ("http", "status"), ("error", "code")])
def test_a_boolean_is_no_number_of_a_kind(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a (whole )?number, not bool"):
        Fault(kind, **{name: True})


@pytest.mark.parametrize("text", ["0.25", ".25", "+0.25", "25e-2", "2.5E-1"])
def test_a_number_may_be_written_in_each_usual_way(text: str) -> None:
    assert Fault.parse(f"delay seconds={text} probability={text}") == Fault("delay", seconds=0.25, probability=0.25)


def test_only_a_string_is_a_text() -> None:
    with pytest.raises(ValueError, match="fault must be a kind and parameters"):
        Fault.parse(3)  # type: ignore[arg-type]


def test_the_repr_of_a_fault_shows_no_phone() -> None:
    assert "1234" not in repr(Fault("lose_answer", phone="+79991234567"))
