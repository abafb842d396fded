"""All jobs of many requests follow one table: what ends them, what they repeat, and what is about one message."""

from pathlib import Path

import anyio
import pytest

from smsc_async import (
    AddressBlocked,
    ApiError,
    Client,
    DeliveryReport,
    Journal,
    Message,
    Outcome,
    RowState,
    Scope,
    Send,
    SendList,
    SmscError,
    Update,
)
from smsc_async._sending.evidence import is_worth_asking_again
from smsc_async._tasks import end_of, pause_after
from tests.doubles import FakeService, make_client
from tests.errors import ERRORS
from tests.journal.conftest import no_threads, path  # noqa: F401 - fixtures
from tests.virtual import virtual_time
from tests.watching.life import ONE, REFS, take

MESSAGES = [Message(f"+7916123456{number}", f"Hi {number}") for number in range(4)]
each_error = pytest.mark.parametrize(("error", "scope"), ERRORS, ids=lambda each: type(each).__name__)


def failing(error: SmscError, *, after: int) -> FakeService:
    """Return a service whose request after some others fails; all others succeed."""
    service = FakeService()
    service.script = [*[service._happy] * after, error]
    return service


@each_error
@virtual_time
async def test_a_watch_ends_asks_again_or_reports_one_message(error: SmscError, scope: Scope) -> None:
    client = make_client(failing(error, after=2), retries=0)
    taken: list[Update] = []
    watcher = client.watch(REFS, grace=0.0)
    if scope is Scope.ALL:
        with pytest.raises(type(error)):
            await take(watcher, taken)
        assert len(watcher.unfinished) + len(taken) == len(REFS)
        assert watcher.unfinished
    else:
        await take(watcher, taken)
        errors = [type(update.error) for update in taken if update.error is not None]
        assert errors == ([type(error)] if scope is Scope.MESSAGE else [])
        assert len(taken) == len(REFS)


@each_error
async def test_a_batch_and_statuses_stop_only_at_an_error_about_all_requests(error: SmscError, scope: Scope) -> None:
    service = failing(error, after=1)
    client = make_client(service, retries=0, batch_size=1)
    outcomes = [outcome async for outcome in client.send_batch(MESSAGES, workers=1)]
    assert [outcome.error is None for outcome in outcomes] == [True, False, *[scope is not Scope.ALL] * 2]
    assert type(outcomes[1].error) is type(error)
    assert len(service.requests) == (2 if scope is Scope.ALL else 4)
    assert all(
        isinstance(each.error, SmscError) and each.error.outcome is Outcome.NOT_SENT for each in outcomes[2:]
    ) is (scope is Scope.ALL)
    service = failing(error, after=0)
    answers = await make_client(service, retries=0).statuses(REFS)
    assert [isinstance(answer, DeliveryReport) for answer in answers] == [False, *[scope is not Scope.ALL] * 4]
    assert len(service.requests) == (1 if scope is Scope.ALL else len(REFS))


@each_error
def test_only_an_error_that_may_pass_is_a_reason_to_ask_again_for_a_lost_send(error: SmscError, scope: Scope) -> None:
    assert is_worth_asking_again([error]) is (scope is Scope.MOMENT)


@each_error
def test_a_task_waits_unless_its_message_is_refused_or_somebody_has_to_act(error: SmscError, scope: Scope) -> None:
    pause = pause_after(error, 1, 61.2)
    ends = scope is Scope.MESSAGE or (scope is Scope.ALL and error.outcome is Outcome.REJECTED)
    assert (pause is None) is (ends and not isinstance(error, AddressBlocked))
    assert (end_of(ONE, error, is_young=False, is_over=False) is not None) is (scope is Scope.MESSAGE)


class Refusing:
    """A client whose second send fails."""

    def __init__(self, client: Client, error: SmscError) -> None:
        self._call = client.call
        self._error = error
        self._sends = 0
        client.call = self  # type: ignore[method-assign,assignment]

    async def __call__(self, operation: object, **options: object) -> object:
        self._sends += isinstance(operation, Send | SendList)
        if isinstance(operation, Send | SendList) and self._sends == 2:
            raise self._error
        return await self._call(operation, **options)  # type: ignore[arg-type]


@each_error
@pytest.mark.usefixtures("no_threads")
def test_a_job_stops_with_its_messages_planned_repeats_a_request_or_fails_its_messages(
    path: Path,  # noqa: F811 - a fixture
    error: SmscError,
    scope: Scope,
) -> None:
    # A lost request is reconciled whatever its error is about, and a job does not go on with a wrong URL.
    is_lost, is_refused = error.outcome is Outcome.UNKNOWN, error.outcome is Outcome.REJECTED
    stops = not is_lost and (scope is Scope.ALL or (is_refused and not isinstance(error, ApiError)))
    fails = not stops and scope is Scope.MESSAGE

    async def main() -> list[RowState]:
        client = make_client(FakeService(), retries=0)
        Refusing(client, error)
        async with Journal(path) as journal:
            await journal.plan(MESSAGES, batch_size=1)
            if stops:
                with pytest.raises(type(error)):
                    await journal.send(client, workers=1)
            else:
                await journal.send(client, workers=1)
                assert anyio.current_time() >= (getattr(error, "retry_after", None) or 0.0)
            return [row.state for row in await journal.rows()]

    second = RowState.PLANNED if stops else RowState.FAILED if fails else RowState.ACCEPTED
    others = RowState.PLANNED if stops else RowState.ACCEPTED
    assert virtual_time(main)() == [RowState.ACCEPTED, second, others, others]
