"""How the service executes a request: completely, when it arrives.

The order of the checks: blocked IP address (4), credentials (1, 2), parameters (1, 5), limits (9), recipients
(6, 7, 8, 9), money (3). An authenticated request counts towards the limits even if it is refused; one with bad
parameters (1, 5) identifies nothing to count, so it only holds a slot in flight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from ._accounting import Key
from ._accounts import Account
from ._delivery import DeliveryPlan
from ._fields import Answer, ServiceError, Value, plain, read_text, refuse
from ._limits import LimitUse
from ._messages import AcceptedMessage, details, report
from ._orders import Draft, Order
from ._recipients import canonical
from ._state import State

__all__ = ["CREDENTIALS", "METHODS", "Executor", "Visit"]

CREDENTIALS = ("login", "psw", "apikey")
METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "send_sms": (*CREDENTIALS, "phones", "mes", "id", "sender", "time"),
        "send_sms2": (*CREDENTIALS, "phones", "mes", "id", "sender", "time", "query"),
        "get_sms_cost": (*CREDENTIALS, "phones", "mes"),
        "get_sms_cost2": (*CREDENTIALS, "phones", "mes", "query"),
        "get_status": (*CREDENTIALS, "phone", "id", "all"),
        "get_status2": (*CREDENTIALS, "phone", "id", "all", "query"),
        "get_balance": CREDENTIALS,
    }
)
"""The methods and their fields; other fields are ignored, as in PHP's SoapServer."""

_STATUS_METHODS = frozenset({"get_status", "get_status2"})
_WRONGCREDENTIALS = 2
_WRONG_CREDENTIALS = 2
_NO_MONEY = 3
_BLOCKED = 4
_TOO_OFTEN = 9
_BAD = frozenset({6, 7, 8})
_WITH_ID = _BAD | {_NO_MONEY}


@dataclass(slots=True)
class Visit:
    """A request that the service executes.

    Attributes:
        method: Its method.
        fields: Its known fields.
        now: Unix time of its arrival.
        source: The IP address that it comes from.
        number: Its number.
        crowd: The limit of requests in flight that it exceeds, if any.
    """

    method: str
    fields: Mapping[str, Value]
    now: float
    source: str
    number: int
    crowd: LimitUse | None = None


