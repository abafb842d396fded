"""The last requests and their answers, without credentials."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from ._fault import FaultKind
from ._limits import LimitUse

__all__ = ["Exchange", "Exchanges"]

_log = logging.getLogger("smsc_async.sandbox")
_MOST: Final = 10_000
_CHARACTERS: Final = 8_000_000


@dataclass(slots=True)
class Exchange:
    """A request and its answer.

    Attributes:
        number: The number of the request.
        at: Unix time of the sandbox when it arrived.
        method: Its method, empty if it can't be read.
        source: The IP address that it came from.
        login: The customer; None where the credentials were not accepted.
        fault: The injected fault that affected it, None for none.
        executed: Whether the service executed it.
        error: The error of the service, 0 for none.
        reason: Why there is an error, without phones and texts.
        excess: The limit that was exceeded, if that is the reason.
        messages: The keys of the messages that it sent.
        request: The XML with its credentials masked; empty if it can't be read or has more than 65,536 bytes.
        status: The HTTP status of the answer, None if the client gets none.
        answer: The body of the answer; empty if it has more than 65,536 bytes.
        seconds: How long it took in real time, None until it is finished.
    """

    number: int
    at: float
    method: str = ""
    source: str = ""
    login: str | None = field(default=None, repr=False)
    fault: FaultKind | None = None
    executed: bool = False
    error: int = 0
    reason: str = ""
    excess: LimitUse | None = None
    messages: tuple[int, ...] = ()
    request: str = field(default="", repr=False)
    status: int | None = None
    answer: str = field(default="", repr=False)
    seconds: float | None = None

    @property
    def outcome(self) -> str:
        """What came of it, in words: "error 9: status of this message 6 in 60 s"."""
        words = []
        if self.fault is not None:
            words.append(f"fault {self.fault}" + ("" if self.executed else ", not executed"))
        if self.error:
            words.append(f"error {self.error}: {self.reason}" if self.reason else f"error {self.error}")
        elif self.reason:
            words.append(self.reason)
        return "; ".join(words) or "ok"


class Exchanges:
    """The last 10,000 exchanges, fewer if they are large; each is logged when it is finished."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._exchanges: OrderedDict[int, Exchange] = OrderedDict()
        self._characters = 0

    def all(self) -> Sequence[Exchange]:
        """Return them in the order of their arrival."""
        with self._lock:
            return tuple(self._exchanges.values())

    def get(self, number: int) -> Exchange | None:
        """Return one by its number, None if it is not there."""
        return self._exchanges.get(number)

    def add(self, exchange: Exchange) -> None:
        """Add an exchange, which is not finished."""
        with self._lock:
            self._exchanges[exchange.number] = exchange
            self._count(exchange)

    def finish(self, exchange: Exchange, seconds: float, status: int | None, answer: str) -> None:
        """Add the answer to an exchange."""
        with self._lock:
            exchange.seconds, exchange.status, exchange.answer = seconds, status, answer
            self._characters += len(answer) if exchange.number in self._exchanges else 0
        _log.info("%s: %s, %.0f ms", exchange.method or "unreadable request", exchange.outcome, seconds * 1000)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._exchanges.clear()
            self._characters = 0

    def _count(self, exchange: Exchange) -> None:
        self._characters += len(exchange.request)
        while len(self._exchanges) > _MOST or (self._characters > _CHARACTERS and len(self._exchanges) > 1):
            _, old = self._exchanges.popitem(last=False)
            self._characters -= len(old.request) + len(old.answer)
