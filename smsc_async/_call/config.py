"""The configuration of a client, from arguments or the environment: the credentials, the URL and the transport."""

import inspect
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from smsc_async._clock import Clock, is_clock
from smsc_async._model import (
    ApiKey,
    Credentials,
    CredentialsSource,
    Login,
    Observer,
    checked_secret,
    is_observer,
    wrong,
)
from smsc_async._network import Transport, ascii_host, is_loopback
from smsc_async._protocol import CONTRACT
from smsc_async.guards import Guards

if TYPE_CHECKING:
    import httpx
    from typing_extensions import TypeIs

__all__ = [
    "checked_namespace",
    "checked_url",
    "clock_of",
    "credentials_from",
    "observers_of",
    "service_urls",
    "transport_from",
]

_HOW: Final = (
    "pass apikey=..., or login=... and password=..., "
    "or set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment"
)

_LONGEST: Final = 2048  # characters; a namespace is also a header
_PLAIN: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_NOT_IN_A_URL: Final = re.compile("[\x00-\x20\x7f-\x9f\ud800-\udfff]")


def clock_of(clock: Clock | None, guards: Guards | None) -> Clock | None:
    """Return the clock of a client, None for real time: the one that was passed, else that of its guards.

    Raises:
        ValueError: It isn't a clock, or its guards have a different one, so that their waits would never end.
    """
    if clock is not None and not is_clock(clock):
        raise wrong("clock", "an object with the methods of Clock, or None for real time", clock)
    if guards is None:
        return clock
    if clock is not None and clock is not guards.clock:
        raise ValueError(
            "the guards have another clock: pass Guards(clock=) the same one; those of a journal or Redis use real time"
        )
    return guards.clock


def observers_of(observers: object) -> tuple[Observer, ...]:
    """Return the observers, checked, after those of every client.

    Raises:
        ValueError: One of them isn't an observer.
    """
    found = tuple(observers) if isinstance(observers, Iterable) else (None,)
    if not all(map(is_observer, found)):
        raise ValueError(
            "observers must be a list of objects whose classes derive from smsc_async.Observer; their methods are "
            "called and not awaited"
        )
    return (*Observer.defaults, *found)


def service_urls(
    url: str | None, others: object, *, allow_http: bool, environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the URL of the service and the fallback URLs, checked: the arguments, else those of the environment.

    Raises:
        ValueError: One of them can't be used; see `checked_url`.
    """
    name = "fallback_urls"
    if others is None:
        name = "SMSC_FALLBACK_URLS"
        others = environment.get(name, "").replace(",", " ").split()
    if not isinstance(others, Iterable) or isinstance(others, str | bytes | Mapping):
        raise wrong(name, "a list of URLs", others)
    first = checked_url(url, allow_http=allow_http, environment=environment)
    return first, *(_usable(each, name, allow_http=allow_http) for each in others)


def credentials_from(
    apikey: str | SecretStr | None,
    login: str | SecretStr | None,
    password: str | SecretStr | None,
    environment: Mapping[str, str] = os.environ,
) -> Credentials:
    """Return the credentials: those of the arguments if any is given, else those of the environment.

    Raises:
        ValueError: There are none, too many, or half of a pair.
    """
    names = "apikey", "login", "password"
    if apikey is None and login is None and password is None:
        names = "SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD"
        # A value from a secret file ends with a line break.
        apikey, login, password = (_stripped(environment.get(name, "")) for name in names)
        if apikey is not None:
            login = password = None
    if apikey is not None and (login is not None or password is not None):
        raise ValueError("give an apikey or a login and password, not both")
    if apikey is not None:
        return ApiKey(key=checked_secret(names[0], apikey))
    if login is None or password is None:
        raise ValueError(f"credentials are missing; {_HOW}")
    return Login(login=checked_secret(names[1], login), password=checked_secret(names[2], password))


def _stripped(value: str) -> str | None:
    """Return a variable without surrounding whitespace, None for an empty one; reject one of only whitespace."""
    return value.strip() or value or None


def credentials_source(credentials: object, *others: object) -> CredentialsSource:
    """Return the callable that a client reads its credentials from.

    Raises:
        ValueError: It can't be called, or other credentials were passed too.
    """
    if not callable(credentials) or isinstance(credentials, type):
        raise wrong("credentials", "a function that returns an ApiKey or a Login", credentials)
    if any(other is not None for other in others):
        raise ValueError("give an apikey, a login and password, or credentials, not several of them")
    return cast("CredentialsSource", credentials)


def checked_url(url: str | None, *, allow_http: bool = False, environment: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the service without `?wsdl`: the argument, else SMSC_URL, else smscentre.com.

    Raises:
        ValueError: It isn't a URL, holds a password, or would send the credentials in clear text.
    """
    if url is None or url == "":
        return _usable(environment.get("SMSC_URL") or CONTRACT.namespace, "SMSC_URL", allow_http=allow_http)
    return _usable(url, "url", allow_http=allow_http)


def _usable(url: object, name: str, *, allow_http: bool) -> str:
    parts = _parts(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            f"{name} must be the URL of the SOAP service, such as https://smscentre.com/sys/soap.php: at most 2048 "
            "characters, no spaces, special characters outside of the host written as %XX"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name} must not hold a user name or a password; they would end up in logs")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        raise ValueError(
            f"{name}: http would send the credentials in clear text; use https, or pass allow_http=True (--allow-http)"
        )
    query = "" if parts.query.lower() == "wsdl" else parts.query
    return parts._replace(query=query, fragment="").geturl()


