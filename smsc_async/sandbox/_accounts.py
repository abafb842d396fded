"""The service's customers: their credentials, prices and balances."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from smsc_async._model import wrong

from ._fields import refuse

__all__ = ["Account", "Accounts", "account_as_json", "account_of_json"]

# The `tz` parameter and an account's own zone are relative to Moscow, which is UTC+3 all year.
_MOSCOW_HOURS = 3
_DEMO_PRICES: Mapping[str, Decimal] = MappingProxyType({"7": Decimal("4.50"), "": Decimal("9.00")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer of the sandbox.

    Attributes:
        login: The customer's login.
        password: The password; a request may give its lower-case MD5 hex instead.
        apikey: The key that stands for login and password; empty for none.
        balance: The initial balance.
        prices: Price of one part by the number's leading digits; the longest match counts, `""` is the default
            (also for e-mail addresses and Telegram names). An address that matches nothing is refused (error 8).
        sender: The sender of messages that specify none.
        zone: The customer's local time, in hours from Moscow time.
        groups: The numbers behind each group code `G<number>`.
        virtual: Test mode: answers and charges as usual, but every message ends undelivered with `err` 200.
    """

    login: str = field(repr=False)
    password: str = field(repr=False)
    apikey: str = field(default="", repr=False)
    balance: Decimal = Decimal(10_000)
    prices: Mapping[str, Decimal] = field(default_factory=lambda: _DEMO_PRICES)
    sender: str = "SMSC"
    zone: float = 0
    groups: Mapping[int, tuple[str, ...]] = field(default_factory=dict, repr=False)
    virtual: bool = False

    def __post_init__(self) -> None:
        for name in ("login", "password", "apikey", "sender"):
            value: object = getattr(self, name)
            if not isinstance(value, str):
                raise wrong(name, "a string", value)
        balance: object = self.balance
        if not isinstance(balance, Decimal) or not balance.is_finite():
            raise wrong("balance", "a finite Decimal", balance)
        if not (self.login and self.password):
            raise ValueError("an account needs a login and a password")

    @classmethod
    def demo(cls) -> "Account":
        """Return the default account: login, password and apikey are all `demo`."""
        return cls(login="demo", password="demo", apikey="demo")  # noqa: S106 - documented, and opens nothing

    def price(self, address: str) -> Decimal | None:
        """Return the price of one part to this address, or `None` where the account has no route to it."""
        longest = max(map(len, self.prices), default=0)
        for length in range(min(len(address), longest), -1, -1):
            price = self.prices.get(address[:length])
            if price is not None:
                return price
        return None

    def timezone(self, hours: float | None = None) -> timezone:
        """Return the time zone that is `hours` ahead of Moscow, by default the account's own."""
        return timezone(timedelta(hours=_MOSCOW_HOURS + (self.zone if hours is None else hours)))

    def accepts(self, psw: str) -> bool:
        """Return whether this is the password or its MD5 hex."""
        if isinstance(self.password, SecretDigest):
            return any(SecretDigest.of(self.login, each) == self.password for each in (psw, _md5(psw)))
        return psw in {self.password, _md5(self.password)}


def digests(account: Account) -> "tuple[SecretDigest, SecretDigest]":
    """Return the digests of the password and of the apikey, the latter empty for none."""
    password, apikey = account.password, account.apikey
    return (
        password if isinstance(password, SecretDigest) else SecretDigest.of(account.login, _md5(password)),
        apikey if isinstance(apikey, SecretDigest) else SecretDigest.of("", apikey),
    )


def account_as_json(account: Account) -> dict[str, Any]:
    """Return an account as JSON, with digests in place of the password and the apikey."""
    password, apikey = digests(account)
    return {
        "login": account.login,
        "password": password,
        "apikey": apikey,
        "balance": str(account.balance),
        "prices": {prefix: str(price) for prefix, price in account.prices.items()},
        "sender": account.sender,
        "zone": account.zone,
        "groups": {str(number): phones for number, phones in account.groups.items()},
        "virtual": account.virtual,
    }


