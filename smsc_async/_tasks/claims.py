"""Whose turn it is: at any time one worker at most holds a task, and each knows whether another may have sent it."""

import secrets
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

__all__ = ["Busy", "Claim", "Claims", "Over"]

# A copy of a task that has ended must not do it over again, least of all one that was told to have failed.
# Who holds a task answers for it until its lease ends. Whatever he does may be a send, so the doubt is entered first.
_TAKE: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 1 then return {0, 0, -1} end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) and redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return {0, 0, redis.call('PTTL', KEYS[2])}
end
local unresolved = redis.call('HGET', KEYS[1], 'unresolved') == '1'
redis.call('HSET', KEYS[1], 'unresolved', 1)
return {redis.call('HINCRBY', KEYS[1], 'tries', 1), unresolved and 1 or 0, 0}
"""
# Who has lost his lease meanwhile has no word about the doubt: it may be that of the next one.
_GIVE_BACK: Final = """
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
  if ARGV[2] == 'unsent' then redis.call('HSET', KEYS[1], 'unresolved', 0) end
end
return 0
"""
_WEEK: Final = 604_800


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a task until its lease ends.

    Attributes:
        id: The message id of the task.
        token: Whose right it is.
        tries: Which claim to this task it is.
        unresolved: Whether an earlier worker may have sent the message.
    """

    id: str
    token: str
    tries: int
    unresolved: bool


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker has the right.

    Attributes:
        retry_after: Seconds until its lease ends.
    """

    retry_after: float


class Over:
    """The task has ended; this is a copy of it."""


class Claims:
    """The claims of all workers, in Redis.

    Args:
        redis: The client.
        prefix: What the names of the keys start with.
        lease: Seconds for which a claim holds; a worker that is killed keeps its claims for so long.
    """

    def __init__(self, redis: Redis, prefix: str, lease: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._lease = lease
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    async def take(self, id: str, ticket: str) -> Claim | Busy | Over:  # noqa: A002 - the service's own word
        """Claim a task; the ticket is the same for all copies of it, and another one if its id is queued once more."""
        token = secrets.token_hex(16)
        arguments = (token, round(self._lease * 1000), f"over:{ticket}")
        tries, unresolved, left = await self._take(self._keys(id), arguments)
        if tries:
            return Claim(id, token, tries, bool(unresolved))
        return Over() if left < 0 else Busy(left / 1000)

    async def give_back(self, claim: Claim, *, unsent: bool) -> None:
        """Let others have the task; `unsent` says that nobody has sent the message, for sure."""
        await self._give_back(self._keys(claim.id), (claim.token, "unsent" if unsent else "unknown"))

    async def end(self, id: str, ticket: str) -> None:  # noqa: A002 - the service's own word
        """Note that a task has ended, so that no copy of it is taken up."""
        await self._redis.hset(self._keys(id)[0], f"over:{ticket}", "1")

    async def forget(self, id: str) -> None:  # noqa: A002 - the service's own word
        """Let the memory of a task expire a week from here."""
        await self._redis.expire(self._keys(id)[0], _WEEK)

    def _keys(self, id: str) -> tuple[str, str]:  # noqa: A002 - the service's own word
        # In a cluster the braces keep both in one slot.
        key = f"{self._prefix}:task:{{{id}}}"
        return key, f"{key}:claim"
