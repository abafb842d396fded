"""What an operator sees and changes of the guards in Redis: what is closed, resets, and the pause of all sends."""

import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from smsc_async import ApiKey, Client, GetBalance, Guards, Message, Outcome, Rule, Rules, SendingPaused
from smsc_async.guards import Completion, Identity, Pause, RedisAdmin, RedisStore, RuleReport
from smsc_async.guards._demands import RequestArrival
from smsc_async.guards._limits import BlockLimit, Release, WindowLimit
from smsc_async.guards._redis import admin as _admin
from smsc_async.sandbox import Sandbox
from tests.guards.redis_store import GATE, KEPT, SECRET, on, refused, release, take
from tests.redis_server import RedisServer

PHONE = "+79991234567"
WHY = "incident 4711"
OFF: dict[str, Any] = dict.fromkeys(Rules.__dataclass_fields__, "off")


@pytest.fixture
async def admin(raw: Redis, prefix: str) -> RedisAdmin:
    return RedisAdmin(raw, prefix=prefix)


@pytest.fixture
async def connect(server: RedisServer, prefix: str) -> AsyncIterator[Callable[..., Client]]:
    """Create clients of one sandbox that share the guards in Redis."""
    made: list[Client] = []

    def make(sandbox: Sandbox, *, batch_size: int = 100, **options: Any) -> Client:
        guards = Guards(RedisStore.from_url(server.url, prefix=prefix), **options)
        made.append(Client(apikey="demo", transport=sandbox.transport(), guards=guards, batch_size=batch_size))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


async def rules(admin: RedisAdmin) -> dict[str, RuleReport]:
    return {each.rule: each for each in (await admin.report()).rules}


# --- the pause
async def test_no_send_leaves_while_sending_is_paused_and_the_error_says_since_when_and_why(
    admin: RedisAdmin, connect: Callable[..., Client]
) -> None:
    sandbox = Sandbox()
    client = connect(sandbox)
    pause = await admin.pause(WHY)
    assert pause.since is not None
    assert abs(datetime.now(UTC) - pause.since) < timedelta(seconds=30)
    with pytest.raises(SendingPaused, match=f"paused since {pause.since:%Y-%m-%d %H:%M:%S} UTC: {WHY}") as caught:
        await client.send(PHONE, "Hi")
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.NOT_SENT, None)
    assert sandbox.messages == ()
    assert await admin.resume() == pause
    assert await admin.resume() is None
    await client.send(PHONE, "Hi")  # the refused one counts nowhere
    assert len(sandbox.messages) == 1


async def test_pause_stops_every_kind_of_send(admin: RedisAdmin, connect: Callable[..., Client]) -> None:
    sandbox = Sandbox()
    client = connect(sandbox)
    await client.balance()
    await admin.pause(WHY)
    for sending in (
        client.send([PHONE, "+79991234568"], "Hi"),
        client.send(PHONE, "Hi", allow_duplicate=True),
        client.send(PHONE, "Hi", id="order-7", attempt=2),  # after a look at its status
    ):
        with pytest.raises(SendingPaused):
            await sending
    with pytest.raises(SendingPaused):
        _ = [each async for each in client.send_batch([Message(PHONE, "Hi")])]
    assert sandbox.messages == ()


async def test_batch_that_was_under_way_reports_its_unsent_rest(
    admin: RedisAdmin, connect: Callable[..., Client]
) -> None:
    sandbox = Sandbox()
    batch = connect(sandbox, batch_size=1).send_batch(Message(f"+7999123456{number}", "Hi") for number in range(3))
    outcomes = [await anext(batch)]
    await admin.pause(WHY)
    outcomes += [each async for each in batch]
    assert [type(each.error) for each in outcomes] == [type(None), SendingPaused, SendingPaused]
    assert len(sandbox.messages) == 1


async def test_pause_holds_for_clients_without_rules(admin: RedisAdmin, connect: Callable[..., Client]) -> None:
    sandbox = Sandbox()
    client = connect(sandbox, rules=Rules().with_policies(**OFF))
    await admin.pause(WHY)
    with pytest.raises(SendingPaused):
        await client.send(PHONE, "Hi")
    await admin.resume()
    await client.send(PHONE, "Hi")
    assert len(sandbox.messages) == 1


async def test_reads_go_on_while_sending_is_paused(admin: RedisAdmin, connect: Callable[..., Client]) -> None:
    client = connect(Sandbox())
    sent = await client.send(PHONE, "Hi")
    await admin.pause(WHY)
    await client.balance()
    await client.status(sent.ref)
    await client.cost(PHONE, "Hi")


