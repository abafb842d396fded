"""The base of the client: its configuration, its connections, and `call`, through which all requests go."""

import math
import ssl
from collections.abc import Callable, Iterable
from datetime import timedelta, timezone, tzinfo
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar, cast, get_args

from pydantic import SecretStr

from ._call import (
    Caller,
    Identities,
    Namespaces,
    Trace,
    checked,
    checked_namespace,
    clock_of,
    credentials_from,
    credentials_source,
    is_listener,
    observers_of,
    positive,
    service_urls,
    transport_from,
)
from ._clock import Clock
from ._frames import without_arguments, without_frames
from ._model import (
    UNSET,
    Credentials,
    CredentialsSource,
    DeliveryReport,
    GetStatus,
    Observer,
    Operation,
    Result,
    Send,
    SendList,
    UnresolvedSend,
    Unset,
    is_seconds,
)
from ._network import Timeout, Transport
from ._sending import OnUnknown, ReconcileDelays, Reconciler
from ._watching import Curve
from .guards import Guards, LimitsInForce

if TYPE_CHECKING:
    import httpx

__all__ = ["Session"]

R = TypeVar("R", bound=Result)

MOSCOW: Final = timezone(timedelta(hours=3), "Moscow")
_SPARE_CONNECTIONS: Final = 6
_TIMEOUT: Final = Timeout()


