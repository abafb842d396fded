"""A worker has one client with the shared guards, and unsafe brokers and settings are refused."""

from collections.abc import Callable
from typing import Any

import pytest
from taskiq import InMemoryBroker
from taskiq_redis import (
    ListQueueBroker,
    PubSubBroker,
    RedisStreamBroker,
    RedisStreamClusterBroker,
)

from smsc_async import (
    Client,
    Guards,
)
from smsc_async.guards import MemoryStore
from smsc_async.taskiq import SmscTasks
from tests.tasks.taskiq_post import URL, Post


async def test_a_worker_has_one_client_even_if_it_starts_again(post: Post) -> None:
    client = post.tasks._worker_client()
    await post.broker.startup()
    assert post.tasks._worker_client() is client
    await post.broker.shutdown()
    await post.broker.shutdown()
    assert client._caller.closed


async def test_a_client_without_the_shared_guards_is_refused(make_broker: Callable[..., RedisStreamBroker]) -> None:
    def client(_: Guards) -> Client:
        return Client(apikey="demo", url=URL, guards=Guards(MemoryStore()))

    broker = make_broker()
    SmscTasks(broker, client, deadline=0.1, late_arrival=0.05, margin=0.01)
    broker.is_worker_process = True
    with pytest.raises(ValueError, match="guards=guards"):
        await broker.startup()
    await broker.shutdown()


async def test_the_default_client_uses_the_environment(
    make_broker: Callable[..., RedisStreamBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    broker = make_broker()
    tasks = SmscTasks(broker, deadline=0.1, late_arrival=0.05, margin=0.01)
    broker.is_worker_process = True
    await broker.startup()
    assert tasks._worker_client().guards is tasks._guards
    await broker.shutdown()


@pytest.mark.parametrize("kind", [ListQueueBroker, PubSubBroker, RedisStreamClusterBroker])
def test_brokers_that_lose_the_task_of_a_killed_worker_are_refused(kind: type[Any]) -> None:
    broker: Any = object.__new__(kind)  # to make one would be to connect
    with pytest.raises(ValueError, match=f"broker must be .* keeps the task of a killed worker, not {kind.__name__}"):
        SmscTasks(broker)


def test_a_broker_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match=r"broker must be .*, not InMemoryBroker"):
        SmscTasks(InMemoryBroker())  # type: ignore[arg-type]


def test_what_is_no_broker_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"broker must be a taskiq_redis.RedisStreamBroker, .*, not str"):
        SmscTasks("x")  # type: ignore[arg-type]


async def _make_client(guards: Guards) -> Client:
    return Client(guards=guards)


@pytest.mark.parametrize("client", [5, _make_client])
def test_what_does_not_make_a_client_at_once_is_refused(
    make_broker: Callable[..., RedisStreamBroker], client: Any
) -> None:
    with pytest.raises(ValueError, match="client must be a plain function that takes Guards and returns a Client"):
        SmscTasks(make_broker(), client)


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"maxlen": 1000}, {}, "maxlen"),
        ({"consumer_id": "$"}, {}, "consumer_id"),
        ({"idle_timeout": 300}, {"deadline": 0.25, "late_arrival": 0.05}, "idle_timeout=300"),
        ({}, {"deadline": 0.0}, "deadline"),
        ({}, {"tries": 0}, "tries"),
        ({}, {"margin": 5.0}, "margin"),
    ],
)
def test_settings_that_lose_tasks_or_could_send_twice_are_refused(
    make_broker: Callable[..., RedisStreamBroker], settings: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        SmscTasks(make_broker(**settings), **{"deadline": 0.1, "late_arrival": 0.05, "margin": 0.01, **options})