async def test_send_that_waits_for_a_slot_does_not_leave_once_sending_is_paused(
    admin: RedisAdmin, connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox()
    client, waiting = connect(sandbox, rules=Rules(in_flight=Rule(1))), anyio.Event()
    guards = client.guards
    assert guards is not None
    pause = guards._store.pause

    def note(delay: float, tries: int) -> float:
        waiting.set()
        return pause(delay, tries)

    monkeypatch.setattr(guards._store, "pause", note)
    who = Identity(ApiKey.model_validate({"key": "demo"}))
    held = await guards.reserve(who, GetBalance(), within=30)
    async with anyio.create_task_group() as group:

        async def send() -> None:
            with pytest.raises(SendingPaused):
                await client.send(PHONE, "Hi")

        group.start_soon(send)
        await waiting.wait()
        await admin.pause(WHY)
    guards.release(held, Completion(RequestArrival.UNSENT))
    assert sandbox.messages == ()


async def test_pause_keeps_its_start_when_its_reason_changes(admin: RedisAdmin) -> None:
    first = await admin.pause(WHY)
    second = await admin.pause("  another reason\n")
    assert second == Pause(first.since, "another reason")
    assert await admin.paused() == second
    assert (await admin.report()).paused == second


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "two\nlines", "a\x1b[31mcolour", "\udc80"])
async def test_a_pause_needs_one_line_that_says_why(admin: RedisAdmin, reason: str) -> None:
    with pytest.raises(ValueError, match="one line of 1 to 200 printable characters"):
        await admin.pause(reason)
    assert await admin.paused() is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1", "no reason was given"),
        ("", "no reason was given"),
        ("because", "because"),
        ("99999999999999999999999 x", "99999999999999999999999 x"),
        ("x\x1b[31m\ny", "x [31m y"),
    ],
)
async def test_a_pause_that_another_program_wrote_is_a_pause_too(
    admin: RedisAdmin, connect: Callable[..., Client], raw: Redis, value: str, words: str
) -> None:
    await raw.set(admin._pause_key, value)
    paused = await admin.paused()
    assert paused is not None
    assert paused.reason == words
    with pytest.raises(SendingPaused, match="sending is paused"):
        await connect(Sandbox()).send(PHONE, "Hi")


async def test_pause_lasts_and_is_logged(
    admin: RedisAdmin, raw: Redis, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "smsc_async"):
        pause = await admin.pause(WHY)
        assert await raw.ttl(admin._pause_key) == -1
        await admin.resume()
        await admin.resume()
    assert caplog.messages == [f"{pause} (prefix {prefix})", f"sending is no longer paused (prefix {prefix})"]


async def test_pause_is_known_before_lost_histories_are(
    admin: RedisAdmin, stores: Callable[..., RedisStore], connect: Callable[..., Client], raw: Redis
) -> None:
    await stores().open()
    await raw.hset(admin._names.epoch, "incomplete", "1")
    await admin.pause(WHY)
    with pytest.raises(SendingPaused):
        await connect(Sandbox()).send(PHONE, "Hi")


# --- the report
async def test_nothing_is_reported_where_nothing_was_counted(admin: RedisAdmin) -> None:
    report = await admin.report()
    assert (report.paused, report.lost_at, list(report.rules)) == (None, None, [])


async def test_report_says_what_is_closed_why_and_until_when(
    admin: RedisAdmin, stores: Callable[..., RedisStore]
) -> None:
    store = stores()
    block = BlockLimit(600, 1800, 1800)
    await release(store, await take(store, on("a", block, "blocked", 0)), KEPT)
    await release(store, await take(store, on("a", WindowLimit(5, 61.2), amount=5)), Release(keep=5))
    await release(store, await take(store, on("b", WindowLimit(5, 61.2))), KEPT)
    await take(store, on("a", WindowLimit(14, 0), "in_flight", 14))
    report = await admin.report()
    found = {each.rule: each for each in report.rules}
    assert [each.rule for each in report.rules if each.is_closed] == [each.rule for each in report.rules]
    blocked, status, gate = found["blocked"], found["status"], found["in_flight"]
    assert blocked.until is not None
    assert timedelta(seconds=599) < blocked.until - report.taken_at <= timedelta(seconds=600)
    assert blocked.why == "the service blocks this address (error 4)"
    assert (status.keys, status.full, status.count) == (2, 1, 5)
    assert status.until is not None
    assert timedelta(seconds=60) < status.until - report.taken_at <= timedelta(seconds=61.2)
    assert (gate.in_flight, gate.full, gate.until) == (14, 1, None)


async def test_closed_rules_come_first(admin: RedisAdmin, stores: Callable[..., RedisStore]) -> None:
    store = stores()
    await take(store, on("a", WindowLimit(10, 61.2), "balance"))
    await release(store, await take(store, on("a", BlockLimit(600, 600, 600), "blocked", 0)), KEPT)
    assert [(each.rule, each.is_closed) for each in (await admin.report()).rules] == [
        ("blocked", True),
        ("balance", False),
    ]


