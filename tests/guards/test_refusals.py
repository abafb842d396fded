"""The words of a refusal: what is waited for, and until when."""

from datetime import UTC, datetime, timedelta, timezone
from math import inf

import pytest

from smsc_async import BreakerOpen, GuardError, GuardStoreError, TooManyInFlight
from smsc_async.guards import Refusal, Rules
from smsc_async.guards._limits import WindowLimit
from smsc_async.guards._redis.scripts import trusted
from smsc_async.guards._refusals import refused, until
from tests.guards.redis_store import on

NOW = datetime(2026, 11, 26, 23, 30, 0, 250_000, tzinfo=UTC)
RULES = sorted(Rules().limits(1.2))
CLOSING = ["address_failures", "bad_sends", "blocked", "login_failures"]


@pytest.mark.parametrize("rule", RULES)
def test_every_refusal_says_until_when_in_utc_and_in_seconds(rule: str) -> None:
    error = refused(Refusal(on(rule=rule), 1801.2), 1801.2, NOW)
    assert str(error).endswith("2026-11-27 00:00:02 UTC (in 1801.2 s)")
    assert error.retry_after == 1801.2
    assert isinstance(error, BreakerOpen) is (rule in CLOSING)
    assert ("no such request is sent until 2026" in str(error)) is (rule in CLOSING)


@pytest.mark.parametrize("rule", RULES)
def test_a_refusal_whose_end_is_unknown_names_none(rule: str) -> None:
    error: GuardError = refused(Refusal(on(rule=rule), inf), inf, NOW)
    assert "UTC" not in str(error)
    assert error.retry_after is None
    assert isinstance(error, TooManyInFlight) or rule not in {"bad_sends", "login_failures"}


def test_an_end_is_given_in_utc_whatever_the_zone_and_never_too_early() -> None:
    moscow = NOW.astimezone(timezone(timedelta(hours=3)))
    assert until(0.0, moscow) == "2026-11-26 23:30:01 UTC (in 0.0 s)"
    assert until(0.75, moscow) == "2026-11-26 23:30:01 UTC (in 0.8 s)"


@pytest.mark.parametrize("seconds", [1e12, 1e300])
def test_an_end_in_a_distant_age_is_given_in_seconds_only(seconds: float) -> None:
    assert until(seconds, NOW) == f"{seconds:.1f} s from now"


def test_lost_histories_say_what_is_waited_for_and_until_when() -> None:
    before = datetime.now(UTC)
    status = on("a", WindowLimit(5, 61.2))
    with pytest.raises(
        GuardStoreError, match=r"in 610\.0 s\), then the 61\.2 s .* rule status.*\(in 671\.2 s\)$"
    ) as caught:
        trusted("quarantined 2 671200000 610000000", [on("b"), status])
    assert caught.value.retry_after == 671.2
    written = datetime.strptime(str(caught.value).split("again at ")[1].split(" UTC")[0], "%Y-%m-%d %H:%M:%S").replace(
        tzinfo=UTC
    )
    assert timedelta(seconds=670) < written - before < timedelta(seconds=673)
