"""Messages that say why no connection to a host could be made; they contain no text of a library or a server."""

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import anyio

__all__ = ["Route"]

_CERTIFICATE: Final[Mapping[int, str]] = {  # by OpenSSL's X509_V_ERR_...
    9: "is not valid yet (is the clock of this machine right?)",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by a self-signed one",
    62: "is for another host name",
    64: "is for another IP address",
}
_UNREACHABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_MOST_LINKS: Final = 64
_STATUS: Final = re.compile("[1-5][0-9][0-9]")


@dataclass(frozen=True, slots=True)
class Route:
    """The route to a server, for error messages.

    Attributes:
        url: The URL of the server.
        proxy: The URL of the proxy, None for none.
    """

    url: str
    proxy: str | None = None

    def refused(self, answer: str) -> str:
        """Return the message for a proxy that opens no tunnel; its answer may begin with an HTTP status."""
        status = _STATUS.match(answer)
        said = f" (HTTP {status[0]})" if status else ""
        return f"the proxy {_peer(self.proxy or '')} refused to connect to {_peer(self.url)}{said}"

    def unreadable(self) -> str:
        """Return the message for a proxy whose answer to CONNECT is not HTTP, or has broken headers."""
        return f"{self._first} did not answer as an HTTP proxy"

    def timed_out(self) -> str:
        """Return the message for a connection that timed out."""
        return f"connecting to {self._first} timed out"

    def unresolved(self) -> str:
        """Return the message for a host name that does not exist in DNS, or whose lookup failed."""
        proxy = "" if self.proxy is None else "the proxy "
        return f"could not resolve {proxy}{urlsplit(self.proxy or self.url).hostname}"

    def failed(self, error: BaseException) -> str:
        """Return why a connection could not be made, as far as the library's exceptions show it."""
        reasons = ((rank, words) for each in _chain(error) for rank, words in self._reasons(each))
        unknown = f"no connection to {self._first} could be made ({type(error).__name__})"
        return min(reasons, default=(0, unknown))[1]

    @property
    def _first(self) -> str:
        return _peer(self.url) if self.proxy is None else f"the proxy {_peer(self.proxy)}"

    def _reasons(self, error: BaseException) -> Iterator[tuple[int, str]]:
        """Yield the message for one exception, with a rank: each address of a host may fail for a different reason."""
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_code"):  # aiohttp's has none
            yield 0, f"the certificate of {self._secured} {_CERTIFICATE.get(error.verify_code, 'is not trusted')}"
        elif isinstance(error, ssl.SSLError):
            reason = getattr(error, "reason", None)
            yield (1 if reason else 2), f"TLS with {self._secured} failed ({reason or type(error).__name__})"
        elif isinstance(error, socket.gaierror):
            yield 3, self.unresolved()
        elif isinstance(error, ConnectionRefusedError):
            yield 4, f"{self._first} refused the connection"
        elif isinstance(error, ConnectionError | anyio.BrokenResourceError | anyio.EndOfStream):
            yield 5, f"{self._first} closed the connection"
        elif isinstance(error, OSError) and error.errno in _UNREACHABLE:
            yield 6, f"{self._first} is unreachable"
        elif "Timeout" in type(error).__name__:
            yield 7, self.timed_out()

    @property
    def _secured(self) -> str:
        """The peer of a TLS handshake; with an https proxy there are two."""
        return f"{_peer(self.url)} or {self._first}" if (self.proxy or "").startswith("https") else _peer(self.url)


def _peer(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from; the first one's context may be the caller's."""
    links = [error]
    for _ in range(_MOST_LINKS):
        if not links:
            return
        link = links.pop()
        yield link
        links += link.exceptions if isinstance(link, BaseExceptionGroup) else ()
        # httpcore's pool re-raises an exception without its cause, which is also its context.
        before = link.__context__ if type(link).__module__.startswith("httpcore") else link.__cause__
        links += [before] if before is not None else ()
