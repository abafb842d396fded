"""Codes are open: a documented one has a name, a phrase and advice; any other number is kept."""

import copy
import json
import pickle

import pytest
from pydantic import TypeAdapter

from smsc_async._model.codes import DeliveryError, MessageStatus, MessageType, Resend

FINAL = {1, 2, 3, 4, 20, 22, 23, 24, 25}
ADVICE = {
    Resend.NO: {0, 1, 11, 21, 200, 238, 239, 243, 244, 248, 249, 250, 252, 253, 254},
    Resend.LATER: {6, 12, 13, 220, 237, 240, 242, 246},
    Resend.NEXT_DAY: {219, 247, 251},
    Resend.MAYBE: {241},
    Resend.ONCE: {255},
    Resend.UNKNOWN: {245},
}


def test_every_documented_status_has_a_name() -> None:
    assert {int(status) for status in MessageStatus} == {-3, -2, -1, 0} | FINAL


def test_every_documented_type_has_a_name() -> None:
    assert {int(kind) for kind in MessageType} == {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12}
    assert all(kind.phrase for kind in MessageType)


@pytest.mark.parametrize("status", MessageStatus)
def test_final_and_delivered_follow_the_table(status: MessageStatus) -> None:
    assert status.is_final is (status in FINAL)
    assert status.is_delivered is (status in {1, 2, 4})
    assert status.phrase


def test_every_documented_delivery_error_has_its_advice() -> None:
    assert {advice: {int(error) for error in DeliveryError if error.resend is advice} for advice in Resend} == ADVICE
    assert all(error.phrase for error in DeliveryError)


@pytest.mark.parametrize("kind", [MessageStatus, MessageType, DeliveryError])
@pytest.mark.parametrize("number", [77, 100_000, -9])
def test_unknown_number_is_kept(kind: type[MessageStatus | MessageType | DeliveryError], number: int) -> None:
    code = kind(number)
    assert (code, code.value, code.phrase) == (number, number, f"undocumented code {number}")
    assert code.name == (f"UNKNOWN_{number}" if number >= 0 else f"UNKNOWN_MINUS_{-number}")
    assert code == kind(number)
    assert len({code, kind(number)}) == 1
    assert number not in {int(known) for known in kind}


def test_unknown_status_counts_as_open_and_unknown_error_gives_no_advice() -> None:
    assert not MessageStatus(77).is_final
    assert not MessageStatus(77).is_delivered
    assert DeliveryError(77).resend is Resend.UNKNOWN


@pytest.mark.parametrize(
    "code",
    [
        MessageStatus.DELIVERED,
        MessageStatus(77),
        MessageType.CALL,
        MessageType(77),
        DeliveryError.SPAM,
        DeliveryError(-77),
    ],
)
def test_code_survives_pickle_copies_and_json(code: MessageStatus | MessageType | DeliveryError) -> None:
    again = pickle.loads(pickle.dumps(code))  # noqa: S301 - our own bytes
    assert (again, type(again), again.name, again.phrase) == (code, type(code), code.name, code.phrase)
    assert copy.deepcopy(code) == code
    adapter = TypeAdapter(type(code))
    assert json.loads(adapter.dump_json(code)) == code.value
    assert adapter.validate_json(adapter.dump_json(code)) == code


@pytest.mark.parametrize("value", ["canary", None, 1.5])
def test_what_is_no_number_is_no_code(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid MessageStatus"):
        MessageStatus(value)  # type: ignore[arg-type]  # a wrong type is the point
