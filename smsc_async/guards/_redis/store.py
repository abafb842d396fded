"""The guard store in Redis or Valkey, for all processes and machines that send for the same accounts."""

import asyncio
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from math import inf, isinf
from typing import Final, Self

import anyio
from pydantic import SecretBytes, SecretStr
from redis.asyncio import Redis, RedisCluster

from smsc_async._frames import without_arguments
from smsc_async._model import Backoff, GuardStoreError, is_seconds, wrong
from smsc_async.guards._limits import Limit, Release
from smsc_async.guards._store import Demand, Refusal, Reservation, RuleState

from .heartbeat import Heartbeat
from .ledger import Flights, Proofs
from .link import Link, connecting
from .scripts import Epoch, Names, ScriptCall, acquiring, joined, pepper_of, releasing, span_of, trusted
from .snapshot import read_states

__all__ = ["RedisStore"]

_log = logging.getLogger("smsc_async")

_NO_RELEASE: Final = Release()
_MICROSECONDS: Final = 1_000_000
# A request may arrive `late_arrival` and this many seconds after its reservation has expired.
_SLACK: Final = 5.0
_BATCH: Final = 64
# Seconds for which requests without a deadline wait for the end of a failover.
_FAILOVER_WITHIN: Final = 30.0
_LOOK_EVERY: Final = 30.0
# Seconds by which the epoch outlives everything that was reserved under it.
_EPOCH_OUTLIVES: Final = 43_200.0
# A request that waits for requests in flight retries after the first pause, which grows to the longest one.
_BACKOFF: Final = Backoff(0.02, 0.25, growth=1.5, jitter=0.5)
_JITTER: Final = 0.001, 0.03


