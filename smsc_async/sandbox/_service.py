"""The service itself: it takes the fields of a request and the time, and returns the fields of the answer."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from decimal import Decimal
from math import inf
from threading import Lock
from typing import Any

from smsc_async._protocol import mask_query

from ._accounts import Account, Accounts, account_as_json, account_of_json
from ._delivery import DeliveryPlan
from ._events import AccountPut, Arrival, Departure, Event, StatusSet, StoredMessages
from ._execution import CREDENTIALS, METHODS, Executor, Visit
from ._fields import Answer, Value
from ._limits import Limits, LimitUse
from ._messages import AcceptedMessage
from ._outbox import MessageFilter
from ._state import State
from ._status_schedule import StatusSchedule

__all__ = ["METHODS", "Service"]

_WRONG_CREDENTIALS = 2
_LIMITS = Limits()
_PLAN = DeliveryPlan()
_DEMO = Account.demo()


class Service:
    """The SMS Center service, without a network, a clock or a timer.

    The same seed and the same calls give the same answers.

    Args:
        accounts: The customers; by default one whose login, password and apikey are `demo`.
        limits: The limits enforced with errors 9 and 4.
        delivery: The delivery results of accepted messages.
        seed: Seed of the random numbers.
        keep: How many of the newest messages are kept, at least.
        event_log: Called with each event.

    Attributes:
        lock: Hold it while you use a service that other threads use too.
    """

    def __init__(
        self,
        *,
        accounts: Iterable[Account] = (_DEMO,),
        limits: Limits = _LIMITS,
        delivery: DeliveryPlan = _PLAN,
        seed: int = 0,
        keep: int = 100_000,
        event_log: Callable[[Event], None] | None = None,
    ) -> None:
        self._event_log = event_log
        self._state = State(accounts, limits, seed, keep)
        self._executor = Executor(self._state, delivery)
        self.lock: Lock = Lock()

    @property
    def counts(self) -> Counter[tuple[str, int]]:
        """How many requests were answered, by method and error code (0 for none)."""
        return self._state.counts

    @property
    def accounts(self) -> Accounts:
        """The customers."""
        return self._state.accounts

    @property
    def messages(self) -> Sequence[AcceptedMessage]:
        """The messages that are kept, in the order of their acceptance."""
        return self._state.outbox.messages

    @property
    def balances(self) -> Mapping[str, Decimal]:
        """The remaining balance of each login."""
        return self._state.accounts.balances

    @property
    def now(self) -> float:
        """Unix time of the last event, 0 if there was none."""
        return self._state.now

    @property
    def schedule(self) -> StatusSchedule:
        """The changes of status to come, once it is started."""
        return self._state.schedule

    @property
    def in_flight(self) -> int:
        """The number of requests that have arrived and not yet left."""
        return len(self._state.limiter.in_flight)

    def search(self, wanted: MessageFilter, now: float) -> list[AcceptedMessage]:
        """Return the messages that match, the newest first."""
        return self._state.outbox.search(wanted, now)

    def uses(self, now: float) -> list[LimitUse]:
        """Return each limit that something counts under at the moment."""
        return list(self._state.limiter.uses(now))

    def next_change(self, wanted: MessageFilter, now: float) -> float:
        """Return when a message takes the wanted status next, infinity for never; its other properties match."""
        waiting = self._state.outbox.search(replace(wanted, status=None), now)
        return min(
            (at for each in waiting for at, status, _ in each.life if at > now and status == wanted.status), default=inf
        )

    @property
    def last_key(self) -> int:
        """The key of the last message that was accepted, 0 for none."""
        return self._state.outbox.last_key

    def next_request(self) -> int:
        """Return the number of a request that has arrived."""
        self._state.requests += 1
        return self._state.requests

    def set_status(self, key: int, status: int, err: int, now: float) -> AcceptedMessage | None:
        """Change the status of a message; None if there is no such message."""
        self._state.now = now
        message = self._state.outbox.set_status(key, status, err, now)
        if message is not None and self._event_log is not None:
            self._event_log(StatusSet(key, status, err, now))
        return message

    def change_account(self, login: str, changes: Mapping[str, Any]) -> Account:
        """Change some attributes of a customer, or add one, and return it with its present balance.

        Raises:
            ValueError: A value is wrong, or another customer has this apikey.
        """
        changes = dict(changes)
        top_up = changes.pop("top_up", None)
        if top_up is not None:  # under the lock, so that no charge is lost
            changes["balance"] = changes.get("balance", self.balances.get(login, Decimal(0))) + top_up
        unknown = changes.keys() - {each.name for each in fields(Account)}
        if unknown:
            raise ValueError(f"{min(unknown)} is not an attribute of an account")
        before = self.accounts.get(login)
        if before is None:
            account = Account(**{"login": login, "password": "", **changes})
        else:
            account = replace(before, **{"balance": self.balances[login], **changes})
        self.accounts.put(account)
        if self._event_log is not None:
            self._event_log(AccountPut(account_as_json(account)))
        return account

    def delete_messages(self) -> None:
        """Forget all messages; write a snapshot then, because the event log still has them."""
        self._state.outbox.clear()

    def reset(self) -> None:
        """Begin anew; write a snapshot then, because the event log still has what was before."""
        self._state.reset()

    def snapshot(self) -> Iterator[Event]:
        """Yield events that lead to the present state."""
        return self._state.snapshot()

    def arrive(
        self,
        method: str,
        fields: Mapping[str, Value],
        *,
        now: float,
        source: str = "127.0.0.1",
        number: int | None = None,
    ) -> Answer:
        """Execute a request.

        Args:
            method: One of `METHODS`.
            fields: The children of the body element.
            now: Unix time of the arrival.
            source: The IP address that it comes from, which may be blocked with error 4.
            number: The number of the request, by default the next one.

        Returns:
            The answer; pass it to `leave` when the answer is sent or the connection is cut.

        Raises:
            KeyError: There is no such method.
        """
        known = {name: fields[name] for name in METHODS[method] if name in fields}
        visit = Visit(method, known, now, source, self.next_request() if number is None else number)
        self._state.now = now
        answer = self._executor.execute(visit)
        if self._event_log is not None:
            self._event_log(Arrival(method, now, source, answer.login, answer.error, _private(known), visit.number))
        return answer

    def leave(self, answer: Answer) -> None:
        """Release the slot of a request that leaves the service."""
        if answer.ticket is not None:
            self._state.limiter.in_flight.free(answer.ticket)
            self._write_departure(answer.ticket)

    def replay(self, past: Iterable[Event]) -> float:
        """Replay an event log; requests that were in flight at its end leave.

        Returns:
            The Unix time of the last event, 0 if there was none.

        Raises:
            ValueError: The event log names a customer that this service does not have.
        """
        for event in past:
            self._repeat(event)
        if self.in_flight:
            self._state.limiter.in_flight.clear()
            self._write_departure(None)  # otherwise the next replay would still see them in flight
        return self._state.now

    def _repeat(self, event: Event) -> None:
        if isinstance(event, Departure):
            if event.ticket is None:
                self._state.limiter.in_flight.clear()
            else:
                self._state.limiter.in_flight.free(event.ticket)
        elif isinstance(event, Arrival):
            self._state.requests = max(self._state.requests, event.request)
            self._state.now = event.now
            self._repeat_arrival(event)
        elif isinstance(event, StatusSet):
            self._state.now = event.now
            self._state.outbox.set_status(event.key, event.status, event.err, event.now)
        elif isinstance(event, AccountPut):
            self.accounts.put(account_of_json(event.account))
        elif isinstance(event, StoredMessages):
            for message in event.messages():
                self._state.outbox.add(message)
        else:
            self._state.restore(event.snapshot)

    def _repeat_arrival(self, event: Arrival) -> None:
        if event.login is not None:
            visit = Visit(event.method, event.fields, event.now, event.source, event.request)
            self._executor.serve(visit, self.accounts.named(event.login))
            return
        if event.error == _WRONG_CREDENTIALS:
            self._state.limiter.fail("login_failures", event.source, event.now, event.request)
        self.counts[event.method, event.error] += 1

    def _write_departure(self, ticket: int | None) -> None:
        if self._event_log is not None:
            self._event_log(Departure(ticket))


def _private(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Return the fields of a request without credentials; they have the same effect."""
    private = {name: value for name, value in fields.items() if name not in CREDENTIALS}
    query = private.get("query")
    if query is not None:
        private["query"] = mask_query(query) if isinstance(query, str) else []  # which is wrong, whatever it contains
    return private
