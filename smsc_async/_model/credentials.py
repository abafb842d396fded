"""The credentials: an API key, or a login and a password. None of them is ever shown."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from pydantic import SecretStr, field_validator

from .frozen import FrozenModel, wrong
from .xml_text import NOT_XML

__all__ = ["ApiKey", "Credentials", "CredentialsSource", "Login", "checked_secret"]


_LONGEST: Final = 1000


def _sendable(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret.strip():
        raise ValueError("must not be empty")
    if secret.strip("\r\n") != secret:
        raise ValueError("must not begin or end with a line break; remove it")
    if len(secret) > _LONGEST or NOT_XML.search(secret):
        raise ValueError(
            f"must be at most {_LONGEST} characters, all of which XML can carry; remove control characters"
        )
    return value


def _trimmed(value: SecretStr) -> SecretStr:
    secret = _sendable(value).get_secret_value()
    if secret.strip() != secret:
        raise ValueError("must not begin or end with whitespace; remove it")
    return value


def checked_secret(name: str, value: object) -> SecretStr:
    """Return a credential that XML can carry.

    Raises:
        ValueError: It can't be used; the error names the argument and shows nothing of the value.
    """
    if not isinstance(value, str | SecretStr):
        raise wrong(name, "a string", value)
    secret = value if isinstance(value, SecretStr) else SecretStr(value)
    try:
        return _sendable(secret) if "password" in name.lower() else _trimmed(secret)
    except ValueError as error:
        reason = str(error)
    raise ValueError(f"{name} {reason}")


class ApiKey(FrozenModel):
    """An API key, used in place of a login and a password.

    Attributes:
        key: The key.
    """

    key: SecretStr

    _check = field_validator("key")(_trimmed)

    def fields(self) -> dict[str, str]:
        """Return the wire fields, in clear text."""
        return {"apikey": self.key.get_secret_value()}


class Login(FrozenModel):
    """A login and its password.

    Attributes:
        login: The account's login.
        password: The password, or its MD5 digest in lower-case hexadecimal, which is just as secret.
    """

    login: SecretStr
    password: SecretStr

    _check_login = field_validator("login")(_trimmed)
    _check_password = field_validator("password")(_sendable)

    def fields(self) -> dict[str, str]:
        """Return the wire fields, in clear text."""
        return {"login": self.login.get_secret_value(), "psw": self.password.get_secret_value()}


Credentials: TypeAlias = ApiKey | Login
"""An API key, or a login with its password."""

CredentialsSource: TypeAlias = Callable[[], Credentials | Awaitable[Credentials]]
"""Returns the credentials that are valid now; it may be a coroutine function and must not block."""