def _parts(url: object) -> SplitResult | None:
    """Return the parts of the URL, None if it isn't one; urllib's own error messages would quote passwords.

    A host with non-ASCII letters is returned in the form that DNS and HTTP use.
    """
    if not isinstance(url, str) or len(url) > _LONGEST or _NOT_IN_A_URL.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    name = ascii_host(f"[{host}]" if ":" in host else host)
    if name is None or port == 0 or not _PLAIN.fullmatch(f"{parts.path}?{parts.query}"):
        return None
    if parts.netloc.isascii() or "@" in parts.netloc:  # the caller rejects user information
        return parts
    return parts._replace(netloc=name if port is None else f"{name}:{port}")


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _LONGEST and _PLAIN.fullmatch(text) is not None


def checked_namespace(namespace: str) -> str:
    """Return a namespace that can be sent in an HTTP header and in XML.

    Raises:
        ValueError: It can't.
    """
    if not _is_plain(namespace) or "@" in namespace:
        raise ValueError(
            "namespace must be the targetNamespace of the service's WSDL: at most 2048 characters, no spaces, no user "
            "name or password, special characters written as %XX"
        )
    return namespace


def transport_from(
    transport: "Transport | httpx.AsyncBaseTransport | Literal['aiohttp'] | None",
    *,
    proxy: "str | httpx.Proxy | None",
    verify: ssl.SSLContext | bool,
    max_connections: int,
    max_response_bytes: int,
) -> Transport:
    """Return the transport: the one that was passed, the one over aiohttp, or the default over httpx.

    Raises:
        ValueError: There is no transport of this name, or it does not support this proxy.
        ModuleNotFoundError: The transport needs a package that isn't installed.
    """
    if isinstance(transport, str):
        return _named(transport, proxy, verify, max_connections, max_response_bytes)
    if transport is not None and not _is_httpx(transport):
        if not _can_post(transport):
            raise ValueError(_TRANSPORT)
        return transport
    from smsc_async._network import HttpxTransport  # noqa: PLC0415 - slow to import, see its module

    return HttpxTransport(
        transport,
        proxy=proxy,
        verify=verify,
        max_connections=max_connections,
        max_response_bytes=max_response_bytes,
    )


def _named(
    name: str, proxy: object, verify: ssl.SSLContext | bool, max_connections: int, max_response_bytes: int
) -> Transport:
    if name != "aiohttp":
        raise ValueError(_TRANSPORT)
    if not (proxy is None or isinstance(proxy, str)):
        raise ValueError("proxy must be a URL with transport='aiohttp'")
    from smsc_async._network import AiohttpTransport  # noqa: PLC0415 - an extra, and slow to import

    return AiohttpTransport(
        proxy=proxy, verify=verify, max_connections=max_connections, max_response_bytes=max_response_bytes
    )


_TRANSPORT: Final = (
    "transport must be 'aiohttp', an object with the methods of Transport, an httpx.AsyncBaseTransport, "
    "or None for the default"
)


def _is_httpx(transport: object) -> "TypeIs[httpx.AsyncBaseTransport]":
    return hasattr(transport, "handle_async_request") and not isinstance(transport, type)


def _can_post(transport: object) -> bool:
    """Return whether this is an object with the methods of `Transport`."""
    post, close = getattr(transport, "post", None), getattr(transport, "aclose", None)
    if isinstance(transport, type) or not callable(post) or not callable(close):
        return False
    try:
        inspect.signature(post).bind("url", {}, b"", None)
    except TypeError:  # such as the `post` of httpx.AsyncClient
        return False
    except ValueError:  # it has no signature that Python can read
        pass
    return True
