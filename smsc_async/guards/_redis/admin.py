"""Lets an operator inspect and change the guards in Redis, without credentials of the service."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Self, TypeVar

from redis.asyncio import Redis, RedisCluster

from smsc_async._frames import without_arguments, without_frames
from smsc_async.guards._limits import BlockLimit, Limit, SpendLimit, WindowLimit
from smsc_async.guards._refusals import words_of
from smsc_async.guards._rules import Rules
from smsc_async.guards._store import PAUSE, RuleState

from .link import Link, connecting
from .report import GuardReport, Pause, Reset, RuleReport, check_reason
from .scripts import Names
from .snapshot import find_histories, read_states, text_of

__all__ = ["RedisAdmin"]

T = TypeVar("T")
_log = logging.getLogger("smsc_async")

_MICROSECONDS: Final = 1_000_000
_MARGIN: Final = 1.2
# After a loss each rule waits at least this long, and bad sends and logins are limited to one at a time.
_NOTICED: Final = 30.0
_ONE_AT_A_TIME: Final = frozenset({"login_failures", "address_failures", "bad_sends"})
_BATCH: Final = 500
_READ: Final = """
local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
return {redis.call('GET', KEYS[1]), redis.call('HGETALL', KEYS[2]), last[2] or false}
"""
_PAUSE: Final = """
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local since = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ') or now
redis.call('SET', KEYS[1], since .. ' ' .. ARGV[1])
return redis.call('GET', KEYS[1])
"""
# Requests in flight keep their slots; otherwise too many of them could be in flight at once.
_RESET: Final = """
local time, removed, flying = redis.call('TIME'), 0, 0
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
for _, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok == 'zset' then
    local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #entries, 2 do
      if string.sub(entries[i], 1, 1) ~= 's' and tonumber(entries[i + 1]) > now then
        flying = flying + 1
      else
        removed = removed + redis.call('ZREM', key, entries[i])
      end
    end
  elseif redis.call('TYPE', key).ok == 'hash' then
    local entries = redis.call('HGETALL', key)
    for i = 1, #entries, 2 do
      if string.sub(entries[i], 1, 1) == 'f' and tonumber(string.match(entries[i + 1], '^%d+')) > now then
        flying = flying + 1
      else
        removed = removed + redis.call('HDEL', key, entries[i])
      end
    end
  else
    removed = removed + redis.call('DEL', key)
  end
