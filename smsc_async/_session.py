"""Who calls, which service, and the one path to it: what all the verbs of a client stand on."""

import ssl
from collections.abc import Iterable
from datetime import timedelta, timezone, tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from pydantic import SecretStr

from ._caller import Caller
from ._namespaces import Namespaces
from ._operations import Operation
from ._results import Result
from ._settings import checked_url, credentials_from, positive, transport_from
from ._transport import Timeout, Transport
from ._types import UNSET, Unset
from .guards import Guards, Identity, Rules

if TYPE_CHECKING:
    import httpx

__all__ = ["Session"]

R = TypeVar("R", bound=Result)

MOSCOW: Final = timezone(timedelta(hours=3), "Moscow")
_RULES: Final = Rules()
_SPARE_CONNECTIONS: Final = 6
_TIMEOUT: Final = Timeout()


class Session:
    """A client without its verbs; see `Client` for the arguments."""

    def __init__(
        self,
        *,
        apikey: str | SecretStr | None = None,
        login: str | SecretStr | None = None,
        password: str | SecretStr | None = None,
        url: str | None = None,
        fallback_urls: Iterable[str] = (),
        namespace: str | None = None,
        timeout: Timeout | float = _TIMEOUT,
        deadline: float | None = 90.0,
        retries: int = 3,
        transport: "Transport | httpx.AsyncBaseTransport | None" = None,
        timezone: tzinfo = MOSCOW,
        guards: Guards | Unset | None = UNSET,
        account: str | None = None,
        egress: str = "default",
        max_recipients: int = 100,
        batch_size: int = 49,
        allow_http: bool = False,
        proxy: "str | httpx.Proxy | None" = None,
        verify: ssl.SSLContext | bool = True,
        max_response_bytes: int = 1_048_576,
    ) -> None:
        if min(max_recipients, batch_size, max_response_bytes) < 1 or retries < 0:
            raise ValueError("the limits of a client are 1 or more, and retries is 0 or more")
        first = checked_url(url, allow_http=allow_http)
        urls = (first, *(checked_url(each, allow_http=allow_http) for each in fallback_urls))
        self._url = first
        self._timeout = Timeout.of(timeout)
        self._deadline = positive(deadline)
        self.guards = Guards() if guards is UNSET else guards
        rules = _RULES if self.guards is None else self.guards.rules
        self._workers = min(rules.in_flight.count, rules.status_in_flight.count)
        self._max_recipients = max_recipients
        self._batch_size = batch_size
        self._caller = Caller(
            who=Identity(credentials_from(apikey, login, password), account, egress),
            urls=urls,
            namespaces=Namespaces(namespace, urls[0]),
            transport=transport_from(
                transport,
                proxy=proxy,
                verify=verify,
                max_connections=rules.in_flight.count + _SPARE_CONNECTIONS,
                max_response_bytes=max_response_bytes,
            ),
            timezone=timezone,
            retries=retries,
            guards=self.guards,
        )

    def __repr__(self) -> str:
        return f"<smsc_async.{type(self).__name__} {self._url}{' (closed)' if self._caller.closed else ''}>"

    async def __aenter__(self) -> Self:
        self._caller.bind()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; again does nothing."""
        await self._caller.aclose()

    async def call(
        self,
        operation: Operation[R],
        *,
        allow_duplicate: bool = False,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> R:
        """Do an operation; the only path to the network, and everything else is sugar over it.

        Waits for its turn where a limit demands it, or raises. Repeats reads after network failures and error 9, sends
        only if nothing left.

        Raises:
            SmscError: It failed; `outcome` tells what became of it.
            ValueError: A value can't travel in XML.
        """
        steps = self._timeout if timeout is UNSET else Timeout.of(timeout)
        within = self._deadline if deadline is UNSET else positive(deadline)
        return await self._caller.call(operation, steps, within, allow_duplicate=allow_duplicate)
