"""The state of each rule in Redis."""

from collections.abc import Awaitable, Callable, Container, Mapping
from itertools import count
from math import inf, isinf
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster

from smsc_async.guards._limits import BlockLimit, History, Limit, SpendLimit
from smsc_async.guards._spend import Slice, SpendHistory
from smsc_async.guards._store import RuleState

__all__ = ["find_histories", "read_states", "text_of"]

_MICROSECONDS: Final = 1_000_000
_SHOWN: Final = 10_000
_SCANNED: Final = 1_000
_PAGE: Final = 1_000
_READ: Final = 500
# A script, because a cluster client sends it to the node of the keys.
_SCAN: Final = """
return {redis.call('TIME'), redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])}
"""


async def read_states(
    client: Redis | RedisCluster, start: str, limits: Mapping[str, Limit], *, everything: bool = False
) -> tuple[int, Mapping[str, RuleState]]:
    """Return the server's time in microseconds, and the state of each rule.

    Args:
        client: A Redis client.
        start: The prefix of all key names.
        limits: The limits, by the name of their rule.
        everything: Whether to examine all keys, however many there are.
    """
    now, found = await find_histories(client, start, limits, everything=everything)
    states = {name: _Counts(limit) for name, limit in limits.items()}
    for first in range(0, len(found), _READ):
        some = found[first : first + _READ]
        pipe: Any = client.pipeline(transaction=False)
        for rule, key in some:
            if isinstance(limits[rule], BlockLimit):
                pipe.get(key)
            elif isinstance(limits[rule], SpendLimit):
                pipe.hgetall(key)
            else:
                pipe.zrange(key, 0, -1, withscores=True)
        for (rule, key), answer in zip(some, await pipe.execute(), strict=True):
            states[rule].add(key.rpartition(":")[2], answer, now)
    return now, {name: summary.state() for name, summary in states.items()}


class _Counts:
    """Counts the histories of one rule."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._keys = self._in_flight = self._used = 0
        self._full: dict[str, float | None] = {}

    def add(self, key: str, answer: Any, now: int) -> None:
        limit = self._limit
        if isinstance(limit, SpendLimit):
            spent = _spent(answer, now)
            delay = spent.delay(limit, 0.0, 1)
            self._keys += not spent.forget(limit, 0.0)
            self._in_flight += spent.flying(0.0)
            used = spent.units
        else:
            history = limit.fresh(_history(answer, now), 0.0)
            delay = limit.delay(history, 0.0, 1)
            self._keys += bool(history)
            self._in_flight += sum(map(isinf, history))
            used = bool(delay) if isinstance(limit, BlockLimit) else len(history)
        self._used = max(self._used, used)
        if delay:
            self._full[key] = None if isinf(delay) else delay

    def state(self) -> RuleState:
        return RuleState(self._keys, self._in_flight, self._full, self._used)


async def find_histories(
    client: Redis | RedisCluster, start: str, rules: Container[str], *, everything: bool
) -> tuple[int, list[tuple[str, str]]]:
    """Return the server's time when the search began, and the rules and names of the histories, each once."""
    execute: Callable[..., Awaitable[Any]] = client.execute_command
    found: dict[str, str] = {}  # a scan may return a name twice
    began, cursor = None, b"0"
    pages = count() if everything else range(_SCANNED)
    for _ in pages:
        (seconds, microseconds), (cursor, names) = await execute("EVAL", _SCAN, 1, start, cursor, f"{start}*", _PAGE)
        began = int(seconds) * _MICROSECONDS + int(microseconds) if began is None else began
        for name in map(text_of, names):
            rule = name.removeprefix(start).partition(":")[0]
            if rule in rules:
                found[name] = rule
        if not int(cursor) or (len(found) >= _SHOWN and not everything):
            break
    return began or 0, [(rule, name) for name, rule in found.items()]


def _history(answer: Any, now: int) -> History:
    """Return a history; its instants are seconds from now."""
    if answer is None or not isinstance(answer, list):
        return () if answer is None else ((int(answer) - now) / _MICROSECONDS,)
    entries = ((text_of(member)[0], (float(score) - now) / _MICROSECONDS) for member, score in answer)
    return tuple(sorted(inf if kind != "s" and at > 0 else at for kind, at in entries if kind != "p" or at > 0))


def _spent(answer: Mapping[str | bytes, str | bytes], now: int) -> SpendHistory:
    spent = SpendHistory()
    for name, value in answer.items():
        last, units, unpriced, dearest = map(int, text_of(value).split())
        at = (last - now) / _MICROSECONDS
        if text_of(name).startswith("f"):
            spent.flights[name] = unpriced, at
        else:
            spent.slices[int(name)] = Slice(at, units, unpriced, dearest)
    return spent


def text_of(name: str | bytes) -> str:
    """Return the text that a client of redis-py returns as text or as bytes."""
    return name if isinstance(name, str) else name.decode()
