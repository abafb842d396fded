"""A stream of messages becomes requests of a limited size, none with one recipient twice, and one outcome each."""

from datetime import UTC, datetime

import pytest

from smsc_async import (
    AddressBlocked,
    AuthenticationFailed,
    BreakerOpen,
    ClientClosed,
    Email,
    GetCost,
    GetListCost,
    GuardError,
    HTTPStatusError,
    InsufficientFunds,
    InvalidPhone,
    LocalTime,
    Message,
    MessageRef,
    Outcome,
    ReadTimeout,
    RecipientError,
    Send,
    SendList,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    SoapFault,
    Undeliverable,
    UnresolvedSend,
    WrongEventLoop,
)
from smsc_async._sending.chunks import Chunk, Chunker, failed, left_out, sent, to_cost, to_send
from smsc_async._sending.divider import Divider


def _messages(count: int, first: int = 0) -> list[Message]:
    return [Message(f"+7999{number:07d}", f"text {number}") for number in range(first, first + count)]


def _divided(messages: list[Message], size: int = 50) -> list[Chunk]:
    chunker = Chunker(size)
    return [chunk for message in messages for chunk in chunker.add(message)] + chunker.rest()


def test_chunks_are_full_but_for_the_last() -> None:
    messages = _messages(120)
    chunks = _divided(messages)
    assert [len(chunk.messages) for chunk in chunks] == [50, 50, 20]
    assert [message for chunk in chunks for message in chunk.messages] == messages


def test_full_chunk_is_returned_at_once() -> None:
    chunker = Chunker(2)
    assert [len(chunker.add(message)) for message in _messages(5)] == [0, 1, 0, 1, 0]


def test_no_messages_make_no_chunk() -> None:
    assert _divided([]) == []


@pytest.mark.parametrize("spelling", ["+79990000001", "79990000001", "89990000001"])
def test_same_phone_is_never_twice_in_one_chunk(spelling: str) -> None:
    messages = [*_messages(3), Message(spelling, "again"), *_messages(2, first=3)]
    chunks = _divided(messages)
    assert [len(chunk.messages) for chunk in chunks] == [3, 3]
    assert [message for chunk in chunks for message in chunk.messages] == messages


def test_same_phone_in_a_chunk_of_one_keeps_both() -> None:
    message = _messages(1)[0]
    assert _divided([message, message], size=1) == [Chunk((message,)), Chunk((message,))]


@pytest.mark.parametrize("text", [r"C:\new", "a|b", "cr\r\nlf", " blank"])
def test_text_that_a_line_can_not_carry_is_a_chunk_of_its_own_in_order(text: str) -> None:
    before, after = _messages(2)
    alone = Message("+79991112233", text)
    assert _divided([before, alone, after]) == [Chunk((before,)), Chunk((alone,), is_list=False), Chunk((after,))]


def _requests(messages: list[Message], options: dict[str, object], size: int = 50) -> list[list[str] | ValueError]:
    divider = Divider(size, to_send, options)
    requests = [each for message in messages for each in divider.add(message)] + divider.rest()
    return [
        each.made if isinstance(each.made, ValueError) else [ref.phone for ref in each.operation().refs()]
        for each in requests
    ]


def test_a_message_that_contradicts_the_arguments_has_a_request_of_its_own_in_order() -> None:
    wrong = Message("a@example.com", "no SMS")
    phones = [message.phone for message in _messages(5)]
    given = [*_messages(2), wrong, *_messages(2, 2), wrong, *_messages(1, 4)]
    first, error, second, other, third = _requests(given, {})
    assert [first, second, third] == [phones[:2], phones[2:4], phones[4:]]
    assert isinstance(error, ValueError)
    assert isinstance(other, ValueError)
    assert error.__traceback__ is None  # its frames hold the messages


def test_a_contradiction_of_all_messages_is_the_error_of_each() -> None:
    requests = _requests(_messages(3), {"via": Email(sender="a@b.c", subject="s")}, 2)
    assert [type(each) for each in requests] == [ValueError] * 3


def test_an_operation_that_cant_be_made_is_raised_when_it_is_needed() -> None:
    divider = Divider(1, to_send, {})
    (request,) = divider.add(Message("a@example.com", "no SMS"))
    with pytest.raises(ValueError, match="a phone in international format"):
        request.operation()


def test_operation_of_a_list_and_of_a_single_message() -> None:
    message = Message("+79991234567", "a|b", tz=2)
    when = LocalTime(datetime(2026, 1, 2, 3, 4))  # noqa: DTZ001 - a wall clock time
    options = {"sender": "shop", "at": when, "valid": 3}
    many = to_send(Chunk(tuple(_messages(2))), options)
    assert isinstance(many, SendList)
    assert (many.sender, many.at, many.valid) == ("shop", when, "3")
    one = to_send(Chunk((message,), is_list=False), options)
    assert isinstance(one, Send)
    assert (one.to, one.text, one.sender, one.tz, one.at) == (("+79991234567",), "a|b", "shop", 2, when)
    own = to_send(Chunk((Message("+79991234567", "a|b", "mine"),), is_list=False), options)
    assert own.sender == "mine"


def test_costs_are_requested_for_the_same_chunks() -> None:
    assert isinstance(to_cost(Chunk(tuple(_messages(2))), {}), GetListCost)
    one = to_cost(Chunk((Message("+79991234567", "a|b", "mine"),), is_list=False), {"valid": 3})
    assert isinstance(one, GetCost)
    assert (one.to, one.text, one.valid) == (("+79991234567",), "a|b", "3")


