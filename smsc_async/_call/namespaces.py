"""The namespace that each URL of the service expects, and the correction of a wrong one."""

import logging
from collections import defaultdict

import anyio

from smsc_async._clock import PerLoop
from smsc_async._model import SmscError, SoapFault
from smsc_async._network import Timeout, Transport, TransportWithGet
from smsc_async._protocol import namespace_of, reads_at_once, target_namespace
from smsc_async._thread import in_own_thread

from .config import checked_namespace

__all__ = ["Namespaces"]

_log = logging.getLogger("smsc_async")
_OK = 200


class Namespaces:
    """The namespaces of a client's URLs.

    The service uses its own URL as its namespace. Where that guess, or the caller's, is wrong, the server answers
    "Procedure ... not present", which proves that it executed nothing; the right namespace is then read from `?wsdl`.

    Args:
        explicit: The namespace that the caller passed, None to derive it from the URL.
        url: The client's first URL.
    """

    def __init__(self, explicit: str | None, url: str) -> None:
        self._first = explicit or namespace_of(url)
        self._warn = explicit is not None
        self._adopted: dict[str, str] = {}
        self._read: set[str] = set()
        self._problems: dict[str, str] = {}
        self._look_ups: defaultdict[str, int] = defaultdict(int)
        self._locks = PerLoop(lambda: defaultdict[str, anyio.Lock](anyio.Lock))

    def of(self, url: str) -> str:
        """Return the namespace to use at this URL."""
        return self._adopted.get(url, self._first)

    async def heal(self, fault: SoapFault, url: str, wrong: str, transport: Transport, timeout: Timeout) -> str:
        """Return the namespace that the service at this URL expects, after it refused another.

        Raises:
            SoapFault: No other namespace was found; the message says what to do.
        """
        before = self._look_ups[url]
        async with self._locks()[url]:
            # A call that waited here uses the result of the call before it, a namespace or a failure.
            if self.of(url) == wrong and self._look_ups[url] == before and url not in self._read:
                await self._look_up(url, wrong, transport, timeout)
                self._look_ups[url] += 1
            right = self.of(url)
        if right != wrong:
            return right
        raise SoapFault(
            f"the service doesn't know this namespace, and {self._problems[url]}; pass namespace= the targetNamespace "
            "of its WSDL",
            fault_code=fault.fault_code,
            fault_string=fault.fault_string,
        ) from fault

    async def _look_up(self, url: str, wrong: str, transport: Transport, timeout: Timeout) -> None:
        """Adopt the namespace of the `?wsdl`, or record why it can't be used."""
        try:
            found = await _published(url, transport, timeout)
        except SmscError as error:
            self._problems[url] = f"its ?wsdl could not be read ({type(error).__name__}: {error})"
            return
        except Exception as error:  # noqa: BLE001 - of the caller's own transport; its text may be private
            self._problems[url] = f"its ?wsdl could not be read ({type(error).__name__})"
            return
        self._read.add(url)
        if found == wrong:
            self._problems[url] = "its ?wsdl names the same one, so this may not be the URL of the service"
            return
        self._adopted[url] = found
        self._problems[url] = "it has refused the one that its ?wsdl names too"
        if self._warn:
            self._warn = False
            _log.warning(
                "the namespace %r is wrong, the service uses %r; pass that as namespace=, or leave the argument out",
                wrong,
                found,
            )
        else:
            _log.info("the service uses the namespace %r", found)


async def _published(url: str, transport: Transport, timeout: Timeout) -> str:
    if not isinstance(transport, TransportWithGet):
        raise SmscError("this transport has no `get`")
    reply = await transport.get(f"{url}{'&' if '?' in url else '?'}wsdl", timeout)
    if reply.status_code != _OK:
        raise SmscError(f"HTTP {reply.status_code}")
    body, kind = reply.body, reply.content_type
    at_once = reads_at_once(body, kind)
    found = target_namespace(body) if at_once else await in_own_thread(lambda: target_namespace(body))
    try:
        return checked_namespace(found)
    except ValueError:
        pass
    raise SmscError("its targetNamespace can't be sent in an HTTP header")
