"""The limits that loops keep by themselves are those of the rules, and the service's own where no rule is applied."""

from dataclasses import replace

import pytest

from smsc_async import Guards, Rule, Rules
from smsc_async.guards import LimitsInForce

OWN = LimitsInForce(
    status=(5, 61.2),
    identical_send=61.2,
    in_flight=14,
    status_in_flight=4,
    late_arrival=5.0,
    lost_lasts=6.2,
    bad_sends=99,
)


@pytest.mark.parametrize("guards", [None, Guards()])
def test_without_other_rules_they_are_those_of_the_service(guards: Guards | None) -> None:
    assert LimitsInForce.of(guards) == OWN


def test_they_are_the_numbers_of_the_rules_with_the_margin() -> None:
    rules = Rules(status=Rule(4, 300), identical_send=Rule(1, 20, "raise"), in_flight=Rule(9), status_in_flight=Rule(2))
    rules = replace(rules, bad_sends=Rule(30, 600, "raise"))
    assert LimitsInForce.of(Guards(rules=rules, margin=2.0, late_arrival=30.0)) == LimitsInForce(
        status=(4, 302.0),
        identical_send=22.0,
        in_flight=9,
        status_in_flight=2,
        late_arrival=30.0,
        lost_lasts=32.0,
        bad_sends=30,
    )


def test_status_requests_are_never_more_than_all_requests() -> None:
    limits = LimitsInForce.of(Guards(rules=Rules(in_flight=Rule(2))))
    assert (limits.in_flight, limits.status_in_flight) == (2, 2)


def test_the_service_keeps_its_limit_where_a_rule_is_off() -> None:
    rules = Rules(
        status=Rule(99, 1), identical_send=Rule(99, 1), in_flight=Rule(99), status_in_flight=Rule(99)
    ).with_policies(status="off", identical_send="off", in_flight="off", status_in_flight="off")
    assert LimitsInForce.of(Guards(rules=rules)) == OWN


def test_messages_in_flight_have_no_limit_if_that_rule_is_off() -> None:
    rules = Rules().with_policies(bad_sends="off")
    assert LimitsInForce.of(Guards(rules=rules)).bad_sends is None