def test_refused_recipients_get_the_error_of_their_own() -> None:
    messages = _messages(3)
    chunk = Chunk(tuple(messages))
    errors = (RecipientError(phone="79990000001", code=8), RecipientError(phone="79990000002", code=77))
    result = SentMessage(id="a1", sms_count=1, errors=errors)
    first, second, third = sent(chunk, result)
    assert (first.message, first.ref, first.error, first.sent) == (
        messages[0],
        MessageRef("+79990000000", "a1"),
        None,
        result,
    )
    assert second.ref is None
    assert isinstance(second.error, Undeliverable)
    assert (second.error.id, second.error.refs) == ("a1", (MessageRef("+79990000001", "a1"),))
    assert getattr(third.error, "code", None) == 77


def test_error_of_a_request_is_an_error_for_each_message_with_its_own_reference() -> None:
    chunk = Chunk(tuple(_messages(2)))
    cause = HTTPStatusError("HTTP 502", status_code=502).replace(
        id="a1", refs=tuple(MessageRef(message.phone, "a1") for message in chunk.messages)
    )
    cause.__cause__ = OSError("why")
    outcomes = failed(chunk, cause)
    for outcome in outcomes:
        error = outcome.error
        assert isinstance(error, HTTPStatusError)
        assert (str(error), error.status_code, error.outcome, error.id) == ("HTTP 502", 502, Outcome.UNKNOWN, "a1")
        assert error.refs == (MessageRef(outcome.message.phone, "a1"),)
        assert error.__cause__ is cause.__cause__
    assert outcomes[0].error is not outcomes[1].error
    assert len(cause.refs) == 2


@pytest.mark.parametrize(
    "error",
    [
        SoapFault("Client: no", fault_code="Client", fault_string="no"),
        HTTPStatusError("HTTP 404", status_code=404),
        InvalidPhone("error 7", code=7),
        GuardError("not now", retry_after=3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_copies_of_an_error_have_all_its_attributes(error: SoapFault) -> None:
    (outcome,) = failed(Chunk(tuple(_messages(1))), error)
    assert type(outcome.error) is type(error)
    assert vars(outcome.error) == vars(error)
    assert outcome.error is not error
    assert getattr(outcome.error, "outcome", None) is error.outcome


def test_wrong_argument_is_an_error_for_each_message() -> None:
    chunk = Chunk(tuple(_messages(2)))
    with pytest.raises(ValueError, match="Email needs") as caught:
        to_send(chunk, {"via": Email(sender="a@b.c", subject="s")})
    for outcome in failed(chunk, caught.value):
        assert isinstance(outcome.error, ValueError)
        assert str(outcome.error) == str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AuthenticationFailed("no", code=2), BreakerOpen),
        (InsufficientFunds("no", code=3), BreakerOpen),
        (AddressBlocked("no", code=4), BreakerOpen),
        (BreakerOpen("no", retry_after=600.0), BreakerOpen),
        (ClientClosed("no").replace(outcome=Outcome.UNKNOWN, id="a1"), ClientClosed),
        (WrongEventLoop("no"), WrongEventLoop),
    ],
)
def test_an_error_that_every_request_would_get_is_why_the_rest_is_not_sent(
    error: SmscError, kind: type[SmscError]
) -> None:
    rest = left_out(error)
    assert type(rest) is kind
    assert str(rest).startswith("not sent, because an earlier request of this job failed")
    assert type(error).__name__ in str(rest)
    assert (rest.outcome, rest.id, rest.unresolved) == (Outcome.NOT_SENT, None, None)
    assert getattr(rest, "retry_after", None) == getattr(error, "retry_after", None)


@pytest.mark.parametrize("error", [InvalidPhone("no", code=7), ReadTimeout("late"), ValueError("no")])
def test_another_error_does_not_stop_the_rest(error: Exception) -> None:
    assert left_out(error) is None


def test_zone_of_a_message_alone_needs_a_local_time_as_in_a_list() -> None:
    alone = Chunk((Message("+79991234567", "a | b", tz=2),), is_list=False)
    with pytest.raises(ValueError, match="LocalTime"):
        to_send(alone, {})
    when = LocalTime(datetime(2026, 1, 2, 3, 4))  # noqa: DTZ001 - a wall clock time
    assert to_send(alone, {"at": when}).parameters()["tz"] == "2"


def test_partly_known_request_is_an_outcome_for_each_message() -> None:
    accepted, unresolved, refused = (MessageRef(f"+7999000000{number}", "a1") for number in range(3))
    now = datetime(2026, 11, 25, tzinfo=UTC)
    error = SendOutcomeUnknown("the outcome is unknown", accepted=[accepted], unsent=[refused]).replace(
        id="a1",
        refs=(unresolved,),
        unresolved=UnresolvedSend(id="a1", refs=(accepted, unresolved, refused), began=now, failed=now),
    )
    first, second, third = failed(Chunk(tuple(_messages(3))), error)
    assert (first.ref, first.error) == (accepted, None)
    assert isinstance(second.error, SendOutcomeUnknown)
    assert second.error.unresolved is not None
    assert (second.error.outcome, second.error.ref, second.error.unresolved.refs) == (
        Outcome.UNKNOWN,
        unresolved,
        (unresolved,),
    )
    assert isinstance(third.error, SendOutcomeUnknown)
    assert (third.error.outcome, third.error.unresolved, third.error.refs) == (Outcome.REJECTED, None, (refused,))
