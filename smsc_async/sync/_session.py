"""The base of the synchronous client: its configuration, its connections, and `call`."""

import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import timedelta, timezone, tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar

from pydantic import SecretStr

from smsc_async import (
    UNSET,
    Balance,
    Clock,
    CredentialsSource,
    Guards,
    Observer,
    Operation,
    Result,
    Timeout,
    Transport,
    UnresolvedSend,
    Unset,
)
from smsc_async import Client as AsyncClient
from smsc_async.guards import Snapshot

from ._call import PortalCall
from ._mirror import mirrors, name_after
from ._owned import AsyncSide, Derived, Owned
from ._types import OnUnknown

if TYPE_CHECKING:
    import httpx

__all__ = ["BlockingSession"]

T = TypeVar("T")
R = TypeVar("R", bound=Result)

_MOSCOW: Final = timezone(timedelta(hours=3), "Moscow")


class BlockingSession:
    """A synchronous client without the methods for single tasks; see `Client`."""

    @mirrors(AsyncClient.__init__)
    def __init__(
        self,
        *,
        apikey: str | SecretStr | None = None,
        login: str | SecretStr | None = None,
        password: str | SecretStr | None = None,
        credentials: CredentialsSource | None = None,
        url: str | None = None,
        fallback_urls: Iterable[str] | None = None,
        namespace: str | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        retries: int = 3,
        transport: "Transport | httpx.AsyncBaseTransport | Literal['aiohttp'] | None" = None,
        timezone: tzinfo = _MOSCOW,
        guards: Guards | Unset | None = UNSET,
        account: str | None = None,
        egress: str | None = None,
        max_recipients: int = 100,
        batch_size: int = 49,
        allow_http: bool = False,
        proxy: "str | httpx.Proxy | None" = None,
        verify: ssl.SSLContext | bool = True,
        max_response_bytes: int = 1_048_576,
        on_unknown: OnUnknown = "reconcile",
        on_unresolved: Callable[[UnresolvedSend], None] | None = None,
        clock_skew: float = 5.0,
        clock: Clock | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        """Make a client; nothing is sent, and no connection is made."""
        urls = tuple(fallback_urls) if isinstance(fallback_urls, Iterator) else fallback_urls
        watching = tuple(observers) if isinstance(observers, Iterator) else observers

        def make(own: Guards | Unset | None) -> AsyncClient:
            return AsyncClient(
                apikey=apikey,
                login=login,
                password=password,
                credentials=credentials,
                url=url,
                fallback_urls=urls,
                namespace=namespace,
                timeout=timeout,
                deadline=deadline,
                retries=retries,
                transport=transport,
                timezone=timezone,
                guards=guards if own is UNSET else own,
                account=account,
                egress=egress,
                max_recipients=max_recipients,
                batch_size=batch_size,
                allow_http=allow_http,
                proxy=proxy,
                verify=verify,
                max_response_bytes=max_response_bytes,
                on_unknown=on_unknown,
                on_unresolved=on_unresolved,
                clock_skew=clock_skew,
                clock=clock,
                observers=watching,
            )

        self._behind: AsyncSide = Owned(make)

    @classmethod
    def _of(cls, behind: AsyncSide) -> Self:
        client = cls.__new__(cls)
        client._behind = behind  # noqa: SLF001 - of this class
        return client

    def __repr__(self) -> str:
        return f"<smsc_async.sync.{type(self).__name__} {repr(self._behind.client).partition(' ')[2]}"

    def __enter__(self) -> Self:
        """Start the thread, if it does not run yet."""
        self._behind.use()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @mirrors(AsyncClient.aclose)
    def close(self, timeout: float = 5.0) -> None:
        """Close the client: no further request is sent, and all connections are closed."""
        self._behind.close(timeout)

    @mirrors(AsyncClient.with_options)
    def with_options(
        self,
        *,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        on_unknown: OnUnknown | Unset = UNSET,
    ) -> Self:
        """Return a client with other options that shares everything else with this one."""
        return self._of(
            Derived(
                self._behind,
                lambda client: client.with_options(timeout=timeout, deadline=deadline, on_unknown=on_unknown),
            )
        )

    @property
    def guards(self) -> Guards:
        """The guards of this client; for their `snapshot`, call `guards_snapshot`.

        Raises:
            AttributeError: It has none, because it was made with `guards=None`; so `hasattr` and `getattr` can ask.
        """
        return self._behind.client.guards

    @mirrors(Guards.snapshot)
    def guards_snapshot(self) -> Snapshot:
        """Return the requests in flight, those that wait, and the keys that are full and until when."""
        return self._run(lambda client: client.guards.snapshot())

    @property
    def clock_skew(self) -> float:
        """The value that was passed to the constructor."""
        return self._behind.client.clock_skew

    @mirrors(AsyncClient.call)
    def call(
        self,
        operation: Operation[R],
        *,
        allow_duplicate: bool = False,
        attempt: int = 1,
        unique_id: bool = False,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> R:
        """Execute an operation, as the methods for single operations do."""
        return self._run(
            lambda client: client.call(
                operation,
                allow_duplicate=allow_duplicate,
                attempt=attempt,
                unique_id=unique_id,
                timeout=timeout,
                deadline=deadline,
            )
        )

    @mirrors(AsyncClient.balance)
    def balance(self, *, timeout: Timeout | float | Unset = UNSET, deadline: float | Unset | None = UNSET) -> Balance:
        """Return the account's balance (`get_balance`)."""
        return self._run(lambda client: client.balance(timeout=timeout, deadline=deadline))

    def _run(self, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
        portal, client = self._behind.use()
        return PortalCall(portal, lambda: work(client)).result()


for _method in vars(BlockingSession).values():
    name_after("Client", _method)
