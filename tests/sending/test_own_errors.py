"""Each recipient of a request that is refused as a whole keeps the error number that the service returned for it."""

import pickle
from pathlib import Path

import pytest

from smsc_async import (
    ApiError,
    Client,
    InsufficientFunds,
    InvalidPhone,
    Journal,
    Message,
    MessageForbidden,
    MessageRef,
    Outcome,
    RecipientError,
    RowState,
    SmscError,
    TooManyRequests,
    Undeliverable,
)
from smsc_async._model import own_errors, recipient_error
from smsc_async.sandbox import Limits, Sandbox
from tests.doubles import FakeService, answer, make_client, query_of

INVALID, DENIED, DEAD, GOOD = "+79000009007", "+79000009006", "+79000009008", "+79991234567"
OWN = {INVALID: (7, InvalidPhone), DENIED: (6, MessageForbidden), DEAD: (8, Undeliverable)}


def sandbox_client() -> Client:
    return make_client(None, apikey="demo", transport=Sandbox(limits=Limits.off()).transport())


def refusal(error: str, **codes: str | None) -> FakeService:
    """Return a service that refuses one request, and names these recipients (without the first letter) in `errors`."""
    errors = [{"phone": phone[1:], **({} if code is None else {"status": code})} for phone, code in codes.items()]
    return FakeService([lambda request: answer("send_sms2", id=str(request.fields["id"]), error=error, errors=errors)])


@pytest.mark.parametrize("first", OWN)
async def test_the_error_of_a_send_names_each_refused_recipient(first: str) -> None:
    """The whole request has one number, that of its first recipient at the sandbox."""
    people = [first, *(phone for phone in OWN if phone != first)]
    code, kind = OWN[first]
    async with sandbox_client() as client:
        with pytest.raises(kind) as raised:
            await client.send(people, "Hi")
    error = raised.value
    assert (error.code, error.outcome) == (code, Outcome.REJECTED)
    assert [(each.phone, each.code) for each in error.errors] == [(phone[1:], OWN[phone][0]) for phone in people]
    assert all(phone[1:] not in f"{error!s} {error!r} {error.errors!r}" for phone in people)
    assert pickle.loads(pickle.dumps(error)).errors == error.errors  # noqa: S301 - our own bytes


@pytest.mark.parametrize("first", OWN)
async def test_each_message_of_a_batch_has_its_own_exception(first: str) -> None:
    people = [first, *(phone for phone in OWN if phone != first)]
    messages = [Message(phone, "Hi") for phone in people]
    async with sandbox_client() as client:
        outcomes = [outcome async for outcome in client.send_batch(messages)]
    for outcome, phone in zip(outcomes, people, strict=True):
        code, kind = OWN[phone]
        error = outcome.error
        assert type(error) is kind
        assert (error.code, error.outcome, [each.code for each in error.errors]) == (code, Outcome.REJECTED, [code])
        assert error.refs == (MessageRef(phone, str(error.id)),)
        assert outcome.ref is None
        assert outcome.sent is None


async def test_each_row_of_a_job_has_its_own_code(tmp_path: Path) -> None:
    async with Journal(tmp_path / "job.db") as journal, sandbox_client() as client:
        await journal.plan([Message(phone, "Hi") for phone in OWN])
        await journal.send(client)
        rows = await journal.rows()
    assert [(row.state, row.code) for row in rows] == [(RowState.FAILED, code) for code, _ in OWN.values()]
    for row, (code, kind) in zip(rows, OWN.values(), strict=True):
        assert str(row.error).startswith(f"{kind.__name__}: error {code}: ")


async def test_a_recipient_without_a_code_has_the_number_of_the_request() -> None:
    service = refusal("7", x79991234567=None, x79991234568="8")
    messages = [Message(f"+7999123456{number}", "Hi") for number in (7, 8, 9)]
    async with make_client(service) as client:
        outcomes = [outcome async for outcome in client.send_batch(messages)]
    assert [type(outcome.error) for outcome in outcomes] == [InvalidPhone, Undeliverable, InvalidPhone]
    listed = [getattr(outcome.error, "errors", None) for outcome in outcomes]
    assert listed == [
        (RecipientError(phone="79991234567"),),
        (RecipientError(phone="79991234568", code=8),),
        (),
    ]


async def test_a_recipient_without_a_code_in_an_accepted_send_is_refused_without_one() -> None:
    errors = [{"phone": "79991234568"}]
    service = FakeService(
        [lambda request: answer("send_sms2", id=str(request.fields["id"]), cnt="1", errors=errors)] * 2
    )
    messages = [Message(GOOD, "Hi"), Message("+79991234568", "Hi")]
    async with make_client(service) as client:
        sent = await client.send([each.phone for each in messages], "Hi")
        assert [ref.phone for ref in sent.refs] == [GOOD]
        assert [(each.phone, each.code) for each in sent.errors] == [("79991234568", None)]
        good, bad = [outcome async for outcome in client.send_batch(messages)]
    assert good.error is None
    assert type(bad.error) is ApiError
    assert (bad.error.code, str(bad.error)) == (0, "the service refused this recipient without an error number")


async def test_no_money_for_some_leaves_the_others_their_own_number() -> None:
    service = refusal("3", x79991234568="7")
    messages = [Message(f"+7999123456{number}", "Hi") for number in (7, 8)]
    async with make_client(service) as client:
        outcomes = [outcome async for outcome in client.send_batch(messages)]
    assert [type(outcome.error) for outcome in outcomes] == [InsufficientFunds, InvalidPhone]


async def test_a_list_of_refusals_is_requested_unless_it_is_turned_off() -> None:
    service = FakeService()
    async with make_client(service) as client:
        await client.send([GOOD, INVALID], "Hi")
        await client.send([GOOD, INVALID], "Hi", err=False)
    assert [query_of(request).get("err") for request in service.requests[:1]] == ["1"]
    assert "err=1" not in str(service.requests[1].fields.get("query"))


def test_a_refusal_changes_nothing_where_the_request_may_have_been_executed() -> None:
    errors = (RecipientError(phone=GOOD, code=7),)
    unknown = TooManyRequests("error 9", code=9, errors=errors).replace(outcome=Outcome.UNKNOWN)
    (own,) = own_errors(unknown, [GOOD])
    assert (type(own), own.outcome) == (TooManyRequests, Outcome.UNKNOWN)
    lost = SmscError("lost")
    (other,) = own_errors(lost, [GOOD])
    assert type(other) is SmscError
    assert other is not lost


@pytest.mark.parametrize("code", [6, 7, 8, 77])
def test_an_exception_of_a_recipient_holds_its_refusal(code: int) -> None:
    refusal = RecipientError(phone=GOOD, code=code)
    assert (recipient_error(refusal).code, recipient_error(refusal).errors) == (code, (refusal,))
