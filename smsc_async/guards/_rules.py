"""The rules of the guards: the limit of each, and its policy for requests over it; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Final, Literal, Self, TypeAlias

from smsc_async._model import (
    BAD_SENDS,
    BALANCE,
    IDENTICAL_COST,
    IDENTICAL_SEND,
    IN_FLIGHT,
    LOGIN_FAILURES,
    STATUS,
    STATUS_IN_FLIGHT,
    SUBSCRIBER,
    is_count,
    is_seconds,
    is_whole,
    wrong,
)

from ._limits import BlockLimit, Limit, LoginLimit, SpendLimit, StreakLimit, WindowLimit
from ._spend import DAY, MOST_UNITS, UNITS

__all__ = ["Policy", "Rule", "Rules", "Spend", "check_numbers"]

Policy: TypeAlias = Literal["wait", "raise", "off"]
"""What the guards do with a request over a limit: make it wait, refuse it, or ignore the limit."""

_POLICIES: Final = frozenset({"wait", "raise", "off"})
_TRIES: Final = 3
_LATEST: Final = 60.0
_LEAST: Final = 1 / Decimal(UNITS)
_MOST: Final = MOST_UNITS // UNITS


def check_numbers(*, max_wait: float | None, late_arrival: float, max_waiters: int = 0, **others: object) -> None:
    """Raise a `ValueError` for the first of the numbers of guards that is out of range."""
    if not is_seconds(late_arrival) or late_arrival > _LATEST:
        raise wrong("late_arrival", f"a number of seconds, 0 to {_LATEST:g}", late_arrival)
    if max_wait is not None and not is_seconds(max_wait):
        raise wrong("max_wait", "a number of seconds, at least 0, or None for no limit", max_wait)
    if not is_whole(max_waiters):
        raise wrong("max_waiters", "a whole number, at least 0", max_waiters)
    for name, number in others.items():
        if not is_seconds(number):
            raise wrong(name, "a number, at least 0", number)


def _check_policy(policy: object) -> None:
    if not isinstance(policy, str) or policy not in _POLICIES:
        raise ValueError("policy must be 'wait', 'raise' or 'off'")


def _is_amount(value: object) -> bool:
    if not isinstance(value, Decimal | int) or isinstance(value, bool):
        return False
    return Decimal(value).is_finite() and _LEAST <= value <= _MOST


def _is_spend(value: object) -> bool:
    return value is None or isinstance(value, Spend)


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit and its policy.

    Attributes:
        count: The maximum number of requests.
        seconds: The period in seconds; 0 for a limit of requests in flight.
        policy: `wait`, `raise` or `off`.

    Raises:
        ValueError: A number is out of range, or the policy is none of the three.
    """

    count: int
    seconds: float = 0.0
    policy: Policy = "wait"

    def __post_init__(self) -> None:
        if not is_count(self.count):
            raise wrong("count", "a whole number, at least 1; to switch a rule off, pass policy='off'", self.count)
        if not is_seconds(self.seconds):
            raise wrong("seconds", "a number of seconds, at least 0", self.seconds)
        _check_policy(self.policy)


