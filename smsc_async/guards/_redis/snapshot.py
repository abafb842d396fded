"""The state of each rule in Redis."""

from collections.abc import Awaitable, Callable, Mapping
from math import inf, isinf
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster

from smsc_async.guards._limits import BlockLimit, History, Limit
from smsc_async.guards._store import RuleState

__all__ = ["read_states"]

_MICROSECONDS: Final = 1_000_000
_SHOWN: Final = 10_000
_SCANNED: Final = 1_000
_PAGE: Final = 1_000
_READ: Final = 500
# A script, because a cluster client sends it to the node of the keys.
_SCAN: Final = """
return {redis.call('TIME'), redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])}
"""


async def read_states(client: Redis | RedisCluster, start: str, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
    """Return the state of each rule.

    Args:
        client: A Redis client.
        start: The prefix of all key names.
        limits: The limits, by the name of their rule.
    """
    now, found = await _find(client, start, limits)
    states = {name: _Counts(limit) for name, limit in limits.items()}
    for first in range(0, len(found), _READ):
        some = found[first : first + _READ]
        pipe: Any = client.pipeline(transaction=False)
        for rule, key in some:
            if isinstance(limits[rule], BlockLimit):
                pipe.get(key)
            else:
                pipe.zrange(key, 0, -1, withscores=True)
        for (rule, key), answer in zip(some, await pipe.execute(), strict=True):
            states[rule].add(key.rpartition(":")[2], _history(answer, now))
    return {name: summary.state() for name, summary in states.items()}


class _Counts:
    """Counts the histories of one rule; their instants are seconds from now."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._keys = self._in_flight = 0
        self._full: dict[str, float | None] = {}

    def add(self, key: str, history: History) -> None:
        history = self._limit.fresh(history, 0.0)
        self._keys += bool(history)
        self._in_flight += sum(map(isinf, history))
        delay = self._limit.delay(history, 0.0, 1)
        if delay:
            self._full[key] = None if isinf(delay) else delay

    def state(self) -> RuleState:
        return RuleState(self._keys, self._in_flight, self._full)


async def _find(
    client: Redis | RedisCluster, start: str, limits: Mapping[str, Limit]
) -> tuple[int, list[tuple[str, str]]]:
    """Return the server's time when the search began, and the rules and names of the histories."""
    execute: Callable[..., Awaitable[Any]] = client.execute_command
    found: list[tuple[str, str]] = []
    began, cursor = None, b"0"
    for _ in range(_SCANNED):
        (seconds, microseconds), (cursor, names) = await execute("EVAL", _SCAN, 1, start, cursor, f"{start}*", _PAGE)
        began = int(seconds) * _MICROSECONDS + int(microseconds) if began is None else began
        for name in map(_text, names):
            rule = name.removeprefix(start).partition(":")[0]
            if rule in limits:
                found.append((rule, name))
        if not int(cursor) or len(found) >= _SHOWN:
            break
    return began or 0, found


def _history(answer: Any, now: int) -> History:
    if answer is None or not isinstance(answer, list):
        return () if answer is None else ((int(answer) - now) / _MICROSECONDS,)
    entries = ((_text(member)[0], (float(score) - now) / _MICROSECONDS) for member, score in answer)
    return tuple(sorted(inf if kind != "s" and at > 0 else at for kind, at in entries if kind != "p" or at > 0))


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode()
