"""Status answers reconcile an unresolved send only as far as they prove something."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from smsc_async import DeliveryReport, MessageNotFound, MessageRef, ReadTimeout, UnresolvedSend
from smsc_async._sending.evidence import Evidence

BEGAN = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
ANN, BOB = MessageRef("+79991234567", "a1"), MessageRef("+79991234568", "a1")
PLAIN = MessageRef("89991234569", "a1")
MAIL = MessageRef("ann@example.com", "a1")
NOT_FOUND = MessageNotFound("error 3")


def _evidence(*refs: MessageRef, own: bool = True, groups: int = 0, skew: float = 5.0) -> Evidence:
    unresolved = UnresolvedSend(id="a1", refs=refs, groups=groups, is_own_id=own, began=BEGAN, failed=BEGAN)
    return Evidence(unresolved, skew)


def _report(ref: MessageRef, **fields: object) -> DeliveryReport:
    return DeliveryReport.model_validate({"ref": ref, "status": 0, **fields})


def test_message_that_is_found_was_accepted_and_its_report_has_the_cost() -> None:
    evidence = _evidence(ANN, BOB)
    evidence.learn(ANN, _report(ANN, cost="4.50", parts=1), in_time=False)
    evidence.learn(BOB, _report(BOB, cost="9.00", parts=2), in_time=False)
    assert evidence.is_conclusive
    result = evidence.result()
    assert (result.id, result.refs, result.reconciled, result.missing) == ("a1", (ANN, BOB), True, ())
    assert (result.cost, result.sms_count) == (Decimal("13.50"), 3)


def test_cost_that_is_missing_in_one_report_is_not_guessed() -> None:
    evidence = _evidence(ANN, BOB)
    evidence.learn(ANN, _report(ANN, cost="4.50", parts=1), in_time=True)
    evidence.learn(BOB, _report(BOB), in_time=True)
    assert (evidence.result().cost, evidence.result().sms_count) == (None, None)


def test_not_found_proves_nothing_while_the_request_may_still_arrive() -> None:
    evidence = _evidence(ANN)
    evidence.learn(ANN, NOT_FOUND, in_time=False)
    assert evidence.unresolved == (ANN,)
    evidence.learn(ANN, NOT_FOUND, in_time=True)
    assert evidence.missing == (ANN,)
    assert evidence.is_conclusive


@pytest.mark.parametrize("ref", [PLAIN, MAIL, MessageRef("#12345", "a1"), MessageRef("@anna", "a1")])
def test_not_found_proves_nothing_where_the_service_may_know_the_recipient_by_another_name(ref: MessageRef) -> None:
    evidence = _evidence(ref)
    evidence.learn(ref, NOT_FOUND, in_time=True)
    assert evidence.unresolved == (ref,)
    evidence.learn(ref, _report(ref), in_time=True)
    assert evidence.accepted == (ref,)


def test_failed_status_request_proves_nothing() -> None:
    evidence = _evidence(ANN)
    evidence.learn(ANN, ReadTimeout("late"), in_time=True)
    assert evidence.unresolved == (ANN,)


@pytest.mark.parametrize(
    ("sent_at", "counts"),
    [
        (BEGAN, True),
        (BEGAN - timedelta(seconds=5), True),
        (BEGAN - timedelta(seconds=6), False),
        (BEGAN + timedelta(days=3), True),
        (None, False),
    ],
)
def test_message_with_an_id_that_may_be_reused_counts_from_the_first_attempt_on(
    sent_at: datetime | None, *, counts: bool
) -> None:
    evidence = _evidence(ANN, own=False)
    evidence.learn(ANN, _report(ANN, sent_at=sent_at), in_time=True)
    assert evidence.is_conclusive is counts
    assert evidence.unresolved == (() if counts else (ANN,))


@pytest.mark.parametrize(
    ("sent_at", "counts"),
    [(BEGAN + timedelta(hours=1), True), (BEGAN + timedelta(hours=1, seconds=1), False)],
)
def test_message_that_was_to_go_at_once_does_not_go_much_later(sent_at: datetime, *, counts: bool) -> None:
    unresolved = UnresolvedSend(id="a1", refs=(ANN,), at_once=True, began=BEGAN - timedelta(hours=2), failed=BEGAN)
    evidence = Evidence(unresolved, skew=5.0)
    evidence.learn(ANN, _report(ANN, sent_at=sent_at), in_time=True)
    assert evidence.is_conclusive is counts


def test_recipient_missing_where_another_is_found_was_refused() -> None:
    evidence = _evidence(ANN, BOB)
    evidence.learn(ANN, NOT_FOUND, in_time=True)
    evidence.learn(BOB, _report(BOB), in_time=True)
    assert (evidence.result().refs, evidence.result().missing) == ((BOB,), (ANN,))


def test_result_of_a_group_follows_from_the_other_recipients() -> None:
    assert not _evidence(groups=1).is_conclusive
    evidence = _evidence(ANN, groups=1)
    evidence.learn(ANN, NOT_FOUND, in_time=True)
    assert not evidence.is_conclusive
    evidence = _evidence(ANN, groups=1)
    evidence.learn(ANN, _report(ANN), in_time=True)
    assert evidence.is_conclusive
