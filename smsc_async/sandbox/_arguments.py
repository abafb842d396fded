"""The arguments of `Sandbox`, checked."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from smsc_async._model import is_seconds, wrong
from smsc_async._protocol import CONTRACT

from ._accounts import Account
from ._delivery import DeliveryPlan
from ._fault import Fault
from ._limits import Limits

__all__ = ["check", "checked_accounts", "checked_faults"]

_MUST: Final[Mapping[str, tuple[Callable[[object], object], str]]] = {
    "limits": (lambda value: isinstance(value, Limits), "a Limits object"),
    "delivery": (lambda value: isinstance(value, DeliveryPlan), "a DeliveryPlan object"),
    "keep": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "a whole number, at least 1",
    ),
    "seed": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "clock": (lambda value: value is None or callable(value), "a function that returns the Unix time, or None"),
    "latency": (is_seconds, "a number of seconds, at least 0"),
    "namespace": (
        lambda value: value is None or (isinstance(value, str) and value.isprintable() and value and " " not in value),
        f"'{CONTRACT.namespace}' or another URI without spaces, or None",
    ),
    "state": (lambda value: value is None or isinstance(value, str | os.PathLike), "the path of a file, or None"),
}


def check(**values: object) -> None:
    """Raise a `ValueError` for an argument that is wrong."""
    for name, value in values.items():
        is_right, form = _MUST[name]
        if not is_right(value):
            raise wrong(name, form, value)


def checked_faults(faults: object) -> Iterable[Fault | str]:
    """Return the faults, or raise a `ValueError`."""
    if not isinstance(faults, Iterable) or isinstance(faults, str | Mapping):
        raise wrong("faults", "a list such as ['lose_answer operation=send times=1']", faults)
    return faults


def checked_accounts(accounts: object) -> tuple[Account, ...]:
    """Return the accounts, or raise a `ValueError`."""
    if not isinstance(accounts, Iterable):
        raise wrong("accounts", "a list of Account objects", accounts)
    given = tuple(accounts)
    for account in given:
        if not isinstance(account, Account):
            raise wrong("each item of accounts", "an Account, such as Account.demo()", account)
    return given
