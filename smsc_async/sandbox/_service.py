"""The service itself: it takes the fields of a request and the time, and returns the fields of the answer.

A request is executed completely when it arrives. The order of the checks: blocked IP address (4), credentials (1, 2),
parameters (1, 5), limits (9), recipients (6, 7, 8, 9), money (3). An authenticated request counts towards the limits
even if it is refused; one with bad parameters (1, 5) identifies nothing to count, so it only holds a slot in flight.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from ._accounting import Blocks, InFlight, Streaks, Turnstile
from ._accounts import Account, Accounts
from ._delivery import DeliveryPlan
from ._event_log import Arrival, Departure
from ._fields import Answer, ServiceError, Value, plain, read_text, refuse
from ._limits import Limits
from ._messages import AcceptedMessage, Outbox, details, report
from ._orders import Draft, Order
from ._recipients import canonical

__all__ = ["METHODS", "Service"]

_CREDENTIALS = ("login", "psw", "apikey")
METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "send_sms": (*_CREDENTIALS, "phones", "mes", "id", "sender", "time"),
        "send_sms2": (*_CREDENTIALS, "phones", "mes", "id", "sender", "time", "query"),
        "get_sms_cost": (*_CREDENTIALS, "phones", "mes"),
        "get_sms_cost2": (*_CREDENTIALS, "phones", "mes", "query"),
        "get_status": (*_CREDENTIALS, "phone", "id", "all"),
        "get_status2": (*_CREDENTIALS, "phone", "id", "all", "query"),
        "get_balance": _CREDENTIALS,
    }
)
"""The methods and their fields; other fields are ignored, as in PHP's SoapServer."""

_STATUS_METHODS = frozenset({"get_status", "get_status2"})
_WRONG_CREDENTIALS = 2
_NO_MONEY = 3
_TOO_OFTEN = 9
_BAD = frozenset({6, 7, 8})
_WITH_ID = _BAD | {_NO_MONEY}
_DEMO = Account.demo()
_LIMITS = Limits()
_PLAN = DeliveryPlan()


