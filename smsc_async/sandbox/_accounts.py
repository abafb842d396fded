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

__all__ = ["Account", "Accounts"]

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
        if isinstance(self.password, Digest):
            return any(Digest.of(self.login, each) == self.password for each in (psw, _md5(psw)))
        return psw in {self.password, _md5(self.password)}

    @property
    def apikey_digest(self) -> "Digest":
        """The digest of the apikey, empty for none."""
        return self.apikey if isinstance(self.apikey, Digest) else Digest.of("", self.apikey)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, with digests in place of the password and the apikey."""
        password = self.password if isinstance(self.password, Digest) else Digest.of(self.login, _md5(self.password))
        return {
            "login": self.login,
            "password": password,
            "apikey": self.apikey_digest,
            "balance": str(self.balance),
            "prices": {prefix: str(price) for prefix, price in self.prices.items()},
            "sender": self.sender,
            "zone": self.zone,
            "groups": {str(number): phones for number, phones in self.groups.items()},
            "virtual": self.virtual,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Account":
        """Return an account from its JSON."""
        return cls(
            **{
                **stored,
                "password": Digest(stored["password"]),
                "apikey": Digest(stored["apikey"]),
                "balance": Decimal(stored["balance"]),
                "prices": {prefix: Decimal(price) for prefix, price in stored["prices"].items()},
                "groups": {int(number): tuple(phones) for number, phones in stored["groups"].items()},
            }
        )


class Digest(str):
    """The digest of a password or an apikey, in place of it: the file with the state holds no credentials."""

    __slots__ = ()

    @classmethod
    def of(cls, salt: str, secret: str) -> "Digest":
        """Return the digest of a secret, empty for an empty one."""
        made = hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=salt.encode("utf-8", "surrogatepass")[:64])
        return cls(made.hexdigest() if secret else "")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


class Accounts:
    """All customers with their balances.

    Args:
        accounts: The customers; logins and apikeys are unique.
    """

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_login: dict[str, Account] = {}
        self._by_apikey: dict[Digest, Account] = {}
        self._balances: dict[str, Decimal] = {}
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

    def put(self, account: Account) -> None:
        """Add a customer, or replace the one with this login; its balance becomes that of the account.

        Raises:
            ValueError: Another customer has this apikey.
        """
        other = self._by_apikey.get(account.apikey_digest)
        if other is not None and other.login != account.login:
            raise ValueError("two accounts share a login or an apikey")
        before = self._by_login.get(account.login)
        if before is not None:
            self._by_apikey.pop(before.apikey_digest, None)
        self._by_login[account.login] = account
        if account.apikey:
            self._by_apikey[account.apikey_digest] = account
        self._balances[account.login] = account.balance

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
            account = self._by_apikey.get(Digest.of("", apikey))
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
