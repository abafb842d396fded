"""An error report with all variables holds no credential, no phone and no text."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from pydantic import SecretStr

from smsc_async import ConnectionLost, Message, Reply, SmscError, Timeout, Unfinished
from smsc_async.sync import Client
from tests.doubles import FakeService, answer
from tests.faults.fault_frames import APIKEY, PHONE, PHONE_2, REF, TEXT, UNRESOLVED, found_in

QUICK: Final[dict[str, Any]] = {"retries": 0, "on_unknown": "raise", "guards": None}


def _watch(client: Client) -> None:
    old = datetime.now(UTC) - timedelta(hours=1)
    with client.watch(Unfinished(ref=REF, since=old), grace=0) as updates:
        _raise_first(updates)


def _messages() -> Iterator[Message]:
    yield Message(PHONE, TEXT)
    yield Message(PHONE_2, TEXT)


def _raise_first(outcomes: Iterable[Any]) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


CALLS: Final[dict[str, Callable[[Client], object]]] = {
    "send": lambda client: client.send(PHONE, TEXT, extra={"x": TEXT}),
    "send with a wrong argument": lambda client: client.send(PHONE, TEXT, id="?"),
    "send with a wrong name": lambda client: client.send(PHONE, TEXT, words=TEXT),  # type: ignore[call-arg]
    "send to an iterator": lambda client: client.send(iter([PHONE, PHONE_2]), TEXT),
    "cost": lambda client: client.cost(PHONE, TEXT),
    "status": lambda client: client.status(REF),
    "balance": lambda client: client.balance(),
    "batch": lambda client: _raise_first(client.send_batch(_messages())),
    "cost of a batch": lambda client: _raise_first(client.cost_batch(_messages())),
    "watch with a wrong argument": lambda client: client.watch(REF, grace=-1, timeout=TEXT),  # type: ignore[arg-type]
    "resolve": lambda client: client.resolve(UNRESOLVED, deadline=0.05),
    "notify": lambda client: client.notify(TEXT),  # type: ignore[arg-type]
}


FAILURES: Final = [
    ConnectionLost("gone"),
    answer("send_sms", error="6"),
    Reply(200, "text/html", TEXT.encode()),
]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", CALLS)
def test_an_error_report_holds_nothing_private(name: str, failure: Any) -> None:
    service = FakeService([failure] * 9)
    with Client(apikey=APIKEY, transport=service, timeout=Timeout(read=1), deadline=2.0, **QUICK) as client:
        with pytest.raises((SmscError, ValueError, TimeoutError, TypeError)) as caught:
            CALLS[name](client)
        assert found_in(caught.value) == []


def test_an_error_report_of_a_watch_holds_nothing_private() -> None:
    with Client(apikey=APIKEY, transport=FakeService([answer("get_status", error="2")] * 2)) as client:
        with pytest.raises(SmscError) as caught:
            _watch(client)
        assert found_in(caught.value) == []


def test_a_client_that_is_closed_or_was_made_with_wrong_arguments_shows_nothing_private() -> None:
    client = Client(apikey=APIKEY, transport=FakeService())
    client.close()
    with pytest.raises(SmscError) as closed:
        client.send(PHONE, TEXT)
    with pytest.raises(ValueError, match="retries") as wrong:
        Client(login=SecretStr(APIKEY), password=APIKEY, retries=-1)
    assert [found_in(closed.value), found_in(wrong.value)] == [[], []]