class RedisStore:
    """Stores histories in Redis or Valkey and counts the requests of all clients that share it together.

    One script reserves all slots of a request at once, at the server's time; another one releases them in the
    background. The slots of a process that dies in flight stay reserved until its lease ends (the `hold` of the
    reservation, at most `max_hold`, plus `late_arrival` plus 5 s). Its requests then count as arrived at that moment.

    There is no queue in Redis: a refused request retries. At a gate the last slot is left to a process that has
    been refused there for a while and holds no more slots than the others, so that no process starves.

    All keys share one hash tag, so a cluster stores them in one hash slot: clients of several accounts may share an
    address, and its slots are reserved together with theirs. Every key expires. Rules, `max_hold` and `late_arrival`
    must be the same in all processes. Slew the server's clock: steps ahead shorten the windows, steps back extend them.

    The first process trusts a Redis that holds no histories: start it a few minutes after the last requests that were
    not counted there. Later the store detects a loss of histories (a flush, a restart even with persistence, a
    failover) and waits until the lost histories can't matter. Until then requests raise `GuardStoreError`, whose
    `retry_after` is the rest of this time. It begins with `base`: 30 s, or more if a process reports that its requests
    from before the loss may be in flight for longer, until they have ended. All processes look for a loss every 10 s
    while they have requests in flight, and one that can't report starts no request.

    | rule | after the loss |
    | --- | --- |
    | `in_flight`, `status_in_flight` | `base` |
    | `login_failures`, `address_failures` | 0: one login at a time; credentials that a process has proved are exempt |
    | `bad_sends` | 0: one message at a time until one is accepted; lists wait for that, or as in the next row |
    | all other windows and streaks | `base` plus the rule's seconds |
    | `blocked`, `spend` | 0: the next answer reports a block again; what was spent is forgotten |

    Args:
        client: A `Redis` or, for a cluster, `RedisCluster` of `redis.asyncio`; the store does not close it.
        prefix: The prefix of the key names: letters, digits, and `_ . : -`.
        salt: A secret of the deployment, the same in all processes: those with another one count separately. None
            for the environment variable SMSC_GUARD_SALT. Without it the whole hash key is stored in the same Redis, so
            anyone who can read Redis can check whether a key belongs to a phone or text that they guess.
        timeout: Seconds for each answer of Redis.
        max_hold: The maximum seconds for which a reservation without a deadline is valid.
        late_arrival: The same as in `Guards`.

    Raises:
        ValueError: A number is out of range, the salt is empty, or the prefix contains other characters.
    """

    @without_arguments
    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        prefix: str = "smsc",
        salt: str | bytes | SecretStr | SecretBytes | None = None,
        timeout: float = 2.0,
        max_hold: float = 600.0,
        late_arrival: float = 5.0,
    ) -> None:
        self._link = Link(client, None, timeout)
        if not is_seconds(max_hold) or not max_hold:
            raise wrong("max_hold", "a number of seconds, more than 0", max_hold)
        if not is_seconds(late_arrival):
            raise wrong("late_arrival", "a number of seconds, at least 0", late_arrival)
        self._names = Names(prefix)
        self._prefix = prefix
        self._pepper = pepper_of(salt)
        self._max_hold = max_hold
        self._overtime = late_arrival + _SLACK
        self._epoch: Epoch | None = None
        self._salt: bytes | None = None
        self._trusted_until = -inf
        self._look_at = -inf
        self._proofs = Proofs(time.monotonic)
        self._flights = Flights(time.monotonic)
        self._heartbeat = Heartbeat(self._beat, lambda: self._flights.is_reporting)
        self._queue: deque[ScriptCall] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._carried: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<smsc_async.guards.RedisStore prefix={self._prefix!r}>"

    @classmethod
    @without_arguments
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "smsc",
        salt: str | bytes | SecretStr | SecretBytes | None = None,
        timeout: float = 2.0,
        max_hold: float = 600.0,
        late_arrival: float = 5.0,
    ) -> Self:
        """Create a store from a Redis URL: `redis://[user:password@]host:port/db`, `rediss://` or `unix://`.

        Raises:
            ValueError: The URL is invalid, a number is out of range, or the prefix contains other characters.
        """
        make = partial(connecting, url, timeout)
        client = make()
        store = cls(client, prefix=prefix, salt=salt, timeout=timeout, max_hold=max_hold, late_arrival=late_arrival)
        store._link = Link(client, make, timeout)
        return store

    @property
    def salt(self) -> bytes | None:
        """The key of the hashes, created by the first client of these histories; None until the store is open."""
        return self._salt if time.monotonic() < self._trusted_until else None

    def rebind(self) -> None:
        """Bind to the running event loop; drop the connections of another one."""
        with suppress(GuardStoreError):  # not asyncio's; the first request raises it
            self._link.take_up()
            self._send_soon()

    async def open(self) -> bytes:
        """Connect, and return the salt.

        Raises:
            GuardStoreError: Redis can't be reached or can't hold histories, or the event loop isn't asyncio's.
        """
        self._look_at = -inf
        known = None if self.salt is None else self._epoch
        line = trusted(await self._ask((), "", known, 0.0, _FAILOVER_WITHIN))
        if line.startswith("epoch "):
            self._begin(line, known)
        assert self._salt is not None  # noqa: S101 - Redis returns an epoch if the caller knows none
        return self._salt

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:
        """Reserve the slots of a request, all or none.

        Raises:
            GuardStoreError: Redis can't be reached or has lost histories, so nothing may be sent.
        """
        if self._epoch is None:
            await self.open()
        self._link.take_up()
        within = _FAILOVER_WITHIN if isinf(hold) else hold
        hold = min(hold, self._max_hold)
        expires = anyio.current_time() + hold
        lease = hold + self._overtime
        token = self._flights.token()
        known, asked = self._epoch, time.monotonic()
        try:
            line = await self._ask(demands, token, known, lease, within)
            if line.startswith("epoch ") and self._begin(line, known):
                known, asked = self._epoch, time.monotonic()
                line = await self._ask(demands, token, known, lease, expires - anyio.current_time())
        except BaseException:
            self._give_up(demands, token, lease)
            raise
        kind, *numbers = trusted(line, demands).split()
        if kind == "refused":
            delay = int(numbers[1])
            return Refusal(demands[int(numbers[0]) - 1], delay / _MICROSECONDS if delay >= 0 else inf)
        if kind != "granted":
            raise GuardStoreError("the histories in Redis were replaced; nothing was sent, try again", retry_after=0.0)
        started, *granted = map(int, numbers)
        self._proofs.see(demands, granted, asked)
        self._flights.start(token, lease, lost=known != self._epoch)
        self._heartbeat.start(self._link.take_up())
        return Reservation(demands, [max(amount, 0) for amount in granted], started / _MICROSECONDS, token, expires)

    def release(self, reservation: Reservation, releases: Sequence[Release]) -> None:
        """Apply the release of each demand of a reservation, soon; a second call releases only held slots."""
        if reservation.token not in self._flights:
            return
        self._flights.end(reservation.token, releases)
        renewed = self._proofs.note(reservation, releases)
        self._queue.append(releasing(self._names, reservation, releases, renewed))
        pairs = zip(reservation.amounts, releases, strict=True)
        reservation.amounts[:] = [amount if release.hold else 0 for amount, release in pairs]
        self._send_soon()

    async def flush(self) -> None:
        """Wait until all releases are in Redis or were given up."""
        try:
            loop = self._link.take_up()
        except GuardStoreError:  # nothing was released on this event loop
            return
        self._send_soon()
        while busy := [
            sending
            for sending in (*self._carried, self._sender)
            if sending is not None and sending.get_loop() is loop and not sending.done()
        ]:
            await asyncio.wait(busy)

    def pause(self, delay: float, tries: int) -> float:
        """Return the seconds until the next attempt: the delay, or a short pause if requests in flight determine it."""
        if isinf(delay):
            return _BACKOFF.pause(tries)
        return max(delay, 0.0) + random.uniform(*_JITTER)  # noqa: S311 - jitter

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return the state of each rule; of more than ten thousand keys only some are examined.

        Raises:
            GuardStoreError: Redis can't be reached.
        """
        self._link.take_up()
        return (await self._link.reach(partial(read_states, self._link.client, self._names.start, limits)))[1]

    async def aclose(self) -> None:
        """Flush, and close the connections that the store has opened; the histories stay."""
        await self._heartbeat.stop()
        if self._flights.is_over:
            await self._beat()
        await self.flush()
        await self._link.aclose()

    async def _ask(
        self, demands: Sequence[Demand], token: str, known: Epoch | None, lease: float, within: float
    ) -> str:
        """Request slots, and send queued releases in the same round trip; return the answer.

        During a failover the request is repeated for `within` seconds.
        """
        self._link.take_up()
        now = time.monotonic()
        salt = secrets.token_hex(16) if self._epoch is None else self._epoch.salt
        proofs = {demand.proof for demand in demands if demand.proof is not None}
        report = self._flights.report()
        call = acquiring(
            self._names,
            demands,
            token,
            known=known,
            fresh=Epoch(secrets.token_hex(16), salt),
            lease=lease,
            report=report,
            look=now >= self._look_at,
            proven={proof: self._proofs.left(proof) for proof in proofs},
        )
        released = self._take_batch()
        line = await (self._carrying(released, call, within) if released else self._link.run(call, within=within))
        if line != "silent" and not line.startswith("evicting "):
            self._look_at = now + _LOOK_EVERY if now >= self._look_at else self._look_at
            self._trusted_until = max(self._trusted_until, now + span_of(demands) + lease + _EPOCH_OUTLIVES)
        if known is not None and not line.startswith("epoch "):
            self._flights.reported(report)
        return line

    async def _carrying(self, released: list[ScriptCall], call: ScriptCall, within: float) -> str:
        arrived = asyncio.get_running_loop().create_future()
        self._carried.add(arrived)
        try:
            return await self._link.run(joined(released), call, within=within)
        except BaseException:
            self._queue.extendleft(reversed(released))
            self._send_soon()
            raise
        finally:
            self._carried.remove(arrived)
            arrived.set_result(None)

    def _begin(self, line: str, known: Epoch | None) -> bool:
        """Begin the epoch of this answer; return whether its salt is that of the epoch that the caller knew."""
        before = self._epoch
        self._epoch = epoch = Epoch(*line.split()[1:])
        if before is not None and before != epoch:
            self._flights.lose()
        if before is None or before.salt != epoch.salt:
            self._salt = blake2b(bytes.fromhex(epoch.salt), key=self._pepper, digest_size=32).digest()
            self._proofs.clear()
        return known is not None and known.salt == epoch.salt

    async def _beat(self) -> None:
        """Look for a loss, and report until when requests from before it may be in flight."""
        for _ in range(2):  # the first answer may be another epoch, for which the report is repeated
            known = self._epoch
            with suppress(GuardStoreError):  # the next heartbeat or the next request retries
                line = await self._ask((), self._flights.token(), known, 0.0, 0.0)
                if not line.startswith("epoch "):
                    return
                self._begin(line, known)

    def _give_up(self, demands: Sequence[Demand], token: str, lease: float) -> None:
        """Release slots whose reservation has an unknown outcome, also if the script that reserves them runs later."""
        amounts = [demand.amount for demand in demands]
        reservation = Reservation(demands, amounts, 0.0, token)
        self._queue.append(releasing(self._names, reservation, [_NO_RELEASE] * len(demands), set(), lease))
        self._send_soon()

    def _send_soon(self) -> None:
        loop = self._link.take_up()
        idle = self._sender is None or self._sender.done() or self._sender.get_loop() is not loop
        if idle and self._queue:
            self._sender = loop.create_task(self._send(), name="smsc_async: release in Redis")

    async def _send(self) -> None:
        while batch := self._take_batch():
            try:
                await self._link.run(joined(batch), within=_FAILOVER_WITHIN)
            except GuardStoreError as error:
                _log.warning("%d requests keep their slots until their leases end: %s", len(batch), error)
            except asyncio.CancelledError:  # the event loop ends; another one may send them
                self._queue.extendleft(reversed(batch))
                raise

    def _take_batch(self) -> list[ScriptCall]:
        queue = self._queue
        return [queue.popleft() for _ in range(min(len(queue), _BATCH))]
