"""The arguments of a client and of its calls: their valid values, and the environment variables for some of them."""

import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from inspect import isfunction
from typing import Final

from smsc_async._model import UNSET, UnresolvedSend, Unset, is_count, is_plain_function, is_seconds, is_whole, wrong
from smsc_async._network import Timeout
from smsc_async.guards import Guards

__all__ = ["check_number", "checked", "deadline_from", "name_after_client", "named", "positive", "timeout_from"]

_DEADLINE: Final = 90.0
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")


def checked(**values: object) -> None:
    """Raise a `ValueError` for the first argument that can't be used; see `_MUST`."""
    for name, value in values.items():
        is_right, form = _MUST[name]
        if not is_right(value):
            raise wrong(name, form, value)


def check_number(recipients: Sequence[str], most: int) -> None:
    """Raise a `ValueError` if a request has too many recipients."""
    if len(recipients) > most:
        raise ValueError(
            f"{len(recipients)} recipients in one request; at most {most} are allowed: split them, use send_batch, or "
            "raise Client(max_recipients=)"
        )


def name_after_client(method: object) -> None:
    """Let the `TypeError` of Python about a wrong call name the class that users know."""
    while isfunction(method):
        method.__qualname__ = f"Client.{method.__name__}"
        method = getattr(method, "__wrapped__", None)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


_COUNT: Final = is_count, "a whole number, at least 1"
_FLAG: Final = _is_bool, "True or False"
_MUST: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "max_recipients": _COUNT,
    "batch_size": _COUNT,
    "max_response_bytes": _COUNT,
    "retries": (is_whole, "a whole number, at least 0"),
    "clock_skew": (is_seconds, "a number of seconds, at least 0"),
    "margin": (is_seconds, "a number of seconds, at least 0"),
    "late_arrival": (is_seconds, "a number of seconds, at least 0"),
    "deadline": (lambda value: is_seconds(value) and value != 0, "a number of seconds, more than 0"),
    "timeout": (
        lambda value: value is None or is_seconds(value),
        "a number of seconds, at least 0, or None for no timeout",
    ),
    "tries": _COUNT,
    "grace": (is_seconds, "a number of seconds, at least 0"),
    "attempt": _COUNT,
    "workers": _COUNT,
    "detail": (lambda value: type(value) is int and value in (0, 1, 2), "a number: 0, 1 or 2"),
    "allow_duplicate": _FLAG,
    "unique_id": _FLAG,
    "allow_http": _FLAG,
    "trust": _FLAG,
    "confirm_pushes": _FLAG,
    "progress": _FLAG,
    "timezone": (
        lambda value: isinstance(value, tzinfo),
        "a tzinfo object, such as zoneinfo.ZoneInfo('Europe/Moscow')",
    ),
    "guards": (
        lambda value: value is None or value is UNSET or isinstance(value, Guards),
        "a Guards object, or None for no guards",
    ),
    "account": (_is_text_or_none, "a string, or None for the login or API key"),
    "source": (_is_text_or_none, "a string, or None for a hash of the messages"),
    "egress": (_is_text_or_none, "a string, or None for the default"),
    "verify": (
        lambda value: isinstance(value, bool | ssl.SSLContext),
        "an ssl.SSLContext, True, or False for tests",
    ),
    "on_unknown": (lambda value: value in ("reconcile", "raise", "resend"), "'reconcile', 'raise' or 'resend'"),
    "on_unresolved": (
        lambda value: value is None or is_plain_function(value),
        "a plain function: it is called and not awaited",
    ),
    "on_progress": (
        lambda value: value is None or is_plain_function(value),
        "a plain function that takes two numbers, or None",
    ),
    "unresolved": (lambda value: isinstance(value, UnresolvedSend), "an UnresolvedSend"),
    "client": (is_plain_function, "a plain function that takes Guards and returns a Client"),
    "ask": (lambda value: value is None or callable(value), "an async function that takes a GetStatus, or None"),
    "operation": (
        lambda value: hasattr(value, "methods") and not isinstance(value, type),
        "an operation, such as Send(...) or GetStatus(...)",
    ),
}


def named(value: str | None, variable: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return an argument, else the environment variable, else None."""
    return value if value is not None else environment.get(variable, "").strip() or None


def timeout_from(value: Timeout | float | Unset, environment: Mapping[str, str] = os.environ) -> Timeout:
    """Return the timeout: the argument, else SMSC_TIMEOUT in seconds, else the default.

    Raises:
        ValueError: It can't be used.
    """
    if value is not UNSET:
        return Timeout.of(value)
    seconds = _seconds("SMSC_TIMEOUT", environment, "a number of seconds above 0, such as 30")
    return Timeout() if seconds is None else Timeout.of(seconds)


def deadline_from(value: float | Unset | None, environment: Mapping[str, str] = os.environ) -> float | None:
    """Return the deadline: the argument, else SMSC_DEADLINE in seconds or "none", else 90 seconds.

    Raises:
        ValueError: It can't be used.
    """
    if value is not UNSET:
        return positive(value)
    if environment.get("SMSC_DEADLINE", "").strip().lower() == "none":
        return None
    return _seconds("SMSC_DEADLINE", environment, "a number of seconds above 0, such as 90, or 'none'") or _DEADLINE


def _seconds(variable: str, environment: Mapping[str, str], form: str) -> float | None:
    text = environment.get(variable, "").strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or not is_seconds(float(text)) or not float(text):
        raise ValueError(f"{variable} must be {form}")
    return float(text)


def positive(seconds: float | None) -> float | None:
    """Return the seconds of a deadline, checked.

    Raises:
        ValueError: It is not more than 0.
    """
    if seconds is not None and not (is_seconds(seconds) and seconds):
        raise wrong("deadline", "a number of seconds, more than 0, or None for no deadline", seconds)
    return seconds