class Service:
    """The SMS Center service, without a network, a clock or a timer.

    The same seed and the same calls give the same answers.

    Args:
        accounts: The customers; by default one whose login, password and apikey are `demo`.
        limits: The limits enforced with errors 9 and 4.
        delivery: The delivery results of accepted messages.
        seed: Seed of the random numbers.
        event_log: Called with each arrival and departure.

    Attributes:
        counts: How many requests were answered, by method and error code (0 for none).
    """

    def __init__(
        self,
        *,
        accounts: Iterable[Account] = (_DEMO,),
        limits: Limits = _LIMITS,
        delivery: DeliveryPlan = _PLAN,
        seed: int = 0,
        event_log: Callable[[Arrival | Departure], None] | None = None,
    ) -> None:
        self._event_log = event_log
        self.counts: Counter[tuple[str, int]] = Counter()
        self._accounts = Accounts(accounts)
        self._delivery = delivery
        self._dice = random.Random(seed)  # noqa: S311 - delivery results, repeatable on purpose
        self._outbox = Outbox()
        self._last_id = 0
        self._identical_sends = Turnstile(limits.identical_send)
        self._identical_costs = Turnstile(limits.identical_cost)
        self._statuses = Turnstile(limits.status)
        self._balance_requests = Turnstile(limits.balance)
        self._subscribers = Streaks(limits.subscriber)
        self._in_flight = InFlight(limits)
        self._login_failures = Blocks(limits.login_failures)
        self._bad_sends = Blocks(limits.bad_sends)

    @property
    def messages(self) -> Sequence[AcceptedMessage]:
        """The messages accepted so far, in order."""
        return self._outbox.messages

    @property
    def balances(self) -> Mapping[str, Decimal]:
        """The remaining balance of each login."""
        return self._accounts.balances

    @property
    def in_flight(self) -> int:
        """The number of requests that have arrived and not yet left."""
        return len(self._in_flight)

    def arrive(self, method: str, fields: Mapping[str, Value], *, now: float, source: str = "127.0.0.1") -> Answer:
        """Execute a request.

        Args:
            method: One of `METHODS`.
            fields: The children of the body element.
            now: Unix time of the arrival.
            source: The IP address that it comes from, which may be blocked with error 4.

        Returns:
            The answer; pass it to `leave` when the answer is sent or the connection is cut.

        Raises:
            KeyError: There is no such method.
        """
        known = {name: fields[name] for name in METHODS[method] if name in fields}
        login: str | None = None
        try:
            account = self._authenticate(known, now, source)
        except ServiceError as refusal:
            answer = Answer(_refusal_fields(refusal), refusal.code)
            self.counts[method, answer.error] += 1
        else:
            login = account.login
            answer = self._serve(method, known, account, now, source)
        if self._event_log is not None:
            private = {name: value for name, value in known.items() if name not in _CREDENTIALS}
            self._event_log(Arrival(method, now, source, login, answer.error, private))
        return answer

    def leave(self, answer: Answer) -> None:
        """Release the slot of a request that leaves the service."""
        if answer.ticket is not None:
            self._in_flight.free(answer.ticket)
            self._write_departure(answer.ticket)

    def replay(self, past: Iterable[Arrival | Departure]) -> float:
        """Replay an event log; requests that were in flight at its end leave.

        Returns:
            The Unix time of the last arrival, 0 if there was none.

        Raises:
            ValueError: The event log names a customer that this service does not have.
        """
        last = 0.0
        for entry in past:
            if isinstance(entry, Departure):
                self._depart(entry.ticket)
                continue
            last = entry.now
            if entry.login is not None:
                account = self._accounts.named(entry.login)
                self._serve(entry.method, entry.fields, account, entry.now, entry.source)
                continue
            if entry.error == _WRONG_CREDENTIALS:
                self._login_failures.fail(entry.source, entry.now)
            self.counts[entry.method, entry.error] += 1
        if len(self._in_flight):
            self._depart(None)
            self._write_departure(None)  # otherwise the next replay would still see them in flight
        return last

    def _write_departure(self, ticket: int | None) -> None:
        if self._event_log is not None:
            self._event_log(Departure(ticket))

    def _depart(self, ticket: int | None) -> None:
        if ticket is None:
            self._in_flight.clear()
        else:
            self._in_flight.free(ticket)

    def _serve(self, method: str, fields: Mapping[str, Value], account: Account, now: float, source: str) -> Answer:
        ticket, fits = self._in_flight.take(account.login, is_status=method in _STATUS_METHODS)
        try:
            answer = Answer(self._answer(method, fields, account, now, source, crowded=not fits), ticket=ticket)
        except ServiceError as refusal:
            answer = Answer(_refusal_fields(refusal), refusal.code, ticket)
        self.counts[method, answer.error] += 1
        return answer

    def _authenticate(self, fields: Mapping[str, Value], now: float, source: str) -> Account:
        if self._login_failures.holds(source, now) or self._bad_sends.holds(source, now):
            refuse(4)
        login, psw, apikey = (read_text(fields, name) for name in _CREDENTIALS)
        try:
            return self._accounts.find(login=login, psw=psw, apikey=apikey)
        except ServiceError as refusal:
            if refusal.code == _WRONG_CREDENTIALS:  # missing credentials (1) are not a failed attempt
                self._login_failures.fail(source, now)
            raise

    def _answer(
        self, method: str, fields: Mapping[str, Value], account: Account, now: float, source: str, *, crowded: bool
    ) -> dict[str, Value]:
        if method == "get_balance":
            return self._balance(account, now, crowded=crowded)
        if method in _STATUS_METHODS:
            return self._status(fields, account, now, crowded=crowded)
        order = Order.read(fields, account, now=now)
        if method.startswith("get_sms_cost"):
            return self._cost(order, account, now, crowded=crowded)
        return self._send(order, account, now, source, crowded=crowded)

    def _balance(self, account: Account, now: float, *, crowded: bool) -> dict[str, Value]:
        if not self._balance_requests.admit(account.login, now) or crowded:
            refuse(_TOO_OFTEN)
        return {"balance": plain(self._accounts.balances[account.login])}

    def _status(self, fields: Mapping[str, Value], account: Account, now: float, *, crowded: bool) -> dict[str, Value]:
        phone, id_, detail = (read_text(fields, name) for name in ("phone", "id", "all"))
        read_text(fields, "query")
        if not (phone and id_) or detail not in {"", "0", "1", "2"}:
            refuse(1)
        if not self._statuses.admit((account.login, canonical(phone), id_), now) or crowded:
            refuse(_TOO_OFTEN)
        message = self._outbox.find(account.login, phone, id_)
        if message is None:
            refuse(3)
        return report(message, now=now, detail=int(detail or 0), zone=account.timezone())

    def _cost(self, order: Order, account: Account, now: float, *, crowded: bool) -> dict[str, Value]:
        if not self._identical_costs.admit((account.login, order.identity), now) or crowded:
            refuse(_TOO_OFTEN)
        return _quote(order)

    def _send(self, order: Order, account: Account, now: float, source: str, *, crowded: bool) -> dict[str, Value]:
        fresh = self._identical_sends.admit((account.login, order.identity), now)
        drafts = order.drafts if order.is_quote else self._count_messages(order.drafts, account, now)
        if crowded or not fresh:
            refuse(_TOO_OFTEN)
        if order.is_quote:
            return _quote(order)
        good = [draft for draft in drafts if not draft.refusal]
        cost = sum((draft.cost for draft in good), Decimal())
        refusal = self._charge(account, drafts, cost)
        self._count_bad_sends(drafts, source, now, accepted=not refusal)
        id_ = order.id or self._next_id()
        errors = tuple((draft.phone, draft.refusal) for draft in drafts if draft.refusal)
        listed = errors if order.options.lists_errors else ()
        if refusal:
            raise ServiceError(refusal, id=id_ if refusal in _WITH_ID else "", errors=listed)
        phones: list[Value] = []
        for draft in drafts:
            if draft.refusal:
                phones.append({"phone": draft.phone, "error": str(draft.refusal)})
            else:
                phones.append(details(self._accept(id_, draft, order, account, now), now=now))
        asked: dict[str, Value] = {"phones": phones} if order.options.lists_phones else {}
        return self._sent_fields(id_, good, cost, order, account) | _errors(listed) | asked

    def _count_messages(self, drafts: tuple[Draft, ...], account: Account, now: float) -> tuple[Draft, ...]:
        # A request counts once for each of its messages, and only the flooded subscriber is refused: with code 9 in
        # `errors`, or with error 9 of the request when there are no other recipients.
        return tuple(
            draft if self._subscribers.admit((account.login, draft.phone), now) else draft.refused(_TOO_OFTEN)
            for draft in drafts
        )

    def _charge(self, account: Account, drafts: Sequence[Draft], cost: Decimal) -> int:
        if all(draft.refusal for draft in drafts):
            return drafts[0].refusal
        return 0 if self._accounts.charge(account, cost) else _NO_MONEY

    def _count_bad_sends(self, drafts: Sequence[Draft], source: str, now: float, *, accepted: bool) -> None:
        lines: dict[int, set[int]] = {}
        for draft in drafts:
            lines.setdefault(draft.line, set()).add(draft.refusal)
        for refusals in lines.values():
            if 0 not in refusals and refusals & _BAD:
                self._bad_sends.fail(source, now)
            elif accepted and 0 in refusals:
                self._bad_sends.succeed(source)

    def _next_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _accept(self, id_: str, draft: Draft, order: Order, account: Account, now: float) -> AcceptedMessage:
        life = self._delivery.draw(
            self._dice,
            phone=draft.phone,
            accepted_at=now,
            send_at=draft.send_at,
            validity=order.options.validity,
            reports_reading=order.options.channel.reports_reading,
            virtual=account.virtual,
        )
        message = AcceptedMessage(
            id=id_,
            phone=draft.phone,
            text=draft.text,
            sender=draft.sender,
            channel=order.options.channel,
            accepted_at=now,
            send_at=draft.send_at,
            parts=draft.parts,
            cost=draft.cost,
            login=account.login,
            life=life,
        )
        self._outbox.add(message)
        return message

    def _sent_fields(
        self, id_: str, good: Sequence[Draft], cost: Decimal, order: Order, account: Account
    ) -> dict[str, Value]:
        # The recorded answers have balance and cost by default; cost=2 asks for the cost only.
        balance: dict[str, Value] = {"balance": plain(self._accounts.balances[account.login])}
        asked = {} if order.options.cost == 2 else balance  # noqa: PLR2004 - as documented for `cost`
        return {"id": id_} | asked | {"cost": plain(cost), "cnt": str(sum(draft.parts for draft in good))}


def _quote(order: Order) -> dict[str, Value]:
    # A quote charges nothing, so a number that a send would refuse for lack of money still has a price.
    good = [draft for draft in order.drafts if draft.refusal in {0, _NO_MONEY}]
    if not good:
        refuse(order.drafts[0].refusal)
    cost = sum((draft.cost for draft in good), Decimal())
    return {"cost": plain(cost), "cnt": str(sum(draft.parts for draft in good))}


def _errors(listed: Sequence[tuple[str, int]]) -> dict[str, Value]:
    entries: list[Value] = [{"phone": phone, "status": str(code)} for phone, code in listed]
    return {"errors": entries} if entries else {}


def _refusal_fields(refusal: ServiceError) -> dict[str, Value]:
    id_: dict[str, Value] = {"id": refusal.id} if refusal.id else {}
    return id_ | {"error": str(refusal.code)} | _errors(refusal.errors)
