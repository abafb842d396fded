"""The configuration of a client, from arguments or the environment: the credentials, the URL and the transport."""

import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from smsc_async._model import ApiKey, Credentials, Login
from smsc_async._network import Transport, is_loopback
from smsc_async._protocol import CONTRACT

if TYPE_CHECKING:
    import httpx
    from typing_extensions import TypeIs

__all__ = ["checked_url", "credentials_from", "positive", "transport_from"]

_HOW: Final = (
    "pass apikey=..., or login=... and password=..., "
    "or set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment"
)


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
    if apikey is None and login is None and password is None:
        apikey = environment.get("SMSC_APIKEY") or None
        if apikey is None:
            login, password = environment.get("SMSC_LOGIN") or None, environment.get("SMSC_PASSWORD") or None
    if apikey is not None:
        if login is not None or password is not None:
            raise ValueError("give an apikey or a login and password, not both")
        return ApiKey.model_validate({"key": apikey})
    if login is None or password is None:
        raise ValueError(f"credentials are missing; {_HOW}")
    return Login.model_validate({"login": login, "password": password})


def checked_url(url: str | None, *, allow_http: bool = False, environment: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the service without `?wsdl`: the argument, else SMSC_URL, else smscentre.com.

    Raises:
        ValueError: It isn't a URL, holds a password, or would send the credentials in clear text.
    """
    url = url or environment.get("SMSC_URL") or CONTRACT.namespace
    parts = _parts(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("url must be the URL of the SOAP service, such as https://smscentre.com/sys/soap.php")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not hold a user name or a password; they would end up in logs")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        raise ValueError("http would send the credentials in clear text; use https, or pass allow_http=True")
    query = "" if parts.query.lower() == "wsdl" else parts.query
    return parts._replace(query=query, fragment="").geturl()


def _parts(url: str) -> SplitResult | None:
    """Return the parts of the URL, None if it isn't one; urllib's own error messages would quote passwords."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


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
        raise ValueError("transport must be 'aiohttp', a transport object, or None for the default")
    if not (proxy is None or isinstance(proxy, str)):
        raise ValueError("proxy must be a URL with transport='aiohttp'")
    from smsc_async._network import AiohttpTransport  # noqa: PLC0415 - an extra, and slow to import

    return AiohttpTransport(
        proxy=proxy, verify=verify, max_connections=max_connections, max_response_bytes=max_response_bytes
    )


def _is_httpx(transport: object) -> "TypeIs[httpx.AsyncBaseTransport]":
    return hasattr(transport, "handle_async_request")


def positive(seconds: float | None) -> float | None:
    """Return the seconds of a deadline, checked.

    Raises:
        ValueError: It is not more than 0.
    """
    if seconds is not None and seconds <= 0:
        raise ValueError("a deadline must be more than 0 seconds, or None for no deadline")
    return seconds
