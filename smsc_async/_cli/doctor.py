"""Compare a live service with the contract of this package, and check the login."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import anyio

from smsc_async._call import checked_url, credentials_from
from smsc_async._client import Client
from smsc_async._model import Balance, MalformedEnvelope, Money, ReadTimeout, SmscError
from smsc_async._network import Timeout, TransportWithGet
from smsc_async._protocol import CONTRACT, differences, namespace_of, read_wsdl
from smsc_async._thread import in_own_thread

__all__ = ["Examination", "examine"]

_OK: Final = 200
_PATIENCE: Final = 60.0
_NO_CREDENTIALS: Final = "not tried: set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The result of examining a service.

    Attributes:
        url: Its URL.
        namespace: The targetNamespace of its WSDL, None if the WSDL could not be read.
        differences: One sentence for each difference between its WSDL and the snapshot of this package.
        wsdl_error: Why the WSDL could not be read, None if it could.
        login_error: Why the login failed or was not tried, None if it works.
        balance: The account's balance, None if the login failed.
    """

    url: str
    namespace: str | None = None
    differences: tuple[str, ...] = ()
    wsdl_error: str | None = None
    login_error: str | None = None
    balance: Money | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether there are no differences and no errors."""
        return not (self.differences or self.wsdl_error or self.login_error)


async def examine(
    url: str | None = None,
    *,
    allow_http: bool = False,
    transport: TransportWithGet | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Examination:
    """Read the service's `?wsdl`, compare it with the contract, and request the balance.

    Args:
        url: The URL of the service; None for SMSC_URL, or the default URL.
        allow_http: Whether the URL may be without TLS.
        transport: The transport to use, closed at the end; None for a new one.
        environment: The environment variables with the URL and the credentials.

    Raises:
        ValueError: The URL is wrong.
    """
    from smsc_async._network import HttpxTransport  # noqa: PLC0415 - slow to import, see its module

    service_url = checked_url(url, allow_http=allow_http, environment=environment)
    transport = transport or HttpxTransport()
    try:
        wsdl = await _examine_wsdl(service_url, transport)
        return await _examine_login(wsdl, transport, environment, allow_http=allow_http)
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()


async def _examine_wsdl(url: str, transport: TransportWithGet) -> Examination:
    expected = namespace_of(url)
    try:
        wsdl = await _fetch(f"{expected}?wsdl", transport)
        return await in_own_thread(lambda: _compare(url, expected, wsdl))
    except SmscError as error:
        return Examination(url=url, wsdl_error=_description(error))


def _compare(url: str, expected: str, wsdl: bytes) -> Examination:
    theirs = read_wsdl(wsdl)
    found = differences(theirs, dataclasses.replace(CONTRACT, namespace=expected))
    return Examination(url=url, namespace=theirs.namespace, differences=tuple(found))


async def _fetch(url: str, transport: TransportWithGet) -> bytes:
    reply = None
    with anyio.move_on_after(_PATIENCE):
        reply = await transport.get(url, Timeout())
    if reply is None:
        raise ReadTimeout("the WSDL was not received in time")
    if reply.status_code != _OK:
        raise MalformedEnvelope(f"HTTP {reply.status_code} instead of a WSDL")
    return reply.body


async def _examine_login(
    wsdl: Examination, transport: TransportWithGet, environment: Mapping[str, str], *, allow_http: bool
) -> Examination:
    try:
        fields = credentials_from(None, None, None, environment).fields()
    except ValueError:
        return dataclasses.replace(wsdl, login_error=_NO_CREDENTIALS)
    client = Client(
        apikey=fields.get("apikey"),
        login=fields.get("login"),
        password=fields.get("psw"),
        url=wsdl.url,
        allow_http=allow_http,
        namespace=wsdl.namespace or None,
        transport=transport,
    )
    try:
        balance: Balance = await client.balance()
    except SmscError as error:
        return dataclasses.replace(wsdl, login_error=_description(error))
    return dataclasses.replace(wsdl, balance=balance.amount)


def _description(error: SmscError) -> str:
    return f"{type(error).__name__}: {error}"
