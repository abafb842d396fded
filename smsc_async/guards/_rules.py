"""Which limits a request has to keep, and what is done at each; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
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
)

from ._limits import BlockLimit, Limit, StreakLimit, WindowLimit

__all__ = ["Policy", "Rule", "Rules"]

Policy: TypeAlias = Literal["wait", "raise", "off"]
"""What the guards do with a request over a limit: let it wait for its turn, refuse it, or look away."""

_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit and what is done about it.

    Attributes:
        count: How many requests.
        seconds: In how many seconds; 0 where requests in flight are counted.
        policy: `wait`, `raise` or `off`.

    Raises:
        ValueError: A number is out of range, or the policy is none of the three.
    """

    count: int
    seconds: float = 0.0
    policy: Policy = "wait"

    def __post_init__(self) -> None:
        if self.count < 1 or self.seconds < 0:
            raise ValueError("a rule counts 1 or more requests in 0 or more seconds; to switch it off say policy='off'")
        if self.policy not in {"wait", "raise", "off"}:
            raise ValueError("the policy of a rule is 'wait', 'raise' or 'off'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of the guards; a rule that isn't named keeps the service's own number.

    Attributes:
        identical_send: Sends that differ in nothing but id and credentials. Waiting would only send it twice later.
        identical_cost: The same for price requests.
        status: Status requests for one message.
        balance: Balance requests of an account.
        subscriber: Messages of an account to one subscriber, in a row with gaps under so many seconds.
        in_flight: Requests of an account at once.
        status_in_flight: Status requests among them.
        login_failures: Errors 2 of the same credentials. Credentials that have been accepted are free of this rule.
        address_failures: Errors 2 of one address, whoever causes them.
        bad_sends: Errors 6, 7 and 8 of one address in a row.
        blocked: After error 4 an address is silent for `seconds`, and 30 minutes if it is still blocked then.
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

    def __post_init__(self) -> None:
        for field in fields(self):
            at_once = field.name in {"in_flight", "status_in_flight"}
            if at_once == bool(getattr(self, field.name).seconds):
                raise ValueError(
                    f"{field.name} counts requests at once, so its seconds are 0"
                    if at_once
                    else f"{field.name} counts in a time, so it needs its seconds: Rule(count, seconds)"
                )

    def with_policies(self, **policies: Policy) -> Self:
        """Return the same rules with other policies, by the names of the rules.

        Raises:
            ValueError: There is no such rule or policy.
        """
        unknown = policies.keys() - {field.name for field in fields(self)}
        if unknown:
            raise ValueError(f"there is no rule {', '.join(sorted(unknown))}")
        changed = {name: replace(getattr(self, name), policy=policy) for name, policy in policies.items()}
        return replace(self, **changed)

    def limits(self, margin: float) -> Mapping[str, Limit]:
        """Return the limits of the rules that are not off, with so many seconds more than the service counts."""
        limits: dict[str, Limit] = {}
        for field in fields(self):
            rule: Rule = getattr(self, field.name)
            if rule.policy == "off":
                continue
            if field.name == "blocked":
                limits[field.name] = BlockLimit(rule.seconds, max(rule.seconds, LOGIN_FAILURES[2]), LOGIN_FAILURES[2])
            elif field.name == "subscriber":
                limits[field.name] = StreakLimit(rule.count, rule.seconds + margin)
            else:
                limits[field.name] = WindowLimit(rule.count, rule.seconds + margin if rule.seconds else 0.0)
        return limits
