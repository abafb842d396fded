"""For every fault of the network at any byte, no message is sent twice and no answer of the client is wrong.

`benchmarks/faults.py` tries all of them; the slow tests have some of the faults at each byte of a send, and the rest
is a sample.
"""

import math
from collections import Counter
from itertools import product

import pytest

from tests.faults.fault_cancel import SITUATIONS, cancel_at_each_await
from tests.faults.fault_cases import (
    LATE,
    ODD_ANSWERS,
    READS,
    SENDS,
    VERBS,
    OnUnknown,
    Summary,
    Verb,
    cases,
    odd_answers,
    try_cases,
)
from tests.faults.fault_network import Fault, Kind
from tests.faults.fault_setup import try_setups
from tests.faults.fault_sockets import TRANSPORTS, try_over_sockets

pytestmark = pytest.mark.filterwarnings(
    # httpx leaves the body of a request half-read when writing fails, and trio warns about it.
    "ignore:Async generator 'httpx:ResourceWarning"
)
MAYBE_LATE = (None, 0.0, LATE / 2, LATE - 0.1)


def assert_right(summary: Summary, at_least: int) -> Counter[str]:
    assert summary.wrong == []
    assert summary.doubled == 0
    assert summary.cases >= at_least
    return summary.said


@pytest.mark.parametrize(("step", "at_least"), [(29, 200), pytest.param(4, 1500, marks=pytest.mark.slow)])
def test_no_fault_at_any_byte_of_a_send_makes_it_twice_or_its_answer_wrong(step: int, at_least: int) -> None:
    said = assert_right(try_cases(cases("send", step=step)), at_least)
    assert said.keys() == {"accepted", "NOT_SENT", "REJECTED"}  # all lost sends were reconciled by their status


@pytest.mark.slow
@pytest.mark.parametrize(("step", "at_least"), [(61, 100), pytest.param(29, 200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("verb", SENDS[1:])
def test_no_fault_makes_a_message_of_many_twice_or_its_outcome_wrong(verb: Verb, step: int, at_least: int) -> None:
    said = assert_right(try_cases(cases(verb, step=step)), at_least)
    assert said.keys() == {"accepted", "NOT_SENT", "REJECTED"}


@pytest.mark.slow
@pytest.mark.parametrize(("step", "at_least"), [(61, 90), pytest.param(29, 180, marks=pytest.mark.slow)])
@pytest.mark.parametrize("verb", READS)
def test_no_fault_makes_a_read_return_a_wrong_value(verb: Verb, step: int, at_least: int) -> None:
    said = assert_right(try_cases(cases(verb, step=step)), at_least)
    assert said["right"] > said["UNKNOWN"]


@pytest.mark.slow
@pytest.mark.parametrize("verb", SENDS)
@pytest.mark.parametrize("on_unknown", ["reconcile", "raise", "resend"])
def test_lost_request_that_arrives_late_is_told_apart_from_one_that_is_lost(verb: Verb, on_unknown: OnUnknown) -> None:
    said = assert_right(try_cases(cases(verb, on_unknown, step=71, late=MAYBE_LATE)), 80)
    assert ("UNKNOWN" in said) == (on_unknown == "raise")
    assert ("NOT_SENT" in said) == (on_unknown == "reconcile")


@pytest.mark.slow
@pytest.mark.parametrize("verb", SENDS)
@pytest.mark.parametrize("on_unknown", ["reconcile", "resend"])
@pytest.mark.parametrize("lasts", [20.0, math.inf])
def test_unresolved_send_that_a_broken_network_leaves_resolves_to_the_truth_when_it_heals(
    verb: Verb, on_unknown: OnUnknown, lasts: float
) -> None:
    said = assert_right(try_cases(cases(verb, on_unknown, step=199, late=MAYBE_LATE, lasts=lasts)), 30)
    assert ("UNKNOWN" in said) == math.isinf(lasts)


@pytest.mark.slow
@pytest.mark.parametrize("verb", READS)
@pytest.mark.parametrize("lasts", [20.0, math.inf])
def test_no_broken_network_makes_a_read_return_a_wrong_value(verb: Verb, lasts: float) -> None:
    assert_right(try_cases(cases(verb, step=199, late=(None, 1.0), lasts=lasts)), 30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "situation"),
    [
        *product(["send"], SITUATIONS),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in product(SENDS[1:], SITUATIONS[3:6])),
    ],
    ids=str,
)
def test_send_cancelled_at_any_await_leaves_an_unresolved_send_that_resolves_to_the_truth(
    verb: Verb, situation: Fault | None
) -> None:
    said = assert_right(cancel_at_each_await(verb, situation), 5)
    assert said["cancelled, unresolved"]


ODD = [(verb, kind) for verb, kind in product(VERBS, ODD_ANSWERS.values()) if kind is not Kind.FOREIGN or verb in SENDS]


@pytest.mark.parametrize(("step", "at_least"), [(23, 10), pytest.param(5, 50, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("verb", "kind"), ODD)
def test_no_answer_of_another_request_is_taken_for_this_ones(verb: Verb, kind: Kind, step: int, at_least: int) -> None:
    said = assert_right(try_cases(odd_answers(verb, kind, step=step)), at_least)
    expected = {"accepted"} if verb == "send" else {"accepted", "REJECTED"}  # one of many is refused
    assert said.keys() == (expected if verb in SENDS else {"right"})


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("verb", "kind"), ODD)
def test_no_answer_of_another_request_on_a_real_socket_is_taken_for_this_ones(
    transport: object, verb: Verb, kind: Kind
) -> None:
    assert_right(try_over_sockets(odd_answers(verb, kind, step=29), transport), 8)


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_fault_on_a_real_socket_makes_a_send_twice_or_its_answer_wrong(transport: object) -> None:
    said = assert_right(try_over_sockets(cases("send", step=16, late=(None, 0.05)), transport), 350)
    assert {"accepted", "NOT_SENT", "REJECTED"} <= said.keys()


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("verb", ["send_batch", *READS])
def test_no_fault_on_a_real_socket_makes_another_call_wrong(transport: object, verb: Verb) -> None:
    assert_right(try_over_sockets(cases(verb, step=96, late=(None, 0.05)), transport), 50)


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_wrong_set_up_is_taken_for_a_lost_request_and_a_mended_one_sends_once(transport: object) -> None:
    assert_right(try_setups(transport), 200)


def test_judge_catches_a_request_that_arrives_later_than_the_client_waits() -> None:
    summary = try_cases(cases("send", step=97, late=(LATE + 3,)))
    assert len(summary.wrong) > 10
    assert "said to be not_sent" in summary.wrong[0]