class Session:
    """A client without the methods for single tasks; see `Client` for the arguments."""

    @without_arguments
    def __init__(
        self,
        *,
        apikey: str | SecretStr | None = None,
        login: str | SecretStr | None = None,
        password: str | SecretStr | None = None,
        credentials: CredentialsSource | None = None,
        url: str | None = None,
        fallback_urls: Iterable[str] = (),
        namespace: str | None = None,
        timeout: Timeout | float = _TIMEOUT,
        deadline: float | None = 90.0,
        retries: int = 3,
        transport: "Transport | httpx.AsyncBaseTransport | Literal['aiohttp'] | None" = None,
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
        on_unknown: OnUnknown = "reconcile",
        on_unresolved: Callable[[UnresolvedSend], None] | None = None,
        clock_skew: float = 5.0,
        clock: Clock | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        sizes = max_recipients, batch_size, max_response_bytes
        are_whole = all(isinstance(each, int) for each in (*sizes, retries))
        if not are_whole or min(sizes) < 1 or retries < 0 or not is_seconds(clock_skew):
            raise ValueError(
                "max_recipients, batch_size and max_response_bytes must be at least 1, "
                "retries and clock_skew at least 0"
            )
        checked(
            timezone=isinstance(timezone, tzinfo),
            guards=guards is None or guards is UNSET or isinstance(guards, Guards),
            account=account is None or isinstance(account, str),
            egress=isinstance(egress, str),
            verify=isinstance(verify, bool | ssl.SSLContext),
            on_unknown=on_unknown in get_args(OnUnknown),
            on_unresolved=on_unresolved is None or is_listener(on_unresolved),
        )
        source: Credentials | CredentialsSource
        if credentials is None:
            source = credentials_from(apikey, login, password)
        else:
            source = credentials_source(credentials, apikey, login, password)
        urls = service_urls(url, fallback_urls, allow_http=allow_http)
        self._url = urls[0]
        self._timeout = Timeout.of(timeout)
        self._deadline = positive(deadline)
        self.guards: Guards | None = Guards(clock=clock) if guards is UNSET else guards
        self._limits = LimitsInForce.of(self.guards)
        self._workers = self._limits.status_in_flight
        self._max_recipients = max_recipients
        self._batch_size = batch_size
        self._caller = Caller(
            identities=Identities(source, account, egress),
            urls=urls,
            namespaces=Namespaces(None if namespace is None else checked_namespace(namespace), urls[0]),
            transport=transport_from(
                transport,
                proxy=proxy,
                verify=verify,
                max_connections=self._limits.in_flight + _SPARE_CONNECTIONS,
                max_response_bytes=max_response_bytes,
            ),
            timezone=timezone,
            retries=retries,
            guards=self.guards,
            timeout=self._timeout,
            clock=clock_of(clock, self.guards),
            observers=observers_of(observers),
        )
        self.clock_skew = clock_skew
        self._reconciler = Reconciler(
            self._caller,
            ReconcileDelays(self._limits.late_arrival, self._limits.identical_send, clock_skew),
            on_unknown=on_unknown,
            on_unresolved=on_unresolved,
            workers=self._workers,
        )

    @cached_property
    def _curve(self) -> Curve:
        """What the watches of this client have learnt about delivery times; created by the first watch."""
        return Curve()

    def __repr__(self) -> str:
        return f"<smsc_async.{type(self).__name__} {self._url}{' (closed)' if self._caller.closed else ''}>"

    async def __aenter__(self) -> Self:
        self._caller.bind()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, timeout: float = 5.0) -> None:
        """Close the client: no request leaves any more, and all connections are closed.

        Calls that wait raise `ClientClosed`. Requests in flight get `timeout` seconds to end; then they are cut, and
        the outcome of a send that is cut is unknown.

        Raises:
            ValueError: `timeout` is less than 0.
        """
        if not is_seconds(timeout) and timeout != math.inf:
            raise ValueError("timeout must be at least 0 seconds; 0 cuts the requests in flight at once")
        await self._caller.aclose(timeout)

    @without_frames
    async def call(
        self,
        operation: Operation[R],
        *,
        allow_duplicate: bool = False,
        attempt: int = 1,
        unique_id: bool = False,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> R:
        """Execute an operation, as the methods for single operations do.

        Where a limit requires it, the call waits, or raises a `GuardError`. Reads are repeated after network failures
        and error 9, sends only if nothing was sent. A send whose answer is lost is handled as `on_unknown` says.

        Args:
            operation: The operation.
            allow_duplicate: For a send, whether the same message may have been sent in the last minute.
            attempt: The number of this attempt at the send. From 2 on, a status request comes first.
            unique_id: A promise that no other message uses the id of this send, so that no clocks need to be compared.
            timeout: The timeout of each request.
            deadline: The deadline for the whole call, None for no limit.

        Raises:
            SmscError: The operation failed; `outcome` says whether it may have been executed.
            ValueError: An argument is wrong, or a value can't be written in XML.
        """
        if not self._caller.closed:  # a repeated send reports its earlier attempt if the client is closed
            self._caller.bind()
        steps, end = self._times(timeout, deadline)
        asked: object = operation
        if isinstance(asked, Send | SendList):
            if attempt < 1 or (attempt > 1 and "id" not in asked.model_fields_set):
                raise ValueError("attempt must be at least 1, and from 2 on the id of the first attempt must be passed")
            sent = await self._reconciler.send(
                asked, steps, end, allow_duplicate=allow_duplicate, attempt=attempt, unique_id=unique_id
            )
            return cast("R", sent)
        if attempt != 1 or unique_id:
            raise ValueError("attempt and unique_id are for sends only; this operation may be repeated without them")
        return await self._caller.call(operation, steps, end)

    async def _poll(self, operation: GetStatus) -> DeliveryReport:
        """Request a status once, for a watch, which asks again itself and keeps the limits of each message."""
        report = await self._caller.call(operation, *self._times(UNSET, UNSET), trace=Trace(once=True))
        if report.is_final:
            self._caller.observing.delivered(report)
        return report

    def _times(self, timeout: Timeout | float | Unset, deadline: float | Unset | None) -> tuple[Timeout, float]:
        steps = self._timeout if timeout is UNSET else Timeout.of(timeout)
        within = self._deadline if deadline is UNSET else positive(deadline)
        return steps, math.inf if within is None else self._caller.clock.now() + within

    def _check_number(self, recipients: tuple[str, ...]) -> None:
        if len(recipients) > self._max_recipients:
            raise ValueError(
                f"{len(recipients)} recipients in one request; at most {self._max_recipients} are allowed: split "
                "them, use send_batch, or raise Client(max_recipients=)"
            )
