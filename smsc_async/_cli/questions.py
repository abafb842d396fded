"""What nobody could find out about the service without an account: the questions of `doctor --report`, asked once each.

They send no message and charge nothing: prices and statuses are reads, and the only send has no valid recipient and the
parameter that stands for "without sending".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from smsc_async._call import credentials_from
from smsc_async._model import (
    AddressBlocked,
    ApiKey,
    AuthenticationFailed,
    ConnectError,
    Credentials,
    GetBalance,
    GetCost,
    GetStatus,
    Login,
    MessageRef,
    Operation,
    Send,
    SmscError,
)
from smsc_async._network import Reply, Timeout, TransportWithGet
from smsc_async._protocol import Request, decode, encode

__all__ = ["MOST", "PHONE", "TEXT", "WRONG", "Finding", "Questions", "credentials_in"]

PHONE: Final = "+79999999999"
TEXT: Final = "Проверка"
WRONG: Final = "wrong-on-purpose"
_UNKNOWN_ID: Final = "smsc-async-doctor"
_NO_PHONE: Final = "12"
_NOT_ASKED: Final = "not asked"
_FOREIGN: Final = "urn:smsc-async:doctor"
_MOSCOW: Final = timezone(timedelta(hours=3))


class _PriceOfNothing(GetCost):
    def fields(self) -> dict[str, str]:
        return {**super().fields(), "phones": ""}


class _PriceToNoPhone(GetCost):
    def fields(self) -> dict[str, str]:
        return {**super().fields(), "phones": _NO_PHONE}


class _PriceWithDetails(GetCost):
    def parameters(self) -> dict[str, str]:
        return {"op": "1", "err": "1"}


class _SendOfNothing(Send):
    def fields(self) -> dict[str, str]:
        return {**super().fields(), "phones": _NO_PHONE}

    def parameters(self) -> dict[str, str]:
        return {"cost": "1", "op": "1", "err": "1"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A question, and what the service has answered.

    Attributes:
        name: Its name in the report.
        title: What is to be found out.
        request: The body of the request; empty for a GET, and if it was not asked.
        reply: The answer, None if there is none.
        reading: How this package reads the answer, or why there is none.
    """

    name: str
    title: str
    request: bytes = field(default=b"", repr=False)
    reply: Reply | None = None
    reading: str = ""

    @property
    def is_asked(self) -> bool:
        """Whether a request was made."""
        return not self.reading.startswith(_NOT_ASKED)


def credentials_in(environment: Mapping[str, str]) -> list[Credentials]:
    """Return the credentials of the environment: login and password, then the apikey, as far as they are set.

    Raises:
        ValueError: There are none, or half of a pair.
    """
    pair = {name: environment.get(name, "") for name in ("SMSC_LOGIN", "SMSC_PASSWORD")}
    key = {"SMSC_APIKEY": environment.get("SMSC_APIKEY", "")}
    given = [each for each in (pair, key) if any(each.values())]
    return [credentials_from(None, None, None, each) for each in given or [key]]


class _Question(NamedTuple):
    name: str
    title: str
    operation: Operation[Any]
    namespace: str = ""


class Questions:
    """Asks the service; after a refused login or a block it asks nothing that would make it worse.

    Args:
        url: The URL of the service.
        namespace: The namespace of its WSDL.
        transport: The transport.
        credentials: Those that may be tried, the most trusted first.
    """

    def __init__(
        self, url: str, namespace: str, transport: TransportWithGet, credentials: Sequence[Credentials]
    ) -> None:
        self._url = url
        self._namespace = namespace
        self._transport = transport
        self._credentials = credentials
        self._right: Credentials | None = None
        self._is_refused = False
        self._stop = ""
        self._answers: list[Finding] = []

    async def ask_all(self) -> list[Finding]:
        """Return the answers to all questions, in order."""
        for credentials in self._credentials:
            await self._log_in(credentials)
        without = "no login has worked" if self._right is None else ""
        who = self._right or self._credentials[0]
        for question in _QUESTIONS:
            await self._ask(question, who, without)
        if self._is_refused:
            without = without or "another login was refused already"
        wrong = SecretStr(WRONG)
        await self._ask(
            _WRONG_LOGIN,
            ApiKey(key=wrong) if isinstance(who, ApiKey) else Login(login=who.login, password=wrong),
            without,
        )
        return self._answers

    async def _log_in(self, credentials: Credentials) -> None:
        question = _APIKEY if isinstance(credentials, ApiKey) else _LOGIN
        error = await self._ask(question, credentials, "another login was refused" if self._is_refused else "")
        if error is None and self._answers[-1].is_asked:
            self._right = self._right or credentials
        self._is_refused = self._is_refused or isinstance(error, AuthenticationFailed)

    async def _ask(self, question: _Question, credentials: Credentials, without: str) -> SmscError | None:
        """Ask a question, keep the answer, and return the error that it is for this package."""
        name, title, operation, namespace = question
        without = self._stop or without
        if without:
            self._answers.append(Finding(name, title, reading=f"{_NOT_ASKED}: {without}"))
            return None
        request = encode(operation, credentials, namespace or self._namespace)
        reply: Reply | None = None
        error: SmscError | None = None
        try:
            reply = await self._transport.post(self._url, request.headers, request.body, Timeout())
            reading = _read(operation, request, reply)
        except SmscError as failure:
            error, reading = failure, f"{type(failure).__name__}: {failure}"
        self._answers.append(Finding(name, title, request.body, reply, reading))
        if isinstance(error, AddressBlocked):
            self._stop = "the service has blocked this IP address (error 4)"
        elif isinstance(error, ConnectError):
            self._stop = "no connection to the service"
        return error


def _read(operation: Operation[Any], request: Request, reply: Reply) -> str:
    """Return how this package reads an answer."""
    status, kind = reply.status_code, reply.content_type
    result = decode(operation, request, status_code=status, content_type=kind, body=reply.body, timezone=_MOSCOW)
    return f"{type(result).__name__} with {', '.join(sorted(result.model_fields_set))}"


_LOGIN: Final = _Question("login", "login and password, and the balance", GetBalance())
_APIKEY: Final = _Question("apikey", "an apikey instead of login and password, and the balance", GetBalance())
_WRONG_LOGIN: Final = _Question("error 2", "a wrong login, once and on purpose", GetBalance())
_TO: Final = (PHONE,)
_REF: Final = MessageRef(phone=PHONE, id=_UNKNOWN_ID)
_QUESTIONS: Final = (
    _Question("cost", "the price of a message, which is not sent", GetCost(to=_TO, text=TEXT)),
    _Question("op", "op=1 and err=1 with a price", _PriceWithDetails(to=_TO, text=TEXT)),
    _Question("status", "the status of a message that does not exist", GetStatus(ref=_REF, detail=2)),
    _Question("error 1", "a price without a recipient", _PriceOfNothing(to=_TO, text=TEXT)),
    _Question("error 7", "a price for what is no phone", _PriceToNoPhone(to=_TO, text=TEXT)),
    _Question(
        "send",
        "op=1, err=1 and cost=1 (without sending) in a send to what is no phone",
        _SendOfNothing(to=_TO, text=TEXT, id=_UNKNOWN_ID),
    ),
    _Question("namespace", "a request in a namespace that it does not have", GetBalance(), _FOREIGN),
)
MOST: Final = len(_QUESTIONS) + 4
"""The most requests: with the WSDL, two logins and a wrong one."""
