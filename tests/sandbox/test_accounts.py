import hashlib
from datetime import timedelta
from decimal import Decimal

import pytest

from smsc_async.sandbox._accounts import Account, Accounts
from smsc_async.sandbox._fields import ServiceError

IVAN = Account(login="ivan", password="пароль", apikey="ivans-key", balance=Decimal("10.00"))
OLGA = Account(login="olga", password="secret", zone=2)


def refusal(accounts: Accounts, *, login: str = "", psw: str = "", apikey: str = "") -> int:
    with pytest.raises(ServiceError) as caught:
        accounts.find(login=login, psw=psw, apikey=apikey)
    return caught.value.code


def test_password_or_its_lower_case_md5_opens_the_account() -> None:
    accounts = Accounts([IVAN, OLGA])
    md5 = hashlib.md5("пароль".encode(), usedforsecurity=False).hexdigest()
    assert accounts.find(login="ivan", psw="пароль", apikey="") is IVAN
    assert accounts.find(login="ivan", psw=md5, apikey="") is IVAN
    assert refusal(accounts, login="ivan", psw=md5.upper()) == 2


def test_apikey_stands_for_login_and_password() -> None:
    assert Accounts([IVAN, OLGA]).find(login="", psw="", apikey="ivans-key") is IVAN


def test_wrong_credentials_are_error_2_and_missing_ones_error_1() -> None:
    accounts = Accounts([IVAN, OLGA])
    assert refusal(accounts, login="ivan", psw="secret") == 2
    assert refusal(accounts, login="nobody", psw="secret") == 2
    assert refusal(accounts, login="ivan", psw="пароль", apikey="other") == 2
    assert refusal(accounts) == refusal(accounts, login="ivan") == refusal(accounts, psw="пароль") == 1


def test_account_without_an_apikey_is_not_opened_by_an_empty_one() -> None:
    assert refusal(Accounts([OLGA])) == 1


def test_longest_prefix_makes_the_price() -> None:
    account = Account(login="a", password="b", prices={"": Decimal(9), "7": Decimal(4), "77": Decimal(6)})
    assert [account.price(phone) for phone in ("79990000000", "77010000000", "4915112345678", "a@b.c")] == [4, 6, 9, 9]


def test_without_a_default_price_there_is_no_route() -> None:
    assert Account(login="a", password="b", prices={"7": Decimal(4)}).price("4915112345678") is None


def test_charging_takes_the_cost_or_nothing() -> None:
    accounts = Accounts([IVAN, OLGA])
    assert accounts.charge(IVAN, Decimal("9.99"))
    assert not accounts.charge(IVAN, Decimal("0.02"))
    assert accounts.balances == {"ivan": Decimal("0.01"), "olga": Decimal(10_000)}


def test_zones_are_hours_from_moscow() -> None:
    assert IVAN.timezone().utcoffset(None) == timedelta(hours=3)
    assert OLGA.timezone().utcoffset(None) == timedelta(hours=5)
    assert OLGA.timezone(0).utcoffset(None) == timedelta(hours=3)
    assert OLGA.timezone(-1.5).utcoffset(None) == timedelta(hours=1.5)


@pytest.mark.parametrize(
    "other", [Account(login="ivan", password="x"), Account(login="petr", password="x", apikey="ivans-key")]
)
def test_logins_and_apikeys_are_unique(other: Account) -> None:
    with pytest.raises(ValueError, match=r"^two accounts share a login or an apikey$"):
        Accounts([IVAN, other])


@pytest.mark.parametrize(("login", "password"), [("", "x"), ("x", "")])
def test_account_needs_a_login_and_a_password(login: str, password: str) -> None:
    with pytest.raises(ValueError, match="needs a login and a password"):
        Account(login=login, password=password)


def test_secrets_and_numbers_are_not_in_the_repr() -> None:
    text = repr(Account(login="canary1", password="canary2", apikey="canary3", groups={1: ("79990000009",)}))
    assert "canary" not in text
    assert "79990000009" not in text
