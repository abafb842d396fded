"""An error that was raised is never changed: two callers may hold the same one."""

from collections.abc import Awaitable, Callable

import pytest

from smsc_async import (
    Client,
    ConnectError,
    ConnectionLost,
    Message,
    MessageRef,
    Outcome,
    ReadTimeout,
    Reply,
    SmscError,
    TooManyRequests,
)
from smsc_async._protocol.binding import Incoming
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import OTHER, PHONE
from tests.virtual import virtual_time

NOT_FOUND = answer("get_status", error="3")


async def _batch(client: Client) -> None:
    outcomes = [outcome async for outcome in client.send_batch([Message(PHONE, "Hi"), Message(OTHER, "Ho")])]
    errors = [outcome.error for outcome in outcomes]
    assert errors[0] is not errors[1]
    assert isinstance(errors[0], SmscError)
    raise errors[0]


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "send": lambda client: client.send(PHONE, "Hi"),
    "send to many": lambda client: client.send([PHONE, OTHER], "Hi"),
    "send_batch": _batch,
    "attempt 2": lambda client: client.send(PHONE, "Hi", id="a1", attempt=2),
    "status": lambda client: client.status(MessageRef(PHONE, "a1")),
}


def _state(error: BaseException) -> tuple[object, ...]:
    return dict(vars(error)), error.args, getattr(error, "outcome", None), error.__cause__


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("on_unknown", ["reconcile", "raise", "resend"])
@pytest.mark.parametrize("kind", [ConnectError, ConnectionLost, ReadTimeout, TooManyRequests])
@virtual_time
async def test_an_error_that_a_transport_raises_again_and_again_never_changes(
    kind: type[SmscError], on_unknown: str, call: str
) -> None:
    shared = kind("words")
    before = _state(shared)

    def step(request: Incoming) -> Reply:
        if request.method.startswith("send") or call == "status":
            raise shared
        return NOT_FOUND

    service = FakeService([step] * 200)
    client = make_client(service, on_unknown=on_unknown, retries=0, deadline=200)
    raised = []
    for _ in range(2):
        with pytest.raises(SmscError) as caught:
            await CALLS[call](client)
        assert caught.value is not shared
        raised.append((caught.value, _state(caught.value)))
    assert _state(shared) == before
    for error, state in raised:
        assert _state(error) == state


@virtual_time
async def test_statuses_of_equal_references_are_errors_of_their_own() -> None:
    shared = ConnectError("words")
    service = FakeService([shared, shared])
    ref = MessageRef(PHONE, "a1")
    first, second = await make_client(service, retries=0).statuses([ref, ref])
    assert isinstance(first, ConnectError)
    assert isinstance(second, ConnectError)
    assert first is not second
    assert shared not in {first, second}


@virtual_time
async def test_a_lost_answer_that_proves_to_be_not_sent_is_a_new_error_with_the_same_cause() -> None:
    lost = ReadTimeout("late")
    lost.__cause__ = OSError("why")
    with pytest.raises(ReadTimeout, match="so it was not sent") as caught:
        await make_client(FakeService([lost, NOT_FOUND, NOT_FOUND]), on_unknown="reconcile").send(PHONE, "Hi")
    assert (lost.outcome, caught.value.outcome) == (Outcome.UNKNOWN, Outcome.NOT_SENT)
    assert caught.value.__cause__ is lost.__cause__
