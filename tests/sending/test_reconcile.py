"""A send whose answer is lost is settled by its status: never sent twice, never forgotten."""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import anyio
import pytest
import trio
from trio.testing import MockClock

from smsc_async import (
    ApiError,
    AuthenticationFailed,
    Client,
    ConnectError,
    ConnectionLost,
    DuplicateSend,
    Email,
    GetBalance,
    Guards,
    Message,
    MessageRef,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    Reply,
    Send,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    SubscriberFlood,
    Timeout,
    TooManyInFlight,
    TooManyRequests,
    UnresolvedSend,
)
from smsc_async._model.operations import new_id
from smsc_async._network.httpx import HttpxTransport
from smsc_async.guards import MemoryStore, Rule, Rules
from smsc_async.sandbox import Account, Sandbox
from tests.doubles import URL, FakeService, answer, fault, make_client

T = TypeVar("T")
PHONE, OTHER = "+79991234567", "+79991234568"
BAD = "+79000009007"  # refused with error 7


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run on a clock that jumps to the next timer when all tasks wait."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


class Network:
    """A network before a sandbox whose clock is the event loop's; it does to each request what the script says.

    "ok" the answer comes; "lost" the service executes it and the answer doesn't come; "gone" it never arrives; "late"
    it arrives 4 seconds after the client has given up; "refused" no connection; "html" and "empty" the service
    executes it and a proxy answers with an error page, or PHP with nothing; "slow" it takes a tenth of a second;
    "stall" it never leaves the line, and "hang" its answer doesn't.
    """

    def __init__(self, *script: str, then: str = "ok") -> None:
        began = time.time()
        self._start: float | None = None

        def clock() -> float:
            self._start = anyio.current_time() if self._start is None else self._start
            return began + self.ahead + anyio.current_time() - self._start

        self.ahead = 0.0
        self.sandbox = Sandbox(accounts=[Account.demo()], clock=clock)
        self.script = list(script)
        self.then = then
        self.asked: list[str] = []
        self._inner = HttpxTransport(self.sandbox.transport())

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Do what is next in the script."""
        arrival = self.script.pop(0) if self.script else self.then
        self.asked.append(body.decode().partition("<ns1:")[2].partition(">")[0])
        if arrival == "refused":
            raise ConnectError("no connection could be made, nothing was sent")
        if arrival == "full":
            raise PoolTimeout("no connection became free in time, nothing was sent")
        if arrival in {"gone", "late"}:
            if arrival == "late":
                trio.lowlevel.spawn_system_task(self._arrive_late, url, headers, body, timeout)
            raise ReadTimeout("late")
        if arrival in {"stall", "slow"}:
            await anyio.sleep(math.inf if arrival == "stall" else 0.1)
        reply = await self._inner.post(url, headers, body, timeout)
        if arrival == "lost":
            raise ConnectionLost("cut")
        if arrival == "hang":
            await anyio.sleep_forever()
        return {"html": Reply(502, "text/html", b"<html>"), "empty": Reply(500, "text/html", b"")}.get(arrival, reply)

    async def _arrive_late(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> None:
        await anyio.sleep(4)
        await self._inner.post(url, headers, body, timeout)

    async def aclose(self) -> None:
        """Close nothing."""

    @property
    def accepted(self) -> int:
        """How many messages the service has."""
        return len(self.sandbox.messages)

    def client(self, **options: object) -> Client:
        """Make a client, without guards unless it is given some."""
        given: dict[str, object] = {"apikey": "demo", "url": URL, "transport": self, "guards": None, "retries": 0}
        return Client(**given | options)  # type: ignore[arg-type]


@pytest.mark.parametrize("arrival", ["lost", "html", "empty"])
def test_send_that_was_executed_is_found_and_told_as_sent(arrival: str) -> None:
    async def main() -> None:
        network = Network(arrival)
        sent = await network.client().send(PHONE, "Hi")
        assert (sent.reconciled, sent.sms_count, str(sent.cost)) == (True, 1, "4.5")
        assert (sent.ref.phone, sent.id) == (PHONE, network.sandbox.messages[0].id)
        assert (network.accepted, network.asked) == (1, ["send", "status"])
        assert anyio.current_time() == 0

    virtually(main)


def test_send_that_never_arrived_is_told_as_not_sent_when_it_can_arrive_no_more() -> None:
    async def main() -> None:
        network = Network("gone")
        with pytest.raises(ReadTimeout, match="so it was not sent") as caught:
            await network.client().send(PHONE, "Hi")
        assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
        assert anyio.current_time() == pytest.approx(5)
        assert (network.accepted, network.asked) == (0, ["send", "status", "status"])

    virtually(main)


def test_send_that_arrives_after_it_was_given_up_is_found() -> None:
    async def main() -> None:
        network = Network("late")
        assert (await network.client().send(PHONE, "Hi")).reconciled
        assert network.accepted == 1

    virtually(main)


def test_status_is_asked_again_while_the_network_fails_and_until_the_deadline_only() -> None:
    async def main() -> None:
        network = Network("lost", "gone", "refused", "html")
        assert (await network.client().send(PHONE, "Hi")).reconciled
        network = Network("lost", then="gone")
        start = anyio.current_time()
        with pytest.raises(SendOutcomeUnknown) as caught:
            await network.client().send(PHONE, "Ho", deadline=20)
        assert anyio.current_time() - start <= 20
        assert isinstance(caught.value.__cause__, ConnectionLost)
        assert (caught.value.ref.phone, caught.value.accepted, caught.value.unsent) == (PHONE, (), ())
        network.then = "ok"
        found = await network.client().resolve(caught.value)
        assert found is not None
        assert (found.refs, found.reconciled) == ((caught.value.ref,), True)

    virtually(main)


def test_send_without_a_deadline_does_not_ask_for_ever() -> None:
    async def main() -> None:
        network = Network("lost", then="gone")
        with pytest.raises(SendOutcomeUnknown):
            await network.client(deadline=None).send(PHONE, "Hi")
        assert anyio.current_time() <= 90
        assert len(network.asked) == 11  # after 0, 5, 6, 8, 12, 20, 35, 50, 65 and 80 seconds

    virtually(main)


def test_deadline_too_near_for_a_proof_leaves_the_doubt_at_once() -> None:
    async def main() -> None:
        network = Network("gone")
        with pytest.raises(SendOutcomeUnknown) as caught:
            await network.client().send(PHONE, "Hi", deadline=3)
        assert anyio.current_time() < 1
        await anyio.sleep(10)
        assert await network.client().resolve(caught.value) is None

    virtually(main)


@pytest.mark.parametrize("to", [PHONE, [PHONE, OTHER]])
def test_wrong_credentials_end_the_asking(to: str | list[str]) -> None:
    async def main() -> None:
        fake = FakeService([ReadTimeout("late"), *[answer("get_status", error="2")] * 9])
        with pytest.raises(SendOutcomeUnknown):
            await make_client(fake, on_unknown="reconcile", guards=None).send(to, "Hi")
        assert len(fake.requests) == 3

    virtually(main)


def test_raise_leaves_the_doubt_to_the_caller() -> None:
    async def main() -> None:
        network = Network("lost")
        kept: list[UnresolvedSend] = []
        client = network.client(on_unknown="raise", on_unresolved=kept.append)
        with pytest.raises(ConnectionLost) as caught:
            await client.send(PHONE, "Hi")
        assert network.asked == ["send"]
        assert caught.value.outcome is Outcome.UNKNOWN
        assert kept == [caught.value.unresolved]
        assert kept[0].began < kept[0].failed
        found = await client.resolve(UnresolvedSend.model_validate_json(kept[0].model_dump_json()))
        assert found is not None
        assert found.refs == caught.value.refs

    virtually(main)


# Repeating


def test_resend_repeats_with_the_same_id_after_the_duplicate_minute() -> None:
    async def main() -> None:
        await anyio.sleep(1000)
        network = Network("gone")
        guards = Guards()
        sent = await network.client(on_unknown="resend", guards=guards).send(PHONE, "Hi")
        assert anyio.current_time() == pytest.approx(1066.2)
        assert (sent.reconciled, network.accepted) == (False, 1)
        assert network.sandbox.counts["send_sms", 9] == 0
        assert network.asked == ["send", "status", "status", "send"]

    virtually(main)


def test_resend_settles_what_it_repeated_too() -> None:
    async def main() -> None:
        network = Network("gone", "ok", "ok", "lost")
        sent = await network.client(on_unknown="resend", deadline=200).send(PHONE, "Hi")
        assert (sent.reconciled, network.accepted) == (True, 1)

    virtually(main)


def test_resend_has_no_time_within_a_short_deadline() -> None:
    async def main() -> None:
        network = Network("gone")
        with pytest.raises(ReadTimeout) as caught:
            await network.client(on_unknown="resend").send(PHONE, "Hi", deadline=60)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert anyio.current_time() == pytest.approx(5)

    virtually(main)


def test_error_nine_to_a_repeat_is_settled_and_is_no_proof() -> None:
    async def main() -> None:
        network = Network("gone")
        client = network.client(on_unknown="resend", deadline=200)

        async def another() -> None:
            await anyio.sleep(50)
            await network.client().send(PHONE, "Hi")

        async with anyio.create_task_group() as group:
            group.start_soon(another)
            with pytest.raises(TooManyRequests) as caught:
                await client.send(PHONE, "Hi")
        assert caught.value.outcome is Outcome.REJECTED
        assert network.accepted == 1

    virtually(main)


def test_error_nine_to_a_repeat_whose_first_was_executed_after_all_is_a_sent_message() -> None:
    async def main() -> None:
        not_found = answer("get_status", error="3")
        found = answer("get_status", status="0")
        fake = FakeService([ReadTimeout("late"), not_found, not_found, answer("send_sms", error="9"), found])
        client = make_client(fake, on_unknown="resend", guards=None, deadline=200)
        assert (await client.send(PHONE, "Hi")).reconciled

    virtually(main)


def test_error_nine_to_a_first_attempt_is_raised_at_once() -> None:
    async def main() -> None:
        network = Network()
        await network.client().send(PHONE, "Hi")
        with pytest.raises(TooManyRequests):
            await network.client().send(PHONE, "Hi")
        assert network.asked == ["send", "send"]

    virtually(main)


def test_later_attempt_asks_first_and_sends_only_what_the_service_has_not() -> None:
    async def main() -> None:
        network = Network("lost", "ok", "ok", "ok", "ok")
        client = network.client(on_unknown="raise", guards=Guards())
        with pytest.raises(ConnectionLost):
            await client.send(PHONE, "Hi", id="job-1")
        sent = await client.send(PHONE, "Hi", id="job-1", attempt=2)
        assert (sent.reconciled, network.accepted) == (True, 1)
        fresh = await client.send(OTHER, "Hi", id="job-2", attempt=2)
        assert (fresh.reconciled, network.accepted) == (False, 2)
        assert network.asked == ["send", "status", "status", "status", "send"]
        assert await _is_idle(client)

    virtually(main)


def test_later_attempt_within_the_minute_is_told_when_to_come_again() -> None:
    async def main() -> None:
        network = Network("gone")
        client = network.client(on_unknown="raise", guards=Guards())
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, "Hi", id="job-1")
        with pytest.raises(DuplicateSend) as caught:
            await client.send(PHONE, "Hi", id="job-1", attempt=2)
        assert caught.value.retry_after == pytest.approx(66.2)
        await anyio.sleep(66.2)
        sent = await client.send(PHONE, "Hi", id="job-1", attempt=3)
        assert (sent.reconciled, network.accepted) == (False, 1)

    virtually(main)


@pytest.mark.parametrize("to", [PHONE, [PHONE, BAD]])
def test_later_attempt_that_is_refused_a_claim_does_not_say_that_nothing_was_sent(to: str | list[str]) -> None:
    async def main() -> None:
        network = Network("lost", "gone")
        kept: list[UnresolvedSend] = []
        client = network.client(on_unknown="raise", guards=Guards(), on_unresolved=kept.append)
        with pytest.raises(ConnectionLost):
            await client.send(to, "Hi", id="job-1")
        with pytest.raises(DuplicateSend) as caught:
            await client.send(to, "Hi", id="job-1", attempt=2)
        assert (network.accepted, caught.value.outcome) == (1, Outcome.UNKNOWN)
        assert kept[1] == caught.value.unresolved
        found = await client.resolve(caught.value)
        assert found is not None
        assert [ref.phone for ref in found.refs] == [PHONE]

    virtually(main)


def test_later_attempt_that_another_limit_refuses_before_it_could_ask_leaves_the_doubt() -> None:
    async def main() -> None:
        network = Network()
        await network.client().send(PHONE, "Hi", id="job-1")
        guards = Guards(rules=Rules(subscriber=Rule(1, 600, "raise")))
        client = network.client(guards=guards)
        await client.send(PHONE, "Ho")
        with pytest.raises(SubscriberFlood) as caught:
            await client.send(PHONE, "Hi", id="job-1", attempt=2)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert await client.resolve(caught.value) is not None
        with pytest.raises(SubscriberFlood) as caught:
            await client.send(PHONE, "Hi", id="job-2")
        assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)

    virtually(main)


def test_later_attempt_that_was_let_ask_and_not_through_has_sent_nothing() -> None:
    async def main() -> None:
        network = Network("ok", "ok", "full")
        with pytest.raises(PoolTimeout) as caught:
            await network.client(guards=Guards()).send(PHONE, "Hi", id="job-1", attempt=2)
        assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
        assert network.asked == ["status", "status", "send"]

    virtually(main)


def test_later_attempt_that_was_let_ask_and_finds_no_place_has_sent_nothing() -> None:
    async def main() -> None:
        network = Network("stall", "ok", "slow", "stall")
        client = network.client(guards=Guards(rules=Rules(in_flight=Rule(2))))

        async def take_slots() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(client.balance)
                await anyio.sleep(5.15)  # while the second status is asked for
                group.start_soon(client.balance)

        async with anyio.create_task_group() as group:
            group.start_soon(take_slots)
            await anyio.sleep(0.1)
            with pytest.raises(TooManyInFlight) as caught:
                await client.send(PHONE, "Hi", id="job-1", attempt=2, deadline=10)
            assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
            group.cancel_scope.cancel()

    virtually(main)


def test_two_workers_with_the_same_attempt_send_once() -> None:
    async def main() -> None:
        network = Network()
        store = MemoryStore()
        outcomes: list[SentMessage | SmscError] = []

        async def work(client: Client) -> None:
            try:
                outcomes.append(await client.send(PHONE, "Hi", id="job-1", attempt=2))
            except SmscError as error:
                outcomes.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(work, network.client(guards=Guards(store)))
        assert network.accepted == 1
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DuplicateSend"] * 4 + ["SentMessage"]
        # Who comes later finds it.
        assert (await network.client(guards=Guards(store)).send(PHONE, "Hi", id="job-1", attempt=2)).reconciled

    virtually(main)


def test_many_later_attempts_at_once_do_not_lock_each_other() -> None:
    async def main() -> None:
        network = Network()
        client = network.client(guards=Guards())
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(lambda n=number: client.send(PHONE, f"Hi {n}", id=f"job-{n}", attempt=2))  # type: ignore[misc]
        assert network.accepted == 30
        assert await _is_idle(client)

    virtually(main)


def test_later_attempt_that_can_not_be_settled_sends_nothing() -> None:
    async def main() -> None:
        network = Network()
        with pytest.raises(SendOutcomeUnknown) as caught:
            await network.client().send("79991234567", "Hi", id="job-1", attempt=2)
        assert (network.accepted, caught.value.ref) == (0, MessageRef("79991234567", "job-1"))
        assert network.asked == ["status", "status"]

    virtually(main)


def test_later_attempt_of_which_a_part_is_in_doubt_sends_nothing() -> None:
    async def main() -> None:
        network = Network()
        await network.client().send(PHONE, "Hi", id="job-1")
        client = network.client(guards=Guards())
        with pytest.raises(SendOutcomeUnknown) as caught:
            await client.send([PHONE, "79991234568"], "Hi", id="job-1", attempt=2)
        assert ([ref.phone for ref in caught.value.accepted], network.accepted) == ([PHONE], 1)
        assert caught.value.ref.phone == "79991234568"
        assert await _is_idle(client)

    virtually(main)


def test_later_attempt_that_loses_its_claim_between_two_tries_does_not_know_what_the_other_does() -> None:
    async def main() -> None:
        network = Network("ok", "ok", "full", "stall")
        guards = Guards()

        async def another() -> None:
            await anyio.sleep(5.05)  # the first try ends after 5 seconds, the next begins an eighth of a second later
            await network.client(guards=guards).send(PHONE, "Hi", id="job-1")

        async with anyio.create_task_group() as group:
            group.start_soon(another)
            with pytest.raises(DuplicateSend) as caught:
                await network.client(guards=guards, retries=1).send(PHONE, "Hi", id="job-1", attempt=2)
            assert caught.value.outcome is Outcome.UNKNOWN
            assert network.asked == ["status", "status", "send", "send", "status"]
            group.cancel_scope.cancel()

    virtually(main)


def test_error_nine_to_a_later_attempt_is_settled() -> None:
    async def main() -> None:
        fake = FakeService(
            [
                *[answer("get_status", error="3")] * 2,
                answer("send_sms", error="9"),
                answer("get_status", status="0", send_timestamp="2000000000"),
            ]
        )
        assert (await make_client(fake, on_unknown="raise").send(PHONE, "Hi", id="a1", attempt=2)).reconciled

    virtually(main)


@pytest.mark.parametrize(("id", "attempt"), [(None, 2), ("a1", 0)])
def test_attempt_is_a_number_and_needs_the_id_of_the_first(id: str | None, attempt: int) -> None:  # noqa: A002 - the service's own word
    async def main() -> None:
        fake = FakeService()
        with pytest.raises(ValueError, match="attempt is 1 or more"):
            await make_client(fake).send(PHONE, "Hi", id=id, attempt=attempt)
        assert fake.requests == []

    virtually(main)


def test_later_attempt_of_another_process_finds_what_the_first_has_sent() -> None:
    async def main() -> None:
        network = Network()
        await network.client(guards=Guards()).send(PHONE, "Hi", id="job-1")
        client = network.client(guards=Guards())
        assert (await client.send(PHONE, "Hi", id="job-1", attempt=2)).reconciled
        assert network.asked == ["send", "status"]
        # It has sent nothing itself, so nothing counts against the next.
        snapshot = await client.guards.snapshot()  # type: ignore[union-attr]
        assert snapshot.rules["identical_send"].keys == 0

    virtually(main)


def test_read_has_no_attempts() -> None:
    async def main() -> None:
        fake = FakeService()
        for wrong in ({"attempt": 2}, {"unique_id": True}):
            with pytest.raises(ValueError, match="attempt and unique_id are for sends"):
                await make_client(fake).call(GetBalance(), **wrong)
        assert fake.requests == []

    virtually(main)


# Whose message it is


def test_old_message_with_the_same_id_does_not_hide_a_lost_one() -> None:
    async def main() -> None:
        network = Network()
        network.ahead = -1000
        await network.client().send(PHONE, "Yesterday's", id="user-1")
        network.ahead, network.script = 0, ["gone"]
        with pytest.raises(SendOutcomeUnknown):
            await network.client().send(PHONE, "Today's", id="user-1")
        network.script = ["lost"]
        assert (await network.client().send(PHONE, "Today's!", id="user-1")).reconciled

    virtually(main)


def test_promise_that_an_id_is_unique_makes_clocks_and_times_needless() -> None:
    async def main() -> None:
        network = Network("lost", "ok", "lost")
        network.ahead = -1000
        operation = Send(to=(PHONE,), text="Hi", id="job-1")
        assert (await network.client().call(operation, unique_id=True)).reconciled
        with pytest.raises(SendOutcomeUnknown):
            await network.client().call(Send(to=(PHONE,), text="Ho", id="job-2"))

    virtually(main)


def test_old_message_that_is_scheduled_for_later_does_not_hide_a_lost_one_with_its_id() -> None:
    async def main() -> None:
        network = Network()
        network.ahead = -100_000
        await network.client().send(PHONE, "Old", id="user-1", at=_moment(time.time() + 100_000))
        network.ahead, network.script = 0, ["gone"]
        with pytest.raises(SendOutcomeUnknown):
            await network.client().send(PHONE, "New", id="user-1")
        network.script = ["lost"]
        later = _moment(time.time() + 200_000)
        assert (await network.client().send(OTHER, "New", id="user-2", at=later)).reconciled

    virtually(main)


def test_reference_is_resolved_by_the_form_of_its_id_or_by_the_time_of_the_first_attempt() -> None:
    async def main() -> None:
        network = Network()
        client = network.client()
        own = (await client.send(PHONE, "Hi")).ref
        network.ahead = -1000
        given = (await client.send(PHONE, "Ho", id="a1")).ref
        found = await client.resolve(own)
        assert found is not None
        assert found.refs == (own,)
        with pytest.raises(SendOutcomeUnknown):
            await client.resolve(given)
        message = network.sandbox.messages[1]
        since = _moment(message.accepted_at - 1)
        found = await client.resolve(given, since=since)
        assert found is not None
        assert await client.resolve(MessageRef(OTHER, new_id())) is None

    virtually(main)


def test_what_leaves_no_doubt_can_not_be_resolved() -> None:
    async def main() -> None:
        client = Network("refused").client()
        with pytest.raises(ConnectError) as caught:
            await client.send(PHONE, "Hi")
        with pytest.raises(ValueError, match="ConnectError leaves no doubt about a send: its outcome is not_sent"):
            await client.resolve(caught.value)

    virtually(main)


def test_doubt_that_is_old_enough_is_asked_for_at_once_and_once() -> None:
    async def main() -> None:
        network = Network("gone")
        kept: list[UnresolvedSend] = []
        client = network.client(on_unknown="raise", on_unresolved=kept.append)
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, "Hi")
        old = kept[0].model_copy(update={"failed": _moment(time.time() - 11)})
        assert await client.resolve(old) is None
        assert (anyio.current_time(), network.asked) == (0, ["send", "status"])

    virtually(main)


def test_old_doubt_about_a_group_alone_can_not_be_asked_about() -> None:
    async def main() -> None:
        network = Network()
        then = _moment(time.time() - 10)
        with pytest.raises(SendOutcomeUnknown):
            await network.client().resolve(UnresolvedSend(id="a1", refs=(), groups=1, began=then, failed=then))
        assert network.asked == []

    virtually(main)


def test_failure_dated_ahead_waits_its_whole_time() -> None:
    async def main() -> None:
        network = Network("gone")
        kept: list[UnresolvedSend] = []
        client = network.client(on_unknown="raise", on_unresolved=kept.append)
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, "Hi")
        ahead = kept[0].model_copy(update={"failed": _moment(time.time() + 10_000)})
        assert await client.resolve(ahead) is None
        assert anyio.current_time() == pytest.approx(5)

    virtually(main)


# Many recipients


def test_many_recipients_are_settled_each() -> None:
    async def main() -> None:
        network = Network("lost")
        sent = await network.client().send([PHONE, BAD, OTHER], "Hi")
        assert [ref.phone for ref in sent.refs] == [PHONE, OTHER]
        assert [ref.phone for ref in sent.missing] == [BAD]
        assert network.accepted == 2
        # The service might still have been at work on this one.
        assert anyio.current_time() == pytest.approx(5)

    virtually(main)


def test_many_recipients_that_are_all_found_are_settled_at_once() -> None:
    async def main() -> None:
        network = Network("lost")
        sent = await network.client().send([PHONE, OTHER, "+79991234569"], "Hi")
        assert (len(sent.refs), anyio.current_time()) == (3, 0)

    virtually(main)


def test_one_recipient_that_stays_in_doubt_does_not_end_the_asking_for_another() -> None:
    async def main() -> None:
        network = Network("gone", "ok", "ok", "html")
        with pytest.raises(SendOutcomeUnknown) as caught:
            await network.client().send(["79991234567", OTHER], "Hi")
        assert (caught.value.ref.phone, caught.value.unsent[0].phone) == ("79991234567", OTHER)

    virtually(main)


def test_first_recipient_that_was_refused_does_not_speak_for_the_others() -> None:
    async def main() -> None:
        network = Network("lost")
        sent = await network.client().send([BAD, OTHER], "Hi")
        assert [ref.phone for ref in sent.refs] == [OTHER]

    virtually(main)


def test_group_is_settled_by_the_others_and_alone_it_stays_in_doubt() -> None:
    async def main() -> None:
        network = Network("lost")
        groups = {1: ("79991110001",)}
        network.sandbox = Sandbox(accounts=[Account(login="demo", password="demo", apikey="demo", groups=groups)])
        network._inner = HttpxTransport(network.sandbox.transport())
        assert (await network.client().send([PHONE, "G1"], "Hi")).reconciled
        network.script = ["gone"]
        with pytest.raises(SendOutcomeUnknown) as caught:
            await network.client().send([OTHER, "G1"], "Ho")
        assert (caught.value.refs, len(caught.value.unsent)) == ((), 1)
        with pytest.raises(ValueError, match="0 recipients are in doubt, not one"):
            _ = caught.value.ref
        network.script = ["lost"]
        with pytest.raises(SendOutcomeUnknown):
            await network.client().send("G1", "Hm")

    virtually(main)


def test_email_is_settled_only_if_it_is_found() -> None:
    async def main() -> None:
        network = Network("lost", "ok", "gone")
        client, via = network.client(), Email(sender="shop@example.com", subject="Order")
        assert (await client.send("ann@example.com", "Hi", via=via)).reconciled
        with pytest.raises(SendOutcomeUnknown):
            await client.send("bob@example.com", "Hi", via=via)

    virtually(main)


def test_chunk_of_a_batch_is_settled_message_by_message() -> None:
    async def main() -> None:
        network = Network("lost")
        messages = [Message(phone, f"Hi {phone}") for phone in (PHONE, BAD, OTHER)]
        outcomes = [outcome async for outcome in network.client().send_batch(messages)]
        assert [outcome.ref is not None for outcome in outcomes] == [True, False, True]
        error = outcomes[1].error
        assert isinstance(error, ApiError)
        assert (error.outcome, [ref.phone for ref in error.refs]) == (Outcome.REJECTED, [BAD])

    virtually(main)


def test_partly_known_chunk_is_an_outcome_for_each_message() -> None:
    async def main() -> None:
        network = Network("gone")
        messages = [Message(PHONE, "Hi"), Message("79991234568", "Ho")]
        first, second = [outcome.error async for outcome in network.client().send_batch(messages)]
        assert isinstance(first, SendOutcomeUnknown)
        assert isinstance(second, SendOutcomeUnknown)
        assert (first.outcome, first.unresolved) == (Outcome.NOT_SENT, None)
        assert second.unresolved is not None
        assert (second.accepted, second.unsent) == ((), ())
        assert (second.outcome, second.ref, second.unresolved.refs) == (Outcome.UNKNOWN, second.refs[0], second.refs)

    virtually(main)


# Cancelling


@pytest.mark.parametrize("arrival", ["stall", "hang"])
def test_cancelled_send_propagates_at_once_and_hands_its_doubt_over(arrival: str) -> None:
    async def main() -> None:
        network = Network(arrival)
        kept: list[UnresolvedSend] = []
        client = network.client(on_unresolved=kept.append, guards=Guards())
        with anyio.move_on_after(2):
            await client.send(PHONE, "Hi")
        assert anyio.current_time() == pytest.approx(2)
        assert network.asked == ["send"]
        (unresolved,) = kept
        network.script = []
        found = await client.resolve(unresolved)
        assert (found is not None) is (arrival == "hang")
        assert network.accepted == (1 if arrival == "hang" else 0)
        assert await _is_idle(client)

    virtually(main)


def test_send_cancelled_while_it_is_settled_hands_its_doubt_over() -> None:
    async def main() -> None:
        network = Network("gone")
        kept: list[UnresolvedSend] = []
        with anyio.move_on_after(2):
            await network.client(on_unresolved=kept.append).send(PHONE, "Hi")
        (unresolved,) = kept
        assert unresolved.began < unresolved.failed

    virtually(main)


def test_later_attempt_cancelled_while_it_asks_hands_the_doubt_about_the_earlier_over() -> None:
    async def main() -> None:
        network = Network("ok", "stall")
        kept: list[UnresolvedSend] = []
        client = network.client(on_unresolved=kept.append)
        await client.send(PHONE, "Hi", id="job-1")
        with anyio.move_on_after(2):
            await client.send(PHONE, "Hi", id="job-1", attempt=2)
        (unresolved,) = kept
        assert await client.resolve(unresolved) is not None
        kept.clear()
        network.script = ["ok", "ok", "stall"]
        with anyio.move_on_after(20):
            await client.send(OTHER, "Hi", id="job-2", attempt=2)
        (unresolved,) = kept
        kept.clear()
        network = Network("ok", "ok", *["full"] * 9)
        with anyio.move_on_after(5.1):
            await network.client(on_unresolved=kept.append, retries=9).send(PHONE, "Hi", id="job-3", attempt=2)
        assert (network.asked[:3], kept) == (["status", "status", "send"], [])

    virtually(main)


def test_send_cancelled_before_it_left_or_after_it_was_disproved_leaves_no_doubt() -> None:
    async def main() -> None:
        kept: list[UnresolvedSend] = []
        network = Network("full", then="full")
        with anyio.move_on_after(0.1):
            await network.client(on_unresolved=kept.append, retries=9).send(PHONE, "Hi")
        network = Network("gone")
        with anyio.move_on_after(30):
            await network.client(on_unresolved=kept.append, on_unknown="resend").send(PHONE, "Hi")
        assert kept == []

    virtually(main)


def test_unknown_outcome_is_handed_over_and_a_known_one_is_not() -> None:
    async def main() -> None:
        kept: list[UnresolvedSend] = []
        network = Network("lost", then="gone")
        with pytest.raises(SendOutcomeUnknown) as caught:
            await network.client(on_unresolved=kept.append).send(PHONE, "Hi")
        assert kept == [caught.value.unresolved]
        network = Network("gone", "ok", "ok", "lost")
        client = network.client(on_unresolved=kept.append)
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, "Hi")
        await client.send(PHONE, "Ho")
        assert len(kept) == 1

    virtually(main)


def test_callback_that_fails_is_logged_without_what_is_private(caplog: pytest.LogCaptureFixture) -> None:
    def forget(unresolved: UnresolvedSend) -> None:
        raise LookupError(unresolved.refs)

    async def main() -> None:
        with anyio.move_on_after(2):
            await Network("stall").client(on_unresolved=forget).send(PHONE, "Hi")

    caplog.set_level(logging.DEBUG)
    virtually(main)
    assert "on_unresolved failed (LookupError)" in caplog.text
    assert PHONE not in caplog.text


def test_transport_that_raises_what_it_should_not_leaves_a_doubt() -> None:
    async def main() -> None:
        kept: list[UnresolvedSend] = []
        fake = FakeService([LookupError("no such thing")])
        with pytest.raises(LookupError):
            await make_client(fake, on_unresolved=kept.append).send(PHONE, "Hi")
        assert len(kept) == 1

    virtually(main)


def test_fault_that_proves_nothing_was_executed_leaves_no_doubt() -> None:
    async def main() -> None:
        fake = FakeService([fault("Client", "Bad Request")])
        with pytest.raises(SmscError) as caught:
            await make_client(fake, on_unknown="reconcile").send(PHONE, "Hi")
        assert (caught.value.outcome, caught.value.unresolved, len(fake.requests)) == (Outcome.REJECTED, None, 1)

    virtually(main)


def test_refusal_while_settling_does_not_pass_for_an_answer_to_the_send() -> None:
    async def main() -> None:
        fake = FakeService([ReadTimeout("late"), *[answer("get_status", error="1")] * 9])
        with pytest.raises(SendOutcomeUnknown) as caught:
            await make_client(fake, on_unknown="reconcile").send(PHONE, "Hi")
        assert not isinstance(caught.value, AuthenticationFailed)

    virtually(main)


async def _close_after(client: Client, seconds: float) -> None:
    await anyio.sleep(seconds)
    await client.aclose()


def test_client_that_is_closed_while_it_settles_leaves_the_doubt() -> None:
    async def main() -> None:
        network = Network("lost", "gone")
        client = network.client()
        async with anyio.create_task_group() as group:
            group.start_soon(_close_after, client, 3)
            with pytest.raises(SendOutcomeUnknown) as caught:
                await client.send(PHONE, "Hi")
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert await network.client().resolve(caught.value) is not None

    virtually(main)


def test_transport_that_breaks_while_one_of_many_is_settled_does_not_hide_the_doubt() -> None:
    async def main() -> None:
        found = answer("get_status", status="0")
        fake = FakeService([ReadTimeout("late"), found, found, LookupError("no such thing")])
        with pytest.raises(SendOutcomeUnknown) as caught:
            await make_client(fake, on_unknown="reconcile").send([PHONE, OTHER, BAD], "Hi")
        assert [ref.phone for ref in caught.value.accepted] == [PHONE]
        assert isinstance(caught.value.__cause__, ExceptionGroup)

    virtually(main)


def test_client_that_is_closed_while_it_settles_a_chunk_leaves_a_doubt_for_each_message() -> None:
    async def main() -> None:
        network = Network("lost", "gone")
        client = network.client()
        messages = [Message(PHONE, "Hi"), Message(OTHER, "Ho")]
        async with anyio.create_task_group() as group:
            group.start_soon(_close_after, client, 3)
            outcomes = [outcome async for outcome in client.send_batch(messages)]
        for outcome in outcomes:
            assert isinstance(outcome.error, SendOutcomeUnknown)
            assert await network.client().resolve(outcome.error) is not None

    virtually(main)


@pytest.mark.parametrize("wrong", [{"on_unknown": "retry"}, {"clock_skew": -1}, {"on_unresolved": anyio.sleep}])
def test_wrong_option_is_told(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"on_unknown is|clock_skew are|on_unresolved is called and not awaited"):
        make_client(FakeService(), **wrong)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def _is_idle(client: Client) -> bool:
    assert client.guards is not None
    snapshot = await client.guards.snapshot()
    return snapshot.waiting == 0 and all(rule.in_flight == 0 for rule in snapshot.rules.values())
