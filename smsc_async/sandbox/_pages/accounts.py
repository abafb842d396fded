"""What the page of accounts shows, and how its forms are read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from smsc_async.sandbox._accounts import Account

from .words import money

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["AccountView", "accounts_of", "amount", "new_account", "prices_with"]

_MOST: Final = Decimal(1_000_000_000)
_LONGEST: Final = 100
_MOSCOW: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """A customer.

    Attributes:
        number: Its position, from 1, by which its card is found.
        login: The login.
        balance: What is left.
        sender: The sender of messages that specify none.
        zone: The time zone in words.
        groups: The groups of numbers in words, empty for none.
        has_apikey: Whether it has an apikey.
        virtual: Whether its messages are in test mode.
        prices: The prices of a part: the leading digits, empty for the default, the words for them, and the price.
        messages: How many messages are kept.
    """

    number: int
    login: str = field(repr=False)
    balance: str
    sender: str
    zone: str
    groups: str
    has_apikey: bool
    virtual: bool
    prices: Sequence[tuple[str, str, str]]
    messages: int


def accounts_of(sandbox: "Sandbox") -> Sequence[AccountView]:
    """Return what the page shows of each customer."""
    counts = Counter(map(attrgetter("login"), sandbox.messages))
    return [
        AccountView(
            number=number,
            login=account.login,
            balance=money(sandbox.balances[account.login]),
            sender=account.sender,
            zone=f"UTC{account.zone + _MOSCOW:+g}",
            groups=", ".join(f"G{group}: {len(phones):,}" for group, phones in account.groups.items()),
            has_apikey=bool(account.apikey),
            virtual=account.virtual,
            prices=[(prefix, prefix or "anything else", money(price)) for prefix, price in _sorted(account)],
            messages=counts[account.login],
        )
        for number, account in enumerate(sandbox.accounts, 1)
    ]


def amount(text: str, name: str, *, least: Decimal = -_MOST) -> Decimal:
    """Return an amount of money that was entered.

    Raises:
        ValueError: It isn't one.
    """
    try:
        read = Decimal(text.strip().replace(" ", "").replace(",", "."))
    except InvalidOperation:
        read = Decimal("NaN")
    if not (read.is_finite() and least <= read <= _MOST and read == read.quantize(Decimal("0.00001"))):
        low = "at least 0" if not least else f"at least {least:,}"
        raise ValueError(f"{name} must be an amount such as 100 or 4.50, {low} and at most {_MOST:,}")
    return read


def prices_with(account: Account, form: Mapping[str, str]) -> Mapping[str, Decimal]:
    """Return the prices of a customer with the one in a form; an empty price removes it.

    Raises:
        ValueError: A field is wrong.
    """
    prefix = form.get("prefix", "").strip().removeprefix("+")
    if prefix and not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= 15):  # noqa: PLR2004 - E.164
        raise ValueError("A number begins with digits, such as 7 or 971; leave the field empty for anything else")
    prices = {name: price for name, price in account.prices.items() if name != prefix}
    if not form.get("price", "").strip():
        return prices
    return {**prices, prefix: amount(form["price"], "The price", least=Decimal(0))}


def new_account(form: Mapping[str, str], logins: Sequence[str]) -> Mapping[str, Any]:
    """Return the attributes of the customer that a form describes.

    Raises:
        ValueError: A field is wrong.
    """
    login, password = form.get("login", "").strip(), form.get("password", "")
    if not (login.isascii() and login.isprintable() and 0 < len(login) <= _LONGEST and " " not in login):
        raise ValueError("The login must be 1 to 100 characters of ASCII without spaces")
    if login in logins:
        raise ValueError("There is an account with this login")
    if not password:
        raise ValueError("An account needs a password")
    values: dict[str, Any] = {"password": password, "apikey": form.get("apikey", "").strip()}
    if form.get("sender", "").strip():
        values["sender"] = form["sender"].strip()
    if form.get("balance", "").strip():
        values["balance"] = amount(form["balance"], "The balance")
    return {"login": login, **values}


def _sorted(account: Account) -> Sequence[tuple[str, Decimal]]:
    return sorted(account.prices.items(), key=lambda each: (not each[0], each[0]))