class Executor:
    """Executes requests.

    Args:
        state: What the service remembers.
        delivery: The delivery results of accepted messages.
    """

    def __init__(self, state: State, delivery: DeliveryPlan) -> None:
        self._state = state
        self._delivery = delivery

    def execute(self, visit: Visit) -> Answer:
        """Execute a request."""
        try:
            account = self._authenticate(visit)
        except ServiceError as refusal:
            self._state.counts[visit.method, refusal.code] += 1
            return _refused(refusal)
        return self.serve(visit, account)

    def serve(self, visit: Visit, account: Account) -> Answer:
        """Execute a request of a customer."""
        is_status = visit.method in _STATUS_METHODS
        ticket, visit.crowd = self._state.limiter.enter(account.login, visit.number, is_status=is_status)
        first = self._state.outbox.last_key + 1
        try:
            fields = self._answer(visit, account)
            keys = tuple(range(first, self._state.outbox.last_key + 1))
            answer = Answer(fields, ticket=ticket, login=account.login, messages=keys)
        except ServiceError as refusal:
            answer = _refused(refusal, ticket, account.login)
        self._state.counts[visit.method, answer.error] += 1
        return answer

    def _authenticate(self, visit: Visit) -> Account:
        block = self._state.limiter.block(visit.source, visit.now)
        if block is not None:
            refuse(_BLOCKED, excess=block)
        login, psw, apikey = (read_text(visit.fields, name) for name in CREDENTIALS)
        try:
            return self._state.accounts.find(login=login, psw=psw, apikey=apikey)
        except ServiceError as refusal:
            if refusal.code == _WRONG_CREDENTIALS:  # missing credentials (1) are not a failed attempt
                self._state.limiter.fail("login_failures", visit.source, visit.now, visit.number)
            raise

    def _answer(self, visit: Visit, account: Account) -> dict[str, Value]:
        if visit.method == "get_balance":
            self._admit("balance", (account.login,), visit)
            return {"balance": plain(self._state.accounts.balances[account.login])}
        if visit.method in _STATUS_METHODS:
            return self._status(visit, account)
        order = Order.read(visit.fields, account, now=visit.now)
        if visit.method.startswith("get_sms_cost"):
            self._admit("identical_cost", (account.login, order.identity), visit)
            return _quote(order)
        return self._send(order, visit, account)

    def _admit(self, rule: str, key: Key, visit: Visit) -> None:
        """Count a request, and refuse it if it exceeds the limit or those of requests in flight."""
        excess = self._state.limiter.excess(rule, key, visit.now, visit.number) or visit.crowd
        if excess is not None:
            refuse(_TOO_OFTEN, excess=excess)

    def _status(self, visit: Visit, account: Account) -> dict[str, Value]:
        phone, id_, detail = (read_text(visit.fields, name) for name in ("phone", "id", "all"))
        read_text(visit.fields, "query")
        if not (phone and id_) or detail not in {"", "0", "1", "2"}:
            refuse(1)
        self._admit("status", (account.login, canonical(phone), id_), visit)
        message = self._state.outbox.find(account.login, phone, id_)
        if message is None:
            raise ServiceError(3, reason="there is no such message")
        return report(message, now=visit.now, detail=int(detail or 0), zone=account.timezone())

    def _send(self, order: Order, visit: Visit, account: Account) -> dict[str, Value]:
        excess = self._state.limiter.excess("identical_send", (account.login, order.identity), visit.now, visit.number)
        flood: LimitUse | None = None
        drafts = order.drafts
        if not order.is_quote:
            drafts, flood = self._count_messages(order.drafts, account, visit.now)
        excess = excess or visit.crowd
        if excess is not None:
            refuse(_TOO_OFTEN, excess=excess)
        if order.is_quote:
            return _quote(order)
        good = [draft for draft in drafts if not draft.refusal]
        cost = sum((draft.cost for draft in good), Decimal())
        refusal = self._charge(account, drafts, cost)
        self._count_bad_sends(drafts, visit, accepted=not refusal)
        id_ = order.id or self._next_id()
        errors = tuple((draft.phone, draft.refusal) for draft in drafts if draft.refusal)
        listed = errors if order.options.lists_errors else ()
        if refusal:
            raise ServiceError(
                refusal,
                id=id_ if refusal in _WITH_ID else "",
                errors=listed,
                excess=flood if refusal == _TOO_OFTEN else None,
            )
        phones: list[Value] = []
        for draft in drafts:
            if draft.refusal:
                phones.append({"phone": draft.phone, "error": str(draft.refusal)})
            else:
                phones.append(details(self._accept(id_, draft, order, account, visit), now=visit.now))
        asked: dict[str, Value] = {"phones": phones} if order.options.lists_phones else {}
        return self._sent_fields(id_, good, cost, order, account) | _errors(listed) | asked

    def _count_messages(
        self, drafts: tuple[Draft, ...], account: Account, now: float
    ) -> tuple[tuple[Draft, ...], LimitUse | None]:
        # A request counts once for each of its messages, and only the flooded subscriber is refused: with code 9 in
        # `errors`, or with error 9 of the request when there are no other recipients.
        excesses = [self._state.limiter.subscriber_excess(account.login, draft.phone, now) for draft in drafts]
        counted = tuple(
            draft if excess is None else draft.refused(_TOO_OFTEN)
            for draft, excess in zip(drafts, excesses, strict=True)
        )
        return counted, next(filter(None, excesses), None)

    def _charge(self, account: Account, drafts: Sequence[Draft], cost: Decimal) -> int:
        if all(draft.refusal for draft in drafts):
            return drafts[0].refusal
        return 0 if self._state.accounts.charge(account, cost) else _NO_MONEY

    def _count_bad_sends(self, drafts: Sequence[Draft], visit: Visit, *, accepted: bool) -> None:
        lines: dict[int, set[int]] = {}
        for draft in drafts:
            lines.setdefault(draft.line, set()).add(draft.refusal)
        for refusals in lines.values():
            if 0 not in refusals and refusals & _BAD:
                self._state.limiter.fail("bad_sends", visit.source, visit.now, visit.number)
            elif accepted and 0 in refusals:
                self._state.limiter.succeed("bad_sends", visit.source)

    def _next_id(self) -> str:
        self._state.last_id += 1
        return str(self._state.last_id)

    def _accept(self, id_: str, draft: Draft, order: Order, account: Account, visit: Visit) -> AcceptedMessage:
        life = self._delivery.draw(
            self._state.dice,
            phone=draft.phone,
            accepted_at=visit.now,
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
            accepted_at=visit.now,
            send_at=draft.send_at,
            parts=draft.parts,
            cost=draft.cost,
            login=account.login,
            life=life,
            key=self._state.outbox.last_key + 1,
            request=visit.number,
        )
        self._state.outbox.add(message)
        return message

    def _sent_fields(
        self, id_: str, good: Sequence[Draft], cost: Decimal, order: Order, account: Account
    ) -> dict[str, Value]:
        # The recorded answers have balance and cost by default; cost=2 asks for the cost only.
        balance: dict[str, Value] = {"balance": plain(self._state.accounts.balances[account.login])}
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


def _refused(refusal: ServiceError, ticket: int | None = None, login: str | None = None) -> Answer:
    id_: dict[str, Value] = {"id": refusal.id} if refusal.id else {}
    fields = id_ | {"error": str(refusal.code)} | _errors(refusal.errors)
    return Answer(fields, refusal.code, ticket, refusal.reason, login, refusal.excess)
