"""The base of the client: its configuration, its connections, and `call`, through which all requests go."""

import math
import ssl
from collections.abc import Callable, Iterable
from copy import copy
from datetime import timedelta, timezone, tzinfo
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar, cast

from pydantic import SecretStr

from ._call import (
    Caller,
    Identities,
    Namespaces,
    checked,
    checked_namespace,
    clock_of,
    credentials_from,
    credentials_source,
    deadline_from,
    name_after_client,
    named,
    observers_of,
    positive,
    service_urls,
    timeout_from,
    transport_from,
)
from ._clock import Clock
from ._frames import without_arguments, without_frames
from ._model import (
    UNSET,
    Credentials,
    CredentialsSource,
    Observer,
    Operation,
    Result,
    Send,
    SendList,
    UnresolvedSend,
    Unset,
    is_seconds,
    wrong,
)
from ._network import Timeout, Transport
from ._sending import OnUnknown, ReconcileDelays, Reconciler
from ._watching import Watches
from .guards import Guards, LimitsInForce

if TYPE_CHECKING:
    import httpx

__all__ = ["Session"]

R = TypeVar("R", bound=Result)

MOSCOW: Final = timezone(timedelta(hours=3), "Moscow")
_SPARE_CONNECTIONS: Final = 6


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
        fallback_urls: Iterable[str] | None = None,
        namespace: str | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        retries: int = 3,
        transport: "Transport | httpx.AsyncBaseTransport | Literal['aiohttp'] | None" = None,
        timezone: tzinfo = MOSCOW,
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
        """Make a client; nothing is sent, and no connection is made.

        Args:
            apikey: The API key, instead of `login` and `password`. If none of the three is passed, SMSC_APIKEY is used,
                or SMSC_LOGIN and SMSC_PASSWORD.
            login: The login of the account.
            password: The password, or its lower-case MD5 hex digest.
            credentials: A function, also an async one, that returns an `ApiKey` or a `Login`. It is called before the
                first request and again after each error 2, so that rotation needs no restart. Pass `account` too for a
                new key.
            url: The URL of the service. None for SMSC_URL, or https://smscentre.com/sys/soap.php.
            fallback_urls: Further URLs of the same service, tried in turn when a request may be repeated. None for
                those of SMSC_FALLBACK_URLS.
            namespace: The targetNamespace. None to derive it from `url`. A wrong one is corrected from the `?wsdl`.
            timeout: The timeout of one request: a `Timeout`, or the seconds for reading and for writing. Unset for
                SMSC_TIMEOUT, or `Timeout()`.
            deadline: The seconds for a whole call, with its pauses, repetitions and status requests. None for no limit,
                unset for SMSC_DEADLINE, or 90.
            retries: The most repetitions of a call after a network failure. A send is repeated only if nothing was
                sent.
            transport: None for httpx, "aiohttp" for aiohttp (asyncio only), an object with the methods of `Transport`,
                or any `httpx.AsyncBaseTransport`.
            timezone: The time zone of the account, in which the service writes local times that have no timestamp.
            guards: Keeps the requests within the limits of the service. Pass one `Guards` to all clients of an account.
                Unset for guards of this client alone, None for no guards.
            account: The name under which the guards count all credentials of one account. None for SMSC_ACCOUNT, or the
                login or API key.
            egress: A name for the IP address from which the service sees the requests, for guards of several addresses.
                None for SMSC_EGRESS, or "default".
            max_recipients: The most recipients of one `send` or `cost`. The service does not publish its own limit.
            batch_size: The most messages in one request of `send_batch`; two of 49 are below the block after 100 bad
                ones.
            allow_http: Whether a URL without TLS is allowed that is not a loopback address.
            proxy: The URL of a proxy. None for the proxy of the environment.
            verify: An SSL context, or False to accept any certificate, which is for tests only.
            max_response_bytes: The largest response body that is read.
            on_unknown: What to do when the answer to a send is lost. "reconcile" requests the status of the message to
                find out whether the service accepted it. "resend" does the same, and repeats a send that was not
                accepted, with the same id after the minute in which duplicates are refused. "raise" does neither;
                `deadline` holds.
            on_unresolved: Is called with each send whose outcome stays unknown, a cancelled one too. Must return at
                once.
            clock_skew: The seconds by which the clocks of the service and of other machines may be behind this
                machine's clock. It matters in `resolve`, and where an id that you pass may also belong to an older
                message.
            clock: The clock for waits, limits and deadlines: None for real time, or for tests a `testing.ManualClock`.
            observers: Objects that are notified about each call, without private values; see `Observer`.

        Raises:
            ValueError: The credentials are missing, or an argument is wrong.
        """
        checked(max_recipients=max_recipients, batch_size=batch_size, max_response_bytes=max_response_bytes)
        checked(retries=retries, clock_skew=clock_skew, allow_http=allow_http, timezone=timezone, guards=guards)
        checked(account=account, egress=egress, verify=verify, on_unknown=on_unknown, on_unresolved=on_unresolved)
        source: Credentials | CredentialsSource
        if credentials is None:
            source = credentials_from(apikey, login, password)
        else:
            source = credentials_source(credentials, apikey, login, password)
        urls = service_urls(url, fallback_urls, allow_http=allow_http)
        self._url = urls[0]
        self._timeout = timeout_from(timeout)
        self._deadline = deadline_from(deadline)
        self._guards = Guards(clock=clock) if guards is UNSET else guards
        self._limits = LimitsInForce.of(self._guards)
        self._workers = self._limits.status_in_flight
        self._max_recipients = max_recipients
        self._batch_size = batch_size
        self._caller = Caller(
            identities=Identities(source, named(account, "SMSC_ACCOUNT"), named(egress, "SMSC_EGRESS") or "default"),
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
            guards=self._guards,
            timeout=self._timeout,
            clock=clock_of(clock, self._guards),
            observers=observers_of(observers),
        )
        self.clock_skew = clock_skew
        self._on_unresolved = on_unresolved
        self._reconciler = self._make_reconciler(on_unknown)
        self._is_derived = False

    def _make_reconciler(self, on_unknown: OnUnknown) -> Reconciler:
        return Reconciler(
            self._caller,
            ReconcileDelays(self._limits.late_arrival, self._limits.identical_send, self.clock_skew),
            on_unknown=on_unknown,
            on_unresolved=self._on_unresolved,
            workers=self._workers,
        )

    @without_arguments
    def with_options(
        self,
        *,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        on_unknown: OnUnknown | Unset = UNSET,
    ) -> Self:
        """Return a client with other options that shares everything else with this one, such as connections and guards.

        Close the client from which it was made: that closes both. Leaving an `async with` block of the new client, or
        calling its `aclose`, closes nothing.

        Example:
            >>> patient = client.with_options(deadline=300)
            >>> balance = await patient.balance()

        Args:
            timeout: The timeout of one request. Unset for that of this client, as for the others.
            deadline: The deadline of a whole call, None for no limit.
            on_unknown: What to do when the answer to a send is lost.

        Raises:
            ValueError: An argument is wrong.
        """
        if on_unknown is not UNSET:
            checked(on_unknown=on_unknown)
        _ = self._watches  # shared too, so it has to exist
        new = copy(self)
        new.__dict__.update(
            _is_derived=True,
            _timeout=self._timeout if timeout is UNSET else Timeout.of(timeout),
            _deadline=self._deadline if deadline is UNSET else positive(deadline),
            _reconciler=self._reconciler if on_unknown is UNSET else self._make_reconciler(on_unknown),
        )
        return new

    @property
    def guards(self) -> Guards:
        """The guards of this client.

        Raises:
            AttributeError: It has none, because it was made with `guards=None`; so `hasattr` and `getattr` can ask.
        """
        if self._guards is None:
            raise AttributeError("this client has no guards: it was made with guards=None")
        return self._guards

    @cached_property
    def _watches(self) -> Watches:
        """The watches of this client; created by the first one."""
        return Watches()

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
        """Close the client: no further request is sent, and all connections are closed.

        Calls that wait raise `ClientClosed`. Requests in flight get `timeout` seconds to end; then they are cut, and
        the outcome of a send that is cut is unknown. A client that `with_options` made closes nothing.

        Example:
            >>> await client.aclose()
            >>> client
            <smsc_async...Client https://smscentre.com/sys/soap.php (closed)>

        Args:
            timeout: The seconds for requests in flight, `math.inf` for no limit.

        Raises:
            ValueError: `timeout` is less than 0.
        """
        if not is_seconds(timeout) and timeout != math.inf:
            raise wrong("timeout", "a number of seconds, at least 0", timeout)
        if self._is_derived:
            return
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

        Example:
            >>> sent = await client.call(Send(to="+79991234567", text="Your code is 4821"))
            >>> sent.sms_count
            1

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
        checked(operation=operation, allow_duplicate=allow_duplicate, attempt=attempt, unique_id=unique_id)
        if not self._caller.closed:  # a repeated send reports its earlier attempt if the client is closed
            self._caller.bind()
        steps, end = self._times(timeout, deadline)
        asked: object = operation
        if isinstance(asked, Send | SendList):
            if attempt > 1 and "id" not in asked.model_fields_set:
                raise ValueError("attempt is more than 1, so the id of the first attempt must be passed: id=...")
            sent = await self._reconciler.send(
                asked, steps, end, allow_duplicate=allow_duplicate, attempt=attempt, unique_id=unique_id
            )
            return cast("R", sent)
        if attempt != 1 or unique_id:
            raise ValueError("attempt and unique_id are for sends only; this operation may be repeated without them")
        return await self._caller.call(operation, steps, end)

    def _times(self, timeout: Timeout | float | Unset, deadline: float | Unset | None) -> tuple[Timeout, float]:
        steps = self._timeout if timeout is UNSET else Timeout.of(timeout)
        within = self._deadline if deadline is UNSET else positive(deadline)
        return steps, math.inf if within is None else self._caller.clock.now() + within


for _method in vars(Session).values():
    name_after_client(_method)
