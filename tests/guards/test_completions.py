"""What the answer to a request says about the limits, and what is released."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from smsc_async import (
    ApiError,
    Balance,
    ConnectError,
    ConnectionLost,
    Cost,
    DeliveryReport,
    GetBalance,
    GetStatus,
    GuardError,
    HTTPStatusError,
    MalformedEnvelope,
    Message,
    MessageRef,
    MessageStatus,
    PoolTimeout,
    ReadTimeout,
    SendList,
    SentMessage,
    SoapFault,
    TooManyRequests,
)
from smsc_async._model.operations import GetListCost, Operation
from smsc_async._model.refusals import RecipientError
from smsc_async._model.result_base import Result
from smsc_async.guards._demands import Completion, RequestArrival, releases, window_of
from smsc_async.guards._limits import Release
from smsc_async.guards._store import Demand
from tests.guards.planner import LIMITS, OTHER, PHONE, cost, planner, send

# --- what an answer says
SENT = SentMessage(id="a1", sms_count=1)


LINES = SendList(messages=tuple(Message(f"+7999123456{digit}", "Hi") for digit in range(5)))


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (GetBalance(), Balance(amount=Decimal(1))),
        (cost(), Cost(amount=Decimal(1))),
        (
            GetStatus(ref=MessageRef(PHONE, "a")),
            DeliveryReport(ref=MessageRef(PHONE, "a"), status=MessageStatus.DELIVERED),
        ),
    ],
)
def test_an_answered_read_says_nothing_of_sends(operation: Operation[Result], result: Result) -> None:
    assert Completion.of_result(operation, result) == Completion(RequestArrival.ANSWERED)


def test_an_accepted_send_is_a_good_one() -> None:
    refused = SENT.model_copy(update={"errors": (RecipientError(phone=OTHER, code=7),)})
    good = Completion(RequestArrival.ANSWERED, good=True, accepted=1)
    assert Completion.of_result(send(), SENT) == good
    assert Completion.of_result(send([PHONE, OTHER]), refused) == good


def test_of_an_accepted_list_the_lines_that_were_refused_are_bad_sends() -> None:
    codes = (6, 7, 8, 1)
    errors = tuple(RecipientError(phone=f"+7999123456{digit}", code=code) for digit, code in enumerate(codes))
    result = SENT.model_copy(update={"errors": errors})
    assert Completion.of_result(LINES, result) == Completion(RequestArrival.ANSWERED, bad=3, good=True, accepted=1)
    assert Completion.of_result(LINES, SENT) == Completion(RequestArrival.ANSWERED, bad=0, good=True, accepted=1)


def test_a_refused_line_without_a_number_may_be_a_bad_send() -> None:
    result = SENT.model_copy(update={"errors": (RecipientError(phone=OTHER), RecipientError(phone=PHONE, code=9))})
    assert Completion.of_result(LINES, result) == Completion(RequestArrival.ANSWERED, bad=1, good=True, accepted=1)


def test_of_a_list_whose_answer_names_no_errors_all_lines_but_one_may_be_bad() -> None:
    silent = LINES.model_copy(update={"err": False})
    assert Completion.of_result(silent, SENT) == Completion(RequestArrival.ANSWERED, bad=4, good=True, accepted=1)


@pytest.mark.parametrize(
    ("error", "completion"),
    [
        (TooManyRequests("error 9", code=9), Completion(RequestArrival.ANSWERED, 9)),
        (ApiError("error 77", code=77), Completion(RequestArrival.ANSWERED, 77)),
        (ConnectError("refused"), Completion(RequestArrival.UNSENT)),
        (PoolTimeout("no connection"), Completion(RequestArrival.UNSENT)),
        (
            SoapFault("x", fault_code="Server", fault_string="Procedure 'send' not present"),
            Completion(RequestArrival.UNSENT),
        ),
        (SoapFault("x", fault_code="Client", fault_string="Bad Request"), Completion(RequestArrival.ANSWERED, -1)),
        (SoapFault("x", fault_code="Server", fault_string="Oops"), Completion(RequestArrival.ANSWERED, -1)),
        (HTTPStatusError("HTTP 404", status_code=404), Completion(RequestArrival.ANSWERED, -1)),
        (HTTPStatusError("HTTP 502", status_code=502), Completion(RequestArrival.LOST, -1)),
        (MalformedEnvelope("not XML"), Completion(RequestArrival.LOST, -1)),
        (ConnectionLost("cut"), Completion(RequestArrival.LOST)),
        (ReadTimeout("late"), Completion(RequestArrival.LOST)),
        (asyncio.CancelledError(), Completion(RequestArrival.LOST)),
        (KeyError("a bug"), Completion(RequestArrival.LOST)),
    ],
    ids=lambda value: value.args[0] if isinstance(value, BaseException) and value.args else None,
)
def test_a_failure_after_the_post_says_what_the_service_may_have_counted(
    error: BaseException, completion: Completion
) -> None:
    assert Completion.of_failure(error, posted=True) == completion


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError("a bug"), ReadTimeout("?"), GuardError("full")])
def test_a_failure_before_the_post_means_that_nothing_left(error: BaseException) -> None:
    assert Completion.of_failure(error, posted=False) == Completion(RequestArrival.UNSENT)


@pytest.mark.parametrize(
    ("operation", "rule"),
    [
        (GetStatus(ref=MessageRef(PHONE, "a")), "status"),
        (GetBalance(), "balance"),
        (cost(), "identical_cost"),
        (GetListCost(messages=(Message(PHONE, "Hi"),)), "identical_cost"),
        (send(), None),
        (LINES, None),
    ],
)
def test_error_9_to_a_read_is_about_one_rule(operation: Operation[Result], rule: str | None) -> None:
    assert window_of(operation) == rule


# --- releases: every rule, every arrival, every error number
AMOUNT = 3


CODES = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 77]


GATES = ["in_flight", "status_in_flight"]


WINDOWS = ["identical_send", "identical_cost", "status", "balance"]


def release_of(rule: str, completion: Completion, amount: int = AMOUNT) -> Release:
    found = releases([Demand(rule, b"key", LIMITS[rule])], [amount], completion, late=5.0, slack=1.2)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("rule", LIMITS)
def test_what_never_left_leaves_nothing(rule: str) -> None:
    assert release_of(rule, Completion(RequestArrival.UNSENT)) == Release()


def codes_but(*codes: int) -> Sequence[int]:
    return [code for code in CODES if code not in codes]


@pytest.mark.parametrize("rule", WINDOWS)
def test_every_answered_request_keeps_its_slot_in_a_window(rule: str) -> None:
    for code in codes_but(9):
        assert release_of(rule, Completion(RequestArrival.ANSWERED, code)) == Release(keep=AMOUNT)
    assert release_of(rule, Completion(RequestArrival.ANSWERED, good=True)) == Release(keep=AMOUNT)


@pytest.mark.parametrize("rule", WINDOWS)
def test_error_9_fills_the_window(rule: str) -> None:
    assert release_of(rule, Completion(RequestArrival.ANSWERED, 9)) == Release(keep=AMOUNT, fill=True)


@pytest.mark.parametrize("code", CODES)
def test_every_answered_message_counts_for_its_subscriber_and_error_9_names_none(code: int) -> None:
    assert release_of("subscriber", Completion(RequestArrival.ANSWERED, code)) == Release(keep=AMOUNT)


@pytest.mark.parametrize("rule", GATES)
@pytest.mark.parametrize("code", CODES)
def test_an_answered_request_has_left_the_gate(rule: str, code: int) -> None:
    assert release_of(rule, Completion(RequestArrival.ANSWERED, code)) == Release()


@pytest.mark.parametrize("rule", ["login_failures", "address_failures"])
@pytest.mark.parametrize("code", CODES)
def test_error_2_refutes_credentials_and_what_is_said_to_an_account_proves_them(rule: str, code: int) -> None:
    expected = Release(keep=1, proof=False) if code == 2 else Release(proof=True if code in {0, 3, 6, 7, 8} else None)
    assert release_of(rule, Completion(RequestArrival.ANSWERED, code)) == expected
    assert release_of(rule, Completion(RequestArrival.ANSWERED, code), amount=0) == expected


def test_error_4_is_a_block_and_every_other_answer_of_the_service_is_none() -> None:
    assert release_of("blocked", Completion(RequestArrival.ANSWERED, 4), amount=0) == Release(keep=1)
    for code in codes_but(4, -1):
        assert release_of("blocked", Completion(RequestArrival.ANSWERED, code), amount=0) == Release(clear=True)


def test_what_a_server_in_front_of_the_service_says_does_not_end_the_memory_of_a_block() -> None:
    assert release_of("blocked", Completion(RequestArrival.ANSWERED, -1), amount=0) == Release()


def test_errors_6_7_and_8_are_bad_sends_of_all_that_was_sent() -> None:
    for code in (6, 7, 8):
        assert release_of("bad_sends", Completion(RequestArrival.ANSWERED, code)) == Release(keep=AMOUNT)
    for code in codes_but(6, 7, 8):
        assert release_of("bad_sends", Completion(RequestArrival.ANSWERED, code)) == Release()


def test_an_accepted_message_ends_the_row_of_bad_ones_and_begins_it_with_those_beside_it() -> None:
    assert release_of("bad_sends", Completion(RequestArrival.ANSWERED, good=True)) == Release(clear=True)
    assert release_of("bad_sends", Completion(RequestArrival.ANSWERED, bad=2, good=True)) == Release(keep=2, clear=True)


@pytest.mark.parametrize("rule", [*WINDOWS, "subscriber", "bad_sends"])
@pytest.mark.parametrize("code", [0, -1])
def test_a_lost_request_counts_as_one_that_arrives_late(rule: str, code: int) -> None:
    assert release_of(rule, Completion(RequestArrival.LOST, code)) == Release(keep=AMOUNT, late=5.0)


@pytest.mark.parametrize("rule", GATES)
def test_a_lost_request_holds_the_gate_until_it_has_arrived_and_been_answered(rule: str) -> None:
    assert release_of(rule, Completion(RequestArrival.LOST)) == Release(keep=AMOUNT, late=6.2)


@pytest.mark.parametrize("rule", ["login_failures", "address_failures", "blocked"])
def test_a_lost_request_accuses_no_credentials_and_meets_no_block(rule: str) -> None:
    assert release_of(rule, Completion(RequestArrival.LOST)) == Release()


def test_each_demand_gets_its_own_release() -> None:
    found = planner().demands(LINES)
    amounts = [demand.amount for demand in found]
    assert releases(found, amounts, Completion(RequestArrival.ANSWERED, 9), 5.0, 1.2) == [
        Release(),
        Release(clear=True),
        Release(),
        Release(),
        Release(),
        Release(keep=1, fill=True),
        *[Release(keep=1)] * 5,
        Release(),
    ]
    assert releases(found, amounts, Completion(RequestArrival.LOST), 5.0, 1.2)[4] == Release(keep=5, late=5.0)
    assert releases(found, amounts, Completion(RequestArrival.UNSENT), 5.0, 1.2) == [Release()] * len(found)


def test_a_lost_list_that_the_service_has_in_part_has_as_many_bad_messages_as_it_misses() -> None:
    missing = MessageRef("+79990000001", "1"), MessageRef("+79990000002", "1")
    sent = SentMessage(id="1", reconciled=True, missing=missing)
    assert Completion.of_reconciled(sent) == Completion(RequestArrival.ANSWERED, bad=2, good=True)
    assert Completion.of_reconciled(None) == Completion(RequestArrival.LOST)
