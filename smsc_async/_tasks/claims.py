"""Exclusive claims to tasks: at most one worker holds a task, and it knows whether another one may have sent it."""

import secrets
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

__all__ = ["Busy", "Claim", "Claims", "Over"]

# A copy of a task that has ended must not run again, least of all one whose result reports a failure.
# Until its lease ends only the worker with the claim may send, so the task is marked as unresolved before it starts.
_TAKE: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 1 then return {0, 0, -1} end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) and redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return {0, 0, redis.call('PTTL', KEYS[2])}
end
local unresolved = redis.call('HGET', KEYS[1], 'unresolved') == '1'
redis.call('HSET', KEYS[1], 'unresolved', 1)
return {redis.call('HINCRBY', KEYS[1], 'tries', 1), unresolved and 1 or 0, 0}
"""
# A worker that has lost its lease must not clear `unresolved`: the next worker may have set it.
_GIVE_BACK: Final = """
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
  if ARGV[2] == 'unsent' then redis.call('HSET', KEYS[1], 'unresolved', 0) end
  if ARGV[3] == 'uncounted' then redis.call('HINCRBY', KEYS[1], 'tries', -1) end
end
return 0
"""
_WEEK: Final = 604_800


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a task until its lease ends.

    Attributes:
        id: The message id of the task.
        token: Identifies the worker that holds the claim.
        tries: The number of claims to this task so far, including this one.
        unresolved: Whether an earlier worker may have sent the message.
    """

    id: str
    token: str
    tries: int
    unresolved: bool


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker holds the task.

    Attributes:
        retry_after: Seconds until the lease of that worker ends.
    """

    retry_after: float


class Over:
    """The task has ended; the delivery is a copy of it."""


class Claims:
    """The claims of all workers, in Redis.

    Args:
        redis: The client.
        prefix: The prefix of the names of the keys.
        lease: The duration of a claim in seconds; a killed worker keeps its claims until their leases end.
    """

    def __init__(self, redis: Redis, prefix: str, lease: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._lease = lease
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    async def take(self, id: str, ticket: str) -> Claim | Busy | Over:  # noqa: A002 - the service's own word
        """Claim a task; copies of a task have the same ticket, and a task queued again under its id gets a new one."""
        token = secrets.token_hex(16)
        arguments = (token, round(self._lease * 1000), f"over:{ticket}")
        tries, unresolved, left = await self._take(self._keys(id), arguments)
        if tries:
            return Claim(id, token, tries, bool(unresolved))
        return Over() if left < 0 else Busy(left / 1000)

    async def give_back(self, claim: Claim, *, unsent: bool, counted: bool = True) -> None:
        """Release a claim.

        Args:
            claim: The claim.
            unsent: Whether the message has definitely not been sent by any worker.
            counted: Whether the claim counts as an attempt.
        """
        arguments = claim.token, "unsent" if unsent else "unknown", "counted" if counted else "uncounted"
        await self._give_back(self._keys(claim.id), arguments)

    async def end(self, id: str, ticket: str) -> None:  # noqa: A002 - the service's own word
        """Record that a task has ended, so that no copy of it runs."""
        await self._redis.hset(self._keys(id)[0], f"over:{ticket}", "1")

    async def forget(self, id: str) -> None:  # noqa: A002 - the service's own word
        """Let the record of a task expire in a week."""
        await self._redis.expire(self._keys(id)[0], _WEEK)

    def _keys(self, id: str) -> tuple[str, str]:  # noqa: A002 - the service's own word
        # The braces put both keys into the same hash slot of a cluster.
        key = f"{self._prefix}:task:{{{id}}}"
        return key, f"{key}:claim"
