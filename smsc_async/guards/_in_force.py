"""The limits that the loops of this package observe themselves, so that their requests don't wait in the guards."""

from dataclasses import dataclass
from typing import Final, Self

from ._guards import Guards
from ._rules import Rule, Rules

__all__ = ["LimitsInForce"]

_SERVICE: Final = Rules()


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """The numbers of the rules in force. The service keeps its own limits where a rule is off, or there are no guards.

    Attributes:
        status: The number of status requests for one message, and the seconds in which they count.
        identical_send: The seconds in which the same message is refused.
        in_flight: The number of requests of an account in flight.
        status_in_flight: The number of status requests among them.
        late_arrival: The seconds in which a request whose answer was lost may still arrive.
        lost_lasts: The seconds for which such a request may be in flight.
        bad_sends: The number of messages in flight, any of which may be refused; None if that rule is off.
    """

    status: tuple[int, float]
    identical_send: float
    in_flight: int
    status_in_flight: int
    late_arrival: float
    lost_lasts: float
    bad_sends: int | None

    @classmethod
    def of(cls, guards: Guards | None) -> Self:
        """Return the limits under these guards."""
        guards = Guards() if guards is None else guards
        rules = guards.rules
        status = _in_force(rules.status, _SERVICE.status)
        in_flight = _in_force(rules.in_flight, _SERVICE.in_flight).count
        return cls(
            status=(status.count, status.seconds + guards.margin),
            identical_send=_in_force(rules.identical_send, _SERVICE.identical_send).seconds + guards.margin,
            in_flight=in_flight,
            status_in_flight=min(in_flight, _in_force(rules.status_in_flight, _SERVICE.status_in_flight).count),
            late_arrival=guards.late_arrival,
            lost_lasts=guards.late_arrival + guards.margin,
            bad_sends=None if rules.bad_sends.policy == "off" else rules.bad_sends.count,
        )


def _in_force(rule: Rule, of_the_service: Rule) -> Rule:
    return of_the_service if rule.policy == "off" else rule
