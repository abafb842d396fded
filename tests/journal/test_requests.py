"""A job is divided so that an unresolved message does not affect the others, and the costs add up."""

from decimal import Decimal

import pytest

from smsc_async import (
    Flash,
    GetCost,
    GetListCost,
    InvalidParameters,
    InvalidPhone,
    Message,
    MessageRef,
    PlannedMessage,
    ReadTimeout,
    RecipientError,
    Send,
    SendList,
    SentMessage,
)
from smsc_async._journal.requests import cost_of, divide, operation_of, refused, results
from smsc_async._journal.rows import ChunkPlan, ChunkState, StoredChunk
from smsc_async._model.operations import is_own_id


def planned(*messages: Message, **options: object) -> list[PlannedMessage]:
    return [
        PlannedMessage.model_validate({"message": message, "row": row, **options})
        for row, message in enumerate(messages, 1)
    ]


def stored(plan: ChunkPlan) -> StoredChunk:
    return StoredChunk(1, ChunkState.PLANNED, plan.content, plan.is_list, plan.is_own_id)


def test_phones_that_may_be_rewritten_go_in_separate_requests() -> None:
    starts = "+7", "7", "8", "", "+7", "8"
    rows = planned(*(Message(f"{start}916123456{number}", "Hi") for number, start in enumerate(starts)))
    chunks = list(divide(rows, {}, 49))
    assert [[row.phone[:-10] for row in chunk.rows] for chunk in chunks] == [["+7", "7", "+7"], ["8", "", "8"]]
    assert sorted(row.row for chunk in chunks for row in chunk.rows) == list(range(1, len(rows) + 1))
    assert len({chunk.id for chunk in chunks}) == 2
    assert all(chunk.is_own_id and is_own_id(chunk.id) and chunk.is_list for chunk in chunks)


def test_a_stored_operation_is_the_same_each_time_it_is_read() -> None:
    messages = Message("+79161234567", "Hi\nthere"), Message("+79161234568", "Ho", "shop")
    (chunk,) = divide(planned(*messages), {"via": Flash(), "cost": 2}, 49)
    operation = operation_of(stored(chunk))
    assert operation == SendList(messages=messages, via=Flash(), cost=2, id=chunk.id)
    assert operation == operation_of(stored(chunk))
    assert cost_of(operation) == GetListCost(messages=messages, via=Flash())


def test_single_messages_and_those_with_an_id_get_separate_requests() -> None:
    messages = Message("+79161234567", "Hi"), Message("+79161234568", "Ho", "shop")
    chunks = list(divide(planned(*messages), {}, 1))
    assert [chunk.is_list for chunk in chunks] == [False, False]
    operation = operation_of(stored(chunks[1]))
    assert operation == Send(to=("+79161234568",), text="Ho", sender="shop", id=chunks[1].id)
    assert cost_of(operation) == GetCost(to=("+79161234568",), text="Ho")
    (own,) = divide(planned(messages[0], id="order-1"), {}, 49)
    assert (own.id, own.is_own_id, own.is_list) == ("order-1", False, False)
    assert list(divide([PlannedMessage(row=1, fault="none")], {}, 49)) == []


def test_the_shares_of_a_cost_are_proportional_to_the_parts_and_add_up() -> None:
    texts = "x", "x" * 200, "x"
    operation = SendList(messages=tuple(Message(f"+7916123456{n}", text) for n, text in enumerate(texts)))
    result = SentMessage(id=operation.id, refs=operation.refs(), cost=Decimal(10))
    found = results(operation, result)
    assert [(each.parts, each.cost) for each in found] == [(1, Decimal("2.5")), (2, Decimal(5)), (1, Decimal("2.5"))]
    three = SendList(messages=(*operation.messages[::2], Message("+79161234569", "y")))
    shares = [each.cost for each in results(three, result)]
    assert shares == [Decimal("3.3333"), Decimal("3.3334"), Decimal("3.3333")]
    assert sum(filter(None, shares)) == 10
    assert results(operation, result.model_copy(update={"cost": None}))[0].cost is None


def test_a_partly_accepted_request_has_a_result_for_each_message() -> None:
    operation = SendList(messages=tuple(Message(f"+7916123456{n}", "Hi") for n in range(3)))
    result = SentMessage(
        id="other",
        cost=Decimal(3),
        errors=(RecipientError(phone="79161234561", code=7),),
        missing=(MessageRef("+79161234562", operation.id),),
    )
    found = {each.phone: each for each in results(operation, result)}
    accepted, invalid, missing = (found[f"+7916123456{n}"] for n in range(3))
    assert (accepted.id, accepted.error, accepted.cost) == ("other", None, Decimal(3))
    assert (invalid.code, invalid.error) == (7, "a phone number is not valid; pass it in international format")
    assert (missing.code, missing.error) == (None, "the service accepted the request but not this message")


def test_a_refusal_without_a_number_is_a_failed_message_without_one() -> None:
    operation = SendList(messages=tuple(Message(f"+7916123456{n}", "Hi") for n in range(2)))
    answer = SentMessage(id=operation.id, errors=(RecipientError(phone="79161234561"),))
    failed, _ = results(operation, answer)
    words = "the service refused this message without an error number"
    assert (failed.phone, failed.code, failed.error) == ("+79161234561", None, words)


def test_each_message_of_a_refused_request_keeps_its_own_number() -> None:
    operation = SendList(messages=tuple(Message(f"+7916123456{n}", "Hi") for n in range(3)))
    errors = RecipientError(phone="79161234560", code=8), RecipientError(phone="79161234561")
    found = refused(operation, InvalidPhone("error 7: wrong", code=7, errors=errors))
    assert [each.code for each in found] == [8, 7, 7]
    assert str(found[0].error).startswith("Undeliverable: error 8: ")
    assert [each.error for each in found[1:]] == ["InvalidPhone: error 7: wrong"] * 2


def test_a_refused_request_refuses_each_of_its_messages() -> None:
    operation = Send(to=("+79161234567",), text="Hi")
    (result,) = refused(operation, InvalidParameters("error 1: wrong", code=1))
    assert (result.code, result.error, result.id) == (1, "InvalidParameters: error 1: wrong", operation.id)
    assert refused(operation, ReadTimeout("late"))[0].code is None


def test_a_planned_message_has_either_a_message_or_a_fault() -> None:
    for wrong in ({}, {"message": Message("+79161234567", "Hi"), "fault": "none"}):
        with pytest.raises(ValueError, match="a planned message needs either a message or a fault"):
            PlannedMessage.model_validate(wrong)