def account_of_json(stored: Mapping[str, Any]) -> Account:
    """Return the account that `account_as_json` describes."""
    return Account(
        **{
            **stored,
            "password": SecretDigest(stored["password"]),
            "apikey": SecretDigest(stored["apikey"]),
            "balance": Decimal(stored["balance"]),
            "prices": {prefix: Decimal(price) for prefix, price in stored["prices"].items()},
            "groups": {int(number): tuple(phones) for number, phones in stored["groups"].items()},
        }
    )


class SecretDigest(str):
    """The digest of a password or an apikey, in place of it: the file with the state holds no credentials."""

    __slots__ = ()

    @classmethod
    def of(cls, salt: str, secret: str) -> "SecretDigest":
        """Return the digest of a secret, empty for an empty one."""
        made = hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=salt.encode("utf-8", "surrogatepass")[:64])
        return cls(made.hexdigest() if secret else "")


def _secrets(account: Account) -> set[str]:
    own = {each for each in (account.password, account.apikey) if each and not isinstance(each, SecretDigest)}
    return own | {_md5(account.password)} if account.password in own else own


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


class Accounts:
    """All customers with their balances.

    Args:
        accounts: The customers; logins and apikeys are unique.
    """

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_login: dict[str, Account] = {}
        self._by_apikey: dict[SecretDigest, Account] = {}
        self._balances: dict[str, Decimal] = {}
        self._secrets: set[str] = set()
        for account in accounts:
            if account.login in self._by_login:
                raise ValueError("two accounts share a login or an apikey")
            self.put(account)

    def __iter__(self) -> Iterator[Account]:
        return iter(tuple(self._by_login.values()))

    @property
    def balances(self) -> Mapping[str, Decimal]:
        """The remaining balance of each login."""
        return MappingProxyType(self._balances)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords and apikeys, also former ones; not those that are known by their digests only."""
        return tuple(self._secrets)

    def put(self, account: Account) -> None:
        """Add a customer, or replace the one with this login; its balance becomes that of the account.

        Raises:
            ValueError: Another customer has this apikey.
        """
        other = self._by_apikey.get(digests(account)[1])
        if other is not None and other.login != account.login:
            raise ValueError("two accounts share a login or an apikey")
        before = self._by_login.get(account.login)
        if before is not None:
            self._by_apikey.pop(digests(before)[1], None)
        self._by_login[account.login] = account
        if account.apikey:
            self._by_apikey[digests(account)[1]] = account
        self._balances[account.login] = account.balance
        self._secrets.update(_secrets(account))

    def set_balance(self, account: Account, balance: Decimal) -> None:
        """Change the balance of a customer."""
        self._balances[account.login] = balance

    def get(self, login: str) -> Account | None:
        """Return the customer with this login, None if there is none."""
        return self._by_login.get(login)

    def named(self, login: str) -> Account:
        """Return the customer with this login.

        Raises:
            ValueError: There is no such customer.
        """
        account = self._by_login.get(login)
        if account is None:
            raise ValueError("the state file names an account that this sandbox does not have; pass the same accounts=")
        return account

    def find(self, *, login: str, psw: str, apikey: str) -> Account:
        """Return the customer with these credentials; an apikey stands for login and password.

        Raises:
            ServiceError: Error 1 when they are missing, error 2 when they are wrong.
        """
        if apikey:
            account = self._by_apikey.get(SecretDigest.of("", apikey))
        elif login and psw:
            account = self._by_login.get(login)
            account = account if account is not None and account.accepts(psw) else None
        else:
            refuse(1)
        return account if account is not None else refuse(2)

    def charge(self, account: Account, cost: Decimal) -> bool:
        """Take the cost from the balance, or nothing when the balance is too low.

        Returns:
            Whether it was paid.
        """
        left = self._balances[account.login] - cost
        if left < 0:
            return False
        self._balances[account.login] = left
        return True
