"""A callback with the answers of the application, and the settings of an account by which it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from smsc_async._model import checked_secret, wrong
from smsc_async._protocol import CHARSETS, CallbackCharset
from smsc_async.sandbox._fault import FaultKind

__all__ = [
    "Callback",
    "CallbackAttempt",
    "CallbackHash",
    "CallbackKind",
    "CallbackMethod",
    "CallbackSettings",
    "CallbackState",
    "settings_of",
]

CallbackHash: TypeAlias = Literal["md5", "sha1", "crc32"]
"""The hash by which a callback is signed."""
CallbackMethod: TypeAlias = Literal["POST", "GET"]
CallbackKind: TypeAlias = Literal["status", "incoming", "call"]
_DEFAULT_CHARSET: Final[CallbackCharset] = "windows-1251"


class CallbackState(StrEnum):
    """What became of a callback."""

    WAITING = "waiting"
    """It will be sent, for the first time or again."""
    ACCEPTED = "accepted"
    """The application has answered it with HTTP status 200 to 299."""
    GIVEN_UP = "given_up"
    """The application has not accepted it, and it is not sent again."""
    LOST = "lost"
    """A fault has lost it; it was not sent."""


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """Where callbacks are sent and how they are signed, as in the settings of an account.

    Attributes:
        url: The URL of the application.
        secret: The secret of the signature.
        hash: The kind of the signature.
        charset: The charset of the fields.
        method: `POST` for a form, `GET` for a query.
    """

    url: str
    secret: SecretStr
    hash: CallbackHash
    charset: CallbackCharset
    method: CallbackMethod


@dataclass(frozen=True, slots=True)
class CallbackAttempt:
    """A callback as it was sent once, and the answer.

    Attributes:
        at: Unix time of the sandbox.
        status: The HTTP status of the answer, None if there was none.
        answer: The first 1,000 characters of its body.
        error: Why there was no answer, such as `ConnectError`; empty if there was one.
        seconds: How long it took in real time.
        is_forged: Whether a fault has signed it with another secret.
    """

    at: float
    status: int | None = None
    answer: str = field(default="", repr=False)
    error: str = ""
    seconds: float = 0.0
    is_forged: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the application has accepted it."""
        return self.status is not None and 200 <= self.status <= 299  # noqa: PLR2004 - the statuses of success


@dataclass(slots=True)
class Callback:
    """A report to the application.

    Attributes:
        id: Its number in this sandbox.
        kind: What it is about.
        at: Unix time of the sandbox at which it was due.
        fields: Its fields, without the signature.
        message: The key of the message, None if it is about none.
        fault: The injected fault that affects it, None for none.
        state: What became of it.
        next_at: Unix time at which it is sent next, None if it isn't.
        attempts: What was sent and answered, in order.
    """

    id: int
    kind: CallbackKind
    at: float
    fields: Mapping[str, str] = field(repr=False)
    message: int | None = None
    fault: FaultKind | None = None
    state: CallbackState = CallbackState.WAITING
    next_at: float | None = None
    attempts: tuple[CallbackAttempt, ...] = ()
    failures: int = 0
    """How often it was not accepted since it was last sent on request."""


def settings_of(url: object, secret: object, *, digest: object, charset: object, method: object) -> CallbackSettings:
    """Return the settings that these arguments of `SandboxCallbacks.set` describe.

    Raises:
        ValueError: An argument is wrong.
    """
    own: dict[str, Any] = {
        "url": _checked_url(url),
        "secret": checked_secret("secret", secret),
        "hash": _one_of("hash", digest, get_args(CallbackHash)),
        "charset": _one_of("charset", _charset_of(url) if charset is None else charset, CHARSETS),
        "method": _one_of("method", method, get_args(CallbackMethod)),
    }
    settings = CallbackSettings(**own)
    try:
        settings.secret.get_secret_value().encode(settings.charset)
    except UnicodeEncodeError:
        is_right = False
    else:
        is_right = True
    if not is_right:  # outside of the handler, whose exception shows the secret
        raise ValueError(f"secret must have no characters that {settings.charset} lacks")
    return settings


def _charset_of(url: object) -> str:
    """Return the charset that a URL asks for, as the service takes it from `?charset=utf-8`."""
    asked = parse_qs(urlsplit(str(url)).query).get("charset", [_DEFAULT_CHARSET])[0].lower()
    return asked if asked in CHARSETS else _DEFAULT_CHARSET


def _checked_url(url: object) -> str:
    form = "an http or https URL, such as 'http://127.0.0.1:8000/sms'"
    if not isinstance(url, str):
        raise wrong("url", form, url)
    try:
        parts = urlsplit(url)
        is_right = bool(parts.hostname) and parts.port != 0 and parts.scheme in {"http", "https"}
    except ValueError:
        is_right = False
    if not is_right or not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
        raise ValueError(f"url must be {form}")
    if "@" in parts.netloc:
        raise ValueError("url must have no user name and password, because the sandbox shows it")
    return url


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise wrong(name, " or ".join(map(repr, allowed)), value)
    return str(value)
