"""A job keeps the limits of the rules in force."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from smsc_async import (
    Client,
    Guards,
    GuardStoreError,
    Journal,
    Message,
    RowState,
    Rule,
    Rules,
    SmscError,
    StatusTooOften,
)
from smsc_async._model import GetStatus
from tests.doubles import FakeService, answer, make_client
from tests.journal.job_behind import Job, good
from tests.sending.lossy_service import Network
from tests.virtual import virtual_time

pytestmark = pytest.mark.usefixtures("no_threads")
MESSAGES = [Message(f"+7916123{number:04}", f"Hi {number}") for number in range(30)]


@pytest.mark.parametrize(
    ("guards", "pause"),
    [
        (None, 61.2),
        (Guards(), 61.2),
        (Guards(rules=Rules(identical_send=Rule(1, 20, "raise")), margin=2.0), 22.0),
        (Guards(rules=Rules(identical_send=Rule(1, 20, "off"))), 61.2),
    ],
)
@virtual_time
async def test_after_error_9_a_message_is_sent_again_when_its_window_is_over(
    path: Path, guards: Guards | None, pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "smsc_async")
    service = FakeService([answer("send_sms2", error="9"), *[answer("get_status", error="3")] * 3])
    client = make_client(service, guards=guards)
    async with Journal(path) as journal:
        await journal.plan(MESSAGES[:1])
        await journal.send(client)
        assert (await journal.summary()).accepted == 1
    assert pause <= anyio.current_time() < pause + 10
    assert "identical message within a minute: " in caplog.text


class Recorder:
    """Records the errors of a client's calls."""

    def __init__(self, client: Client) -> None:
        self.errors: list[SmscError] = []
        self._call = client.call
        client.call = self  # type: ignore[method-assign,assignment]

    async def __call__(self, operation: Any, **options: Any) -> object:
        try:
            return await self._call(operation, **options)
        except SmscError as error:
            self.errors.append(error)
            raise


def impatient(**rules: Any) -> Guards:
    """Return guards that refuse a request too many at once; those that wait would hide it."""
    return Guards(rules=Rules(**rules).with_policies(in_flight="raise", status_in_flight="raise"))


@pytest.mark.parametrize("in_flight", [1, 3, 14])
@virtual_time
async def test_a_job_sends_no_more_requests_at_once_than_the_rules_allow(path: Path, in_flight: int) -> None:
    service = FakeService(latency=0.1)
    client = make_client(service, guards=impatient(in_flight=Rule(in_flight)))
    await client.balance()  # proves the credentials
    calls = Recorder(client)
    async with Journal(path) as journal:
        await journal.plan(MESSAGES, batch_size=1)
        await journal.send(client, workers=8)
        assert (await journal.summary()).accepted == 30
    assert calls.errors == []
    assert service.peak == min(in_flight, 8)


@pytest.mark.parametrize(("in_flight", "status_in_flight"), [(14, 1), (14, 2), (2, 4), (1, 4)])
@virtual_time
async def test_a_job_asks_for_no_more_statuses_at_once_than_the_rules_allow(
    path: Path, in_flight: int, status_in_flight: int
) -> None:
    service = FakeService(latency=0.1)
    async with Journal(path) as journal:
        await journal.plan(MESSAGES, batch_size=5)
        service.script = [service._happy, *[answer("send_sms2", error="9")] * 5]
        with anyio.move_on_after(30):  # five requests have to be reconciled
            await journal.send(make_client(service), workers=8)
        service.script, service.peak, service.status_peak = [], 0, 0
        client = make_client(
            service, guards=impatient(in_flight=Rule(in_flight), status_in_flight=Rule(status_in_flight))
        )
        await client.balance()
        calls = Recorder(client)
        await journal.send(client, workers=8)
        assert {row.state for row in await journal.rows()} == {RowState.ACCEPTED}
    assert calls.errors == []
    assert service.status_peak == min(in_flight, status_in_flight)


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (StatusTooOften("not now", retry_after=40.0), 40.0),
        (GuardStoreError("no answer"), 5.0),
        (GuardStoreError("not now", retry_after=100.0), 100.0),
    ],
)
@virtual_time
async def test_a_job_that_is_behind_waits_when_a_status_is_refused_for_a_while(
    path: Path, error: SmscError, pause: float
) -> None:
    job = Job(path, map(good, range(6)), batch_size=2)
    await job.plan()
    client = job.network.client()
    call, errors = client.call, [error]

    async def refusing(operation: Any, **options: Any) -> object:
        if errors and isinstance(operation, GetStatus):
            raise errors.pop()
        return await call(operation, **options)

    client.call = refusing  # type: ignore[method-assign,assignment]
    await job.send(client)
    assert job.texts == job.expected
    assert errors == []
    assert anyio.current_time() >= pause


@virtual_time
async def test_an_unavailable_guard_store_stops_the_job_and_all_messages_stay_planned(path: Path) -> None:
    client = Network().client()

    async def refusing(*_: object, **__: object) -> object:
        raise GuardStoreError("no answer")

    client.call = refusing  # type: ignore[method-assign,assignment]
    async with Journal(path) as journal:
        await journal.plan(MESSAGES, batch_size=5)
        with pytest.raises(GuardStoreError):
            await journal.send(client)
        assert (await journal.summary()).planned == 30
    assert 30 < anyio.current_time() < 120
