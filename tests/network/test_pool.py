"""The pool: the last idle connection is taken first, waiters are served in order, a failed one is not reused."""

import ssl
from typing import cast
from unittest import mock

import anyio
import anyio.lowlevel
import httpx
import pytest
from trio.testing import wait_all_tasks_blocked

from smsc_async import PoolTimeout
from smsc_async._network.pool import ConnectionPool, _holds_more
from tests.virtual import virtual_time


class Connection(httpx.AsyncBaseTransport):
    """A connection without a network."""

    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1
        await anyio.lowlevel.checkpoint()


def _connections(most: int = 2) -> ConnectionPool:
    return ConnectionPool(Connection, most=most, expiry=4.0)


@virtual_time
async def test_last_that_became_free_is_taken_first() -> None:
    pool = _connections()
    one, two = await pool.take(1), await pool.take(1)
    pool.give(one)
    pool.give(two)
    assert await pool.take(1) is two
    assert await pool.take(1) is one
    assert len(pool) == 2


@virtual_time
async def test_no_connection_in_time_is_a_pool_timeout() -> None:
    pool = _connections(most=1)
    connection = await pool.take(1)
    start = anyio.current_time()
    with pytest.raises(PoolTimeout, match="nothing was sent"):
        await pool.take(10)
    assert anyio.current_time() - start == pytest.approx(10)
    pool.give(connection)
    assert await pool.take(1) is connection


@virtual_time
async def test_waiters_are_served_in_order() -> None:
    pool = _connections(most=1)
    served: list[int] = []

    async def one(number: int) -> None:
        connection = await pool.take(100)
        served.append(number)
        await anyio.sleep(1)
        pool.give(connection)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(one, number)
            await wait_all_tasks_blocked()
    assert served == [0, 1, 2, 3, 4]
    assert len(pool) == 1


@virtual_time
async def test_cancelled_waiter_leaves_the_queue() -> None:
    pool = _connections(most=1)
    connection = await pool.take(1)
    with anyio.move_on_after(1):
        await pool.take(100)
    pool.give(connection)
    assert await pool.take(1) is connection


@virtual_time
async def test_connection_handed_over_in_the_moment_of_a_cancellation_is_not_lost() -> None:
    pool = _connections(most=1)
    connection = await pool.take(1)
    async with anyio.create_task_group() as group:
        group.start_soon(pool.take, 100)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        pool.give(connection)
    assert await pool.take(1) is connection


@virtual_time
async def test_dropped_connection_is_closed_and_makes_room_for_another() -> None:
    pool = _connections(most=1)
    connection = await pool.take(1)
    got: list[httpx.AsyncBaseTransport] = []

    async def waiter() -> None:
        got.append(await pool.take(100))

    async with anyio.create_task_group() as group:
        group.start_soon(waiter)
        await wait_all_tasks_blocked()
        await pool.drop(connection)
    assert isinstance(connection, Connection)
    assert connection.closed == 1
    assert got[0] is not connection
    assert len(pool) == 1


@virtual_time
async def test_connection_is_closed_although_its_user_is_cancelled() -> None:
    pool = _connections()
    connection = await pool.take(1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pool.drop(connection)
    assert isinstance(connection, Connection)
    assert connection.closed == 1
    assert len(pool) == 0


@virtual_time
async def test_idle_connections_are_closed_one_each_time_a_connection_is_taken() -> None:
    pool = _connections(most=3)
    taken = [await pool.take(1) for _ in range(3)]
    for connection in taken:
        pool.give(connection)
    await anyio.sleep(5)
    for left in (3, 2, 1):
        assert len(pool) == left
        pool.give(await pool.take(1))
        await anyio.sleep(0.1)
    assert [connection.closed for connection in taken if isinstance(connection, Connection)] == [1, 1, 0]


@virtual_time
async def test_closing_closes_the_idle_and_leaves_those_in_use_to_their_users() -> None:
    pool = _connections()
    used, idle = await pool.take(1), await pool.take(1)
    assert pool.give(idle)
    await pool.aclose()
    assert isinstance(used, Connection)
    assert isinstance(idle, Connection)
    assert (used.closed, idle.closed, len(pool)) == (0, 1, 0)
    assert not pool.give(used)
    await pool.drop(used)
    assert used.closed == 1


@virtual_time
async def test_waiter_gets_no_connection_while_they_are_closed() -> None:
    pool = _connections(most=1)
    used = await pool.take(1)
    errors: list[PoolTimeout] = []

    async def wait() -> None:
        with pytest.raises(PoolTimeout, match="nothing was sent") as caught:
            await pool.take(100)
        errors.append(caught.value)

    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        await pool.aclose()
        await pool.drop(used)
    assert anyio.current_time() == start
    assert len(errors) == 2
    assert len(pool) == 0


@virtual_time
async def test_connection_that_is_taken_while_the_connections_are_closed_is_not_kept() -> None:
    pool = _connections()
    pool.give(await pool.take(1))
    await anyio.sleep(5)
    taken: list[httpx.AsyncBaseTransport] = []

    async def take() -> None:
        taken.append(await pool.take(1))  # which first closes the old one

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await anyio.lowlevel.checkpoint()
        await pool.aclose()
    assert pool.give(taken[0]) is False


@virtual_time
async def test_connection_handed_over_and_closed_in_the_moment_of_a_cancellation_is_dropped() -> None:
    pool = _connections(most=1)
    connection = await pool.take(1)
    async with anyio.create_task_group() as group:
        group.start_soon(pool.take, 100)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        pool.give(connection)
        await pool.aclose()  # nothing is idle, so the waiter can't run before the end of this
    assert isinstance(connection, Connection)
    assert connection.closed == 1


@virtual_time
async def test_thousands_of_cancelled_requests_leak_no_connection() -> None:
    pool = _connections(most=3)

    async def use() -> None:
        connection = await pool.take(100)
        try:
            await anyio.sleep(1)
        except BaseException:
            await pool.drop(connection)
            raise
        pool.give(connection)

    for _ in range(500):
        with anyio.move_on_after(1.5):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(use)
    assert len(pool) <= 3
    for _ in range(3):
        await pool.take(0.001)


@pytest.mark.parametrize("error", [ssl.SSLZeroReturnError, ssl.SSLEOFError])
def test_end_that_was_received_behind_tls_is_noticed(error: type[ssl.SSLError]) -> None:
    tls = mock.Mock(spec=ssl.SSLObject, **{"read.side_effect": error})
    assert _holds_more(tls)


@virtual_time
async def test_connection_distrusted_after_it_was_handed_over_is_closed_and_another_is_used() -> None:
    pool = _connections(1)
    first = await pool.take(1)
    taken: list[httpx.AsyncBaseTransport] = []

    async def wait() -> None:
        taken.append(await pool.take(1))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert pool.give(first)
        pool.distrust()  # the answer was read after the connection had been given back
    assert taken[0] is not first
    assert (len(pool), cast("Connection", first).closed) == (1, 1)


@virtual_time
async def test_distrusted_connection_in_use_is_not_taken_back() -> None:
    pool = _connections(1)
    first = await pool.take(1)
    pool.distrust()
    assert not pool.give(first)
    await pool.drop(first)
    assert pool.give(await pool.take(1))