end
return {removed, flying}
"""


class RedisAdmin:
    """Shows what is closed in the Redis of a `RedisStore`, resets a rule, and pauses sending for all clients.

    Args:
        client: A client of redis-py; the caller closes it.
        prefix: The `prefix` of the stores.
        timeout: Seconds for each answer of Redis.

    Raises:
        ValueError: The prefix contains characters other than letters, digits and `_ . : -`.
    """

    @without_arguments
    def __init__(self, client: Redis | RedisCluster, *, prefix: str = "smsc", timeout: float = 30.0) -> None:
        self._link = Link(client, None, timeout)
        self._names = Names(prefix)
        self._prefix = prefix
        self._pause_key = self._names.history(PAUSE)

    def __repr__(self) -> str:
        return f"<smsc_async.guards.RedisAdmin prefix={self._prefix!r}>"

    @classmethod
    @without_arguments
    def from_url(cls, url: str, *, prefix: str = "smsc", timeout: float = 30.0) -> Self:
        """Connect to a Redis URL, as `RedisStore.from_url` does.

        Raises:
            ValueError: The URL is invalid, or the prefix holds other characters.
        """
        make = partial(connecting, url, timeout)
        client = make()
        admin = cls(client, prefix=prefix, timeout=timeout)
        admin._link = Link(client, make, timeout)
        return admin

    @without_frames
    async def report(self) -> GuardReport:
        """Return what is closed, why, and until when.

        The numbers of a rule are those that the clients used last, otherwise the limits of the service.

        Raises:
            GuardStoreError: Redis can't be reached.
        """
        return await self._reach(self._report)

    @without_frames
    async def paused(self) -> Pause | None:
        """Return since when and why sending is paused, None if it is not.

        Raises:
            GuardStoreError: Redis can't be reached.
        """
        value = await self._reach(partial(self._execute, "GET", self._pause_key))
        return None if value is None else Pause.parse(text_of(value))

    @without_frames
    async def pause(self, reason: str) -> Pause:
        """Pause sending for all clients of this Redis, until `resume`.

        If sending is already paused, only the reason changes. A Redis that loses its data forgets the pause.

        Raises:
            ValueError: The reason is empty, longer than 200 characters, or more than one line.
            GuardStoreError: Redis can't be reached.
        """
        ask = partial(self._execute, "EVAL", _PAUSE, 1, self._pause_key, check_reason(reason))
        pause = Pause.parse(text_of(await self._reach(ask)))
        _log.warning("%s (prefix %s)", pause, self._prefix)
        return pause

    @without_frames
    async def resume(self) -> Pause | None:
        """Resume sending; return the pause that ended, None if there was none.

        Raises:
            GuardStoreError: Redis can't be reached.
        """
        pause = await self.paused()
        if await self._reach(partial(self._execute, "DEL", self._pause_key)):
            _log.warning("sending is no longer paused (prefix %s)", self._prefix)
        return pause

    @without_frames
    async def reset(self, rule: str) -> Reset:
        """Remove what a rule has counted for all its keys; requests in flight keep their slots.

        Raises:
            ValueError: There is no such rule.
            GuardStoreError: Redis can't be reached.
        """
        names = [field.name for field in fields(Rules)]
        if rule not in names:
            raise ValueError(f"there is no rule {rule!r}; the rules are {', '.join(names)}")
        reset = await self._reach(partial(self._reset, rule))
        _log.warning(
            "the rule %s was reset (prefix %s): %d entries of %d keys were removed, %d requests in flight keep their "
            "slots",
            rule,
            self._prefix,
            reset.removed,
            reset.keys,
            reset.in_flight,
        )
        return reset

    async def aclose(self) -> None:
        """Close the connections that were opened from a URL."""
        await self._link.aclose()

    async def _reach(self, ask: Callable[[], Awaitable[T]]) -> T:
        self._link.take_up()
        return await self._link.reach(ask)

    async def _execute(self, *command: str | int) -> Any:
        execute: Callable[..., Awaitable[Any]] = self._link.client.execute_command
        return await execute(*command)

    async def _report(self) -> GuardReport:
        keys = self._pause_key, self._names.epoch, self._names.reports
        pause, fields_of_epoch, report = await self._execute("EVAL", _READ, len(keys), *keys)
        texts = map(text_of, fields_of_epoch)
        epoch = dict(zip(texts, texts, strict=True))
        limits = _limits(epoch)
        now, states = await read_states(self._link.client, self._names.start, limits, everything=True)
        lost = int(epoch.get("since", "0")) if epoch.get("incomplete") == "1" else None
        base = 0.0 if lost is None else max(lost + _NOTICED * _MICROSECONDS, float(text_of(report or "0")))
        waits = _waits(limits, (base - now) / _MICROSECONDS) if lost is not None else {}
        taken_at = datetime.fromtimestamp(now / _MICROSECONDS, UTC)
        rules = [_closed(name, limits[name], state, waits.get(name), taken_at) for name, state in states.items()]
        return GuardReport(
            taken_at,
            None if pause is None else Pause.parse(text_of(pause)),
            datetime.fromtimestamp(lost / _MICROSECONDS, UTC) if lost is not None and waits else None,
            sorted((each for each in rules if each.keys or each.recovering_until), key=lambda each: not each.is_closed),
        )

    async def _reset(self, rule: str) -> Reset:
        _, found = await find_histories(self._link.client, self._names.start, {rule}, everything=True)
        removed = flying = 0
        for first in range(0, len(found), _BATCH):
            keys = [key for _, key in found[first : first + _BATCH]]
            gone, kept = await self._execute("EVAL", _RESET, len(keys), *keys)
            removed, flying = removed + int(gone), flying + int(kept)
        return Reset(rule, len(found), removed, flying)


def _limits(epoch: Mapping[str, str]) -> dict[str, Limit]:
    """Return the limits of the service, updated with the numbers that the clients used last."""
    limits = dict(Rules().limits(_MARGIN))
    for name, value in epoch.items():
        rule = name.removeprefix("limit:")
        known = limits.get(rule, SpendLimit(1, 0.0) if rule == "spend" else WindowLimit(1, 0.0))
        if rule != name and not isinstance(known, BlockLimit):
            count, span = map(int, value.split())
            limits[rule] = replace(known, count=count, span=span / _MICROSECONDS)
    return limits


def _waits(limits: Mapping[str, Limit], base: float) -> dict[str, float]:
    """Return the seconds for which each rule waits, if no request from before a loss is in flight after `base`."""
    waits = {
        name: base + limit.span
        for name, limit in limits.items()
        if not isinstance(limit, BlockLimit | SpendLimit) and name not in _ONE_AT_A_TIME
    }
    return {name: wait for name, wait in waits.items() if wait > 0}


def _closed(name: str, limit: Limit, state: RuleState, wait: float | None, now: datetime) -> RuleReport:
    delays = state.full.values()
    known = [delay for delay in delays if delay is not None]
    until = now + timedelta(seconds=max(known)) if known and len(known) == len(delays) else None
    recovering = None if wait is None else now + timedelta(seconds=wait)
    return RuleReport(name, limit.count, state.keys, len(delays), state.in_flight, until, recovering, words_of(name))
