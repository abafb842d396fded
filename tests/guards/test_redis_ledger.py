"""What one client knows itself, whatever Redis has lost."""

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from smsc_async.guards import RedisStore
from smsc_async.guards._limits import Release
from smsc_async.guards._redis.ledger import Flights
from tests.guards.redis_store import IN_FLIGHT, LOGIN, distrusted, forget, release, take


def test_a_request_is_reported_until_its_release_or_the_end_of_its_lease() -> None:
    now = [100.0]
    flights = Flights(lambda: now[0])
    flights.start("a", 50.0, lost=False)
    flights.start("b", 20.0, lost=True)
    assert flights.report() == 20
    flights.lose()
    assert flights.report() == 50
    now[0] += 30
    assert flights.report() == 20
    flights.end("a", [Release(late=5.0)])
    assert flights.report() == 5
    now[0] += 5
    assert (flights.report(), flights.is_over, flights.is_reporting) == (0, True, True)
    flights.reported(0.0)
    assert (flights.is_over, flights.is_reporting) == (False, False)


async def test_a_slot_that_was_granted_before_a_loss_is_reported_even_if_its_answer_comes_later(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores()
    await store.open()
    ask = store._ask

    async def slowly(*arguments: Any) -> str:
        monkeypatch.setattr(store, "_ask", ask)
        line = await ask(*arguments)
        await forget(raw, prefix)
        await distrusted(store, IN_FLIGHT)  # another request notices the loss first
        return line

    monkeypatch.setattr(store, "_ask", slowly)
    await take(store, IN_FLIGHT, hold=500)
    assert await distrusted(store, IN_FLIGHT) == pytest.approx(510, abs=2)


async def test_proofs_are_forgotten_with_the_salt_of_their_keys(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    old, new = stores(), stores()
    await release(old, await take(old, LOGIN), Release(proof=True))
    assert old._proofs.left(b"credentials")
    await forget(raw, prefix)
    await new.open()
    await distrusted(old, IN_FLIGHT)
    assert not old._proofs.left(b"credentials")
