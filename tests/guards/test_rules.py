"""The numbers of the service stand once, and a wrong rule is refused when it is made."""

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from typing import Any

import pytest

from smsc_async._model.limits import BAD_CODES
from smsc_async.guards import Policy, Rule, Rules, Spend
from smsc_async.guards._limits import BlockLimit, LoginLimit, SpendLimit, StreakLimit, WindowLimit

RULES = [field.name for field in fields(Rules) if field.name != "spend"]


def rules_with(name: str, rule: Rule) -> Rules:
    changed: dict[str, Any] = {name: rule}
    return Rules(**changed)


def test_the_numbers_are_those_of_the_service() -> None:
    rules = Rules()
    assert rules.identical_send == Rule(1, 60, "raise")
    assert rules.identical_cost == Rule(5, 60, "wait")
    assert rules.status == Rule(5, 60, "wait")
    assert rules.balance == Rule(10, 60, "wait")
    assert rules.subscriber == Rule(50, 120, "raise")
    assert rules.in_flight == Rule(14, 0, "wait")
    assert rules.status_in_flight == Rule(4, 0, "wait")


def test_the_breakers_stop_one_request_short_of_a_block() -> None:
    rules = Rules()
    assert rules.login_failures == Rule(3, 1800, "raise")
    assert rules.address_failures == Rule(4, 1800, "raise")
    assert rules.bad_sends == Rule(99, 600, "raise")
    assert rules.blocked == Rule(1, 600, "raise")


def test_bad_sends_are_forbidden_wrong_or_undeliverable() -> None:
    assert frozenset({6, 7, 8}) == BAD_CODES


def test_limits_are_windows_with_the_margin_except_streak_gates_login_and_block() -> None:
    assert Rules().limits(1.25) == {
        "identical_send": WindowLimit(1, 61.25),
        "identical_cost": WindowLimit(5, 61.25),
        "status": WindowLimit(5, 61.25),
        "balance": WindowLimit(10, 61.25),
        "subscriber": StreakLimit(50, 121.25),
        "in_flight": WindowLimit(14, 0),
        "status_in_flight": WindowLimit(4, 0),
        "login_failures": LoginLimit(3, 1801.25),
        "address_failures": WindowLimit(4, 1801.25),
        "bad_sends": WindowLimit(99, 601.25),
        "blocked": BlockLimit(600, 1800, 1800),
    }


def test_a_block_that_is_set_longer_than_half_an_hour_never_gets_shorter() -> None:
    assert Rules(blocked=Rule(1, 3600, "raise")).limits(0)["blocked"] == BlockLimit(3600, 3600, 1800)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_is_off_has_no_limit(name: str) -> None:
    off: Policy = "off"
    limits = Rules().with_policies(**{name: off}).limits(1.2)
    assert set(limits) == set(RULES) - {name}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("policy", ["wait", "raise"])
def test_a_policy_changes_no_number(name: str, policy: Policy) -> None:
    rules = Rules().with_policies(**{name: policy})
    assert getattr(rules, name).policy == policy
    assert rules.limits(1.2) == Rules().limits(1.2)


def test_policies_leave_the_given_rules_as_they_are() -> None:
    given = Rules(status=Rule(3, 30))
    changed = given.with_policies(status="raise", balance="off")
    assert changed == Rules(status=Rule(3, 30, "raise"), balance=Rule(10, 60, "off"))
    assert given == Rules(status=Rule(3, 30))


def test_a_policy_for_an_unknown_rule_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="no rule sends, stati"):
        Rules().with_policies(stati="wait", sends="off", status="wait")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="'wait', 'raise' or 'off'"):
        Rule(1, 60, "ignore")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'wait', 'raise' or 'off'"):
        Rules().with_policies(status="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "seconds", "why"),
    [(0, 60, "policy='off'"), (-1, 60, "policy='off'"), (1, -1, "seconds must be a number")],
)
def test_a_rule_that_allows_nothing_or_counts_backwards_is_refused(count: int, seconds: float, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Rule(count, seconds)


@pytest.mark.parametrize("name", ["in_flight", "status_in_flight"])
def test_what_is_counted_at_once_has_no_seconds(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} limits requests in flight"):
        rules_with(name, Rule(5, 60))
    assert rules_with(name, Rule(5)).limits(1.2)[name] == WindowLimit(5, 0)


@pytest.mark.parametrize("name", [name for name in RULES if not name.endswith("in_flight")])
def test_what_is_counted_in_a_time_needs_its_seconds(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is a rate limit"):
        rules_with(name, Rule(1))


def test_rules_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Rules().status = Rule(1, 1)  # type: ignore[misc]


# --- money
def test_no_money_is_counted_unless_the_rule_is_passed() -> None:
    assert Rules().spend is None
    assert "spend" not in Rules().limits(1.2)
    assert Rules(spend=Spend(Decimal(500))).limits(1.2)["spend"] == SpendLimit(5_000_000, 86_400.0)
    assert Rules(spend=Spend(1, policy="off")).limits(1.2) == Rules().limits(1.2)


def test_an_amount_is_rounded_down_to_whole_units() -> None:
    assert Spend(Decimal("0.00019")).limit.count == 1
    assert Spend(1_000_000_000).limit.count == 10**13


@pytest.mark.parametrize(
    "amount",
    [
        500.0,
        "500",
        True,
        None,
        0,
        -1,
        Decimal("0.00009"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1e999999"),
        1_000_000_001,
    ],
)
def test_an_amount_that_is_no_sum_of_money_is_refused_with_an_example(amount: object) -> None:
    with pytest.raises(ValueError, match=r"Decimal or an int, .*: pass Spend\(Decimal\('500'\)\)"):
        Spend(amount)  # type: ignore[arg-type]


def test_other_wrong_arguments_of_a_spend_are_refused() -> None:
    with pytest.raises(ValueError, match="per must be 'day'"):
        Spend(1, per="month")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'wait', 'raise' or 'off'"):
        Spend(1, policy="ignore")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pass Rules\(spend=Spend\("):
        Rules(spend=Decimal(500))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the rule spend has no amount"):
        Rules().with_policies(spend="raise")


def test_a_policy_of_the_spend_changes_no_amount() -> None:
    given = Rules(spend=Spend(Decimal("1.5")))
    assert given.with_policies(spend="wait").spend == Spend(Decimal("1.5"), policy="wait")
    assert given.with_policies(spend="off").limits(1.2) == Rules().limits(1.2)
    assert Rules().with_policies(spend="off", status="raise") == Rules().with_policies(status="raise")