@dataclass(frozen=True, slots=True)
class Spend:
    """The most money that the messages of an account may cost.

    Attributes:
        amount: The amount in the account's currency, at most 1,000,000,000.
        per: The period; `day` is any 24 hours.
        policy: `wait`, `raise` or `off`.

    Raises:
        ValueError: The amount is not a positive Decimal or int, or another argument is none of these.
    """

    amount: Decimal | int
    per: Literal["day"] = "day"
    policy: Policy = "raise"

    def __post_init__(self) -> None:
        if not _is_amount(self.amount):
            raise ValueError(
                "the amount must be a Decimal or an int, 0.0001 to 1,000,000,000: pass Spend(Decimal('500'))"
            )
        if self.per != "day":
            raise ValueError("per must be 'day': any 24 hours")
        _check_policy(self.policy)

    @property
    def limit(self) -> SpendLimit:
        """The limit in units, rounded down."""
        return SpendLimit(int((Decimal(self.amount) * UNITS).to_integral_value(ROUND_FLOOR)), DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of the guards; a rule that isn't passed has the service's limit.

    Attributes:
        identical_send: Sends that differ only in id and credentials. Waiting would only send the message twice.
        identical_cost: Price requests that differ only in credentials.
        status: Status requests for one message.
        balance: Balance requests of an account.
        subscriber: Consecutive messages of an account to one subscriber, with gaps shorter than `seconds`.
        in_flight: Requests of an account in flight.
        status_in_flight: Status requests among them.
        login_failures: Errors 2 of the same credentials; requests go one at a time until these are accepted. Accepted
            ones are exempt until an error 2, or 30 minutes after the last answer that accepted them.
        address_failures: Errors 2 of one address, for all credentials together, with the same exemption.
        bad_sends: Consecutive errors 6, 7 and 8 of one address.
        blocked: After error 4 an address sends nothing for `seconds`, and for 30 minutes if it is still blocked then.
        spend: The cost of all messages of an account, None for no limit. Each send then requests its cost; one
            that stays unknown counts as the highest of the last 24 hours; if none is known, ten messages are sent.
    """

    identical_send: Rule = Rule(*IDENTICAL_SEND, "raise")
    identical_cost: Rule = Rule(*IDENTICAL_COST)
    status: Rule = Rule(*STATUS)
    balance: Rule = Rule(*BALANCE)
    subscriber: Rule = Rule(*SUBSCRIBER, "raise")
    in_flight: Rule = Rule(IN_FLIGHT)
    status_in_flight: Rule = Rule(STATUS_IN_FLIGHT)
    login_failures: Rule = Rule(_TRIES, LOGIN_FAILURES[1], "raise")
    address_failures: Rule = Rule(LOGIN_FAILURES[0] - 1, LOGIN_FAILURES[1], "raise")
    bad_sends: Rule = Rule(BAD_SENDS[0] - 1, BAD_SENDS[1], "raise")
    blocked: Rule = Rule(1, BAD_SENDS[2], "raise")
    spend: Spend | None = None

    def __post_init__(self) -> None:
        if not _is_spend(self.spend):
            raise ValueError("spend must be a Spend object: pass Rules(spend=Spend(Decimal('500')))")
        for field in fields(self):
            if field.name == "spend":
                continue
            rule: object = getattr(self, field.name)
            if not isinstance(rule, Rule):
                raise wrong(field.name, "a Rule, such as Rule(4, 60)", rule)
            at_once = field.name in {"in_flight", "status_in_flight"}
            if at_once == bool(rule.seconds):
                raise ValueError(
                    f"{field.name} limits requests in flight and has no period: pass Rule(count)"
                    if at_once
                    else f"{field.name} is a rate limit and needs a period in seconds: pass Rule(count, seconds)"
                )

    def with_policies(self, **policies: Policy) -> Self:
        """Return the same rules with other policies, passed by the names of the rules.

        Raises:
            ValueError: There is no such rule or policy.
        """
        unknown = policies.keys() - {field.name for field in fields(self)}
        if unknown:
            raise ValueError(f"there is no rule {', '.join(sorted(unknown))}")
        if self.spend is None and policies.pop("spend", "off") != "off":
            raise ValueError("the rule spend has no amount: pass Rules(spend=Spend(Decimal('500')))")
        changed = {name: replace(getattr(self, name), policy=policy) for name, policy in policies.items()}
        return replace(self, **changed)

    def limits(self, margin: float) -> Mapping[str, Limit]:
        """Return the limits of the rules that are not off, with `margin` seconds added to each window."""
        limits: dict[str, Limit] = {}
        for field in fields(self):
            rule: Rule | Spend | None = getattr(self, field.name)
            if rule is None or rule.policy == "off":
                continue
            if isinstance(rule, Spend):
                limits[field.name] = rule.limit
            elif field.name == "blocked":
                limits[field.name] = BlockLimit(rule.seconds, max(rule.seconds, LOGIN_FAILURES[2]), LOGIN_FAILURES[2])
            elif field.name == "subscriber":
                limits[field.name] = StreakLimit(rule.count, rule.seconds + margin)
            elif field.name == "login_failures":
                limits[field.name] = LoginLimit(rule.count, rule.seconds + margin)
            else:
                limits[field.name] = WindowLimit(rule.count, rule.seconds + margin if rule.seconds else 0.0)
        return limits