async def test_report_uses_the_numbers_that_the_clients_use(
    admin: RedisAdmin, stores: Callable[..., RedisStore]
) -> None:
    store, demand = stores(), on("a", WindowLimit(2, 30))
    await store.open()
    for _ in range(2):
        await release(store, await take(store, demand), KEPT)
    await refused(store, demand)
    report = await admin.report()
    (status,) = report.rules
    assert (status.count, status.full) == (2, 1)
    assert status.until is not None
    assert status.until - report.taken_at <= timedelta(seconds=30)


async def test_report_says_that_histories_were_lost_and_until_when_each_rule_waits(
    admin: RedisAdmin, stores: Callable[..., RedisStore], raw: Redis
) -> None:
    await stores().open()
    await raw.hset(admin._names.epoch, "incomplete", "1")
    report = await admin.report()
    assert report.lost_at is not None
    waiting = {each.rule: each for each in report.rules}
    assert waiting.keys().isdisjoint({"blocked", "login_failures", "address_failures", "bad_sends"})
    assert waiting["status"].recovering_until is not None
    assert timedelta(seconds=85) < waiting["status"].recovering_until - report.taken_at <= timedelta(seconds=91.2)
    end = datetime.now(UTC).timestamp() + 100
    await raw.zadd(admin._names.reports, {"process": round(end * 1_000_000)})  # a request from before the loss
    (gate,) = (each for each in (await admin.report()).rules if each.rule == "in_flight")
    assert gate.recovering_until == datetime.fromtimestamp(round(end * 1_000_000) / 1_000_000, UTC)
    assert all(each.recovering_until and each.recovering_until > report.taken_at for each in report.rules)
    assert all(each.is_closed for each in report.rules)
    await raw.delete(admin._names.reports)
    await raw.hset(admin._names.epoch, "since", "1")  # long ago
    assert (await admin.report()).lost_at is None


async def test_report_examines_all_keys(
    admin: RedisAdmin, stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores()
    for number in range(30):
        await take(store, on(str(number)))
    for name, value in {"_SHOWN": 1, "_SCANNED": 0, "_PAGE": 5}.items():
        monkeypatch.setattr(f"smsc_async.guards._redis.snapshot.{name}", value)
    assert (await rules(admin))["status"].keys == 30


# --- the reset
async def test_reset_forgets_what_a_rule_has_counted_and_no_other(
    admin: RedisAdmin, stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_admin, "_BATCH", 2)
    store, other = stores(), on("a", rule="balance")
    for key in "abc":
        await release(store, await take(store, on(key)), KEPT)
    await release(store, await take(store, other), KEPT)
    done = await admin.reset("status")
    assert (done.rule, done.keys, done.removed, done.in_flight) == ("status", 3, 3, 0)
    for key in "abc":
        await take(store, on(key))
    await refused(store, other)


async def test_reset_opens_a_block(admin: RedisAdmin, stores: Callable[..., RedisStore]) -> None:
    store, demand = stores(), on("a", BlockLimit(600, 1800, 1800), "blocked", 0)
    await release(store, await take(store, demand), KEPT)
    await refused(store, demand)
    assert (await admin.reset("blocked")).removed == 1
    await take(store, demand)


async def test_reset_never_forgets_a_request_in_flight(admin: RedisAdmin, stores: Callable[..., RedisStore]) -> None:
    store, gate, window = stores(), on("a", GATE, "in_flight"), on("a", WindowLimit(2, 60))
    flying = await take(store, gate, window)
    await release(store, await take(store, window), KEPT)
    await refused(store, window)
    assert (await admin.reset("status")).in_flight == 1
    assert (await admin.reset("in_flight")).in_flight == 1
    await refused(store, gate)
    await take(store, window)
    await refused(store, window)
    await release(store, flying, Release(), KEPT)  # its own release still counts
    await refused(store, window)


async def test_a_reset_is_logged(admin: RedisAdmin, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "smsc_async"):
        await admin.reset("status")
    (line,) = caplog.messages
    assert line.startswith(f"the rule status was reset (prefix {prefix}): 0 entries of 0 keys")


async def test_an_unknown_rule_is_refused_with_a_list_of_the_rules(admin: RedisAdmin) -> None:
    with pytest.raises(ValueError, match=r"no rule 'pause'; the rules are identical_send, .*blocked"):
        await admin.reset("pause")


# --- the connection
async def test_an_admin_from_a_url_closes_what_it_opened(server: RedisServer, prefix: str) -> None:
    admin = RedisAdmin.from_url(server.url, prefix=prefix)
    assert await admin.paused() is None
    await admin.aclose()
    assert repr(admin) == f"<smsc_async.guards.RedisAdmin prefix={prefix!r}>"


@pytest.mark.parametrize("url", [f"redis://u:{SECRET}@127.0.0.1:x/0", f"http://u:{SECRET}@127.0.0.1"])
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="invalid Redis URL") as caught:
        RedisAdmin.from_url(url)
    assert SECRET not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_a_wrong_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="prefix must consist of"):
        RedisAdmin.from_url("redis://127.0.0.1:1/0", prefix="a b")
