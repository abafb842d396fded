"""A wrong set-up: certificates, proxies and arguments that can't be used, and then a set-up that can."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from smsc_async import Client, ConnectError, Outcome, UnresolvedSend
from smsc_async._protocol.binding import encode_answer, receive
from smsc_async.sandbox import DeliveryPlan, Sandbox
from tests.doubles import RawRequest, http_bytes, raw_server
from tests.faults.fault_cases import Summary

__all__ = ["try_setups"]

_URL: Final = "http://sms.test/sys/soap.php"
_SECRET: Final = "canary"
_MEANT: Final = re.compile("_proxy$|^ssl_cert", re.IGNORECASE)
_WORDS: Final = (
    *(f"user:{_SECRET}{sign}1@host:3128" for sign in ("#", "/", "?", "[", "]", "\\", "\n", "\t", " ", "п", "%", "%FF")),
    *(
        f"user:{_SECRET}@{host}"
        for host in ("", ":3128", "host:port", "host:0", "host:99999", "a..b", "[::x]", "1.2.3.256")
    ),
)
_PROXIES: Final = (
    *(f"{scheme}://{words}" for scheme in ("http", "https") for words in _WORDS),
    *(f"{scheme}://user:{_SECRET}@host:1" for scheme in ("socks5", "gopher", "ftp")),
)
_PLACES: Final = tuple(map(str, (Path("/gone"), Path(__file__), Path(__file__).parent, Path(os.devnull))))
_ENVIRONMENTS: Final[tuple[Mapping[str, str], ...]] = (
    *({"SSL_CERT_FILE": place} for place in _PLACES),
    *({"SSL_CERT_DIR": place} for place in _PLACES if not Path(place).is_dir()),
    *({name: proxy} for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy") for proxy in _PROXIES if "\0" not in proxy),
)
_TEXTS: Final = ("имя", "a b", "a\r\nb", "\0", "\ud800", "a" * 1_000_000)
_ARGUMENTS: Final[tuple[Mapping[str, Any], ...]] = (
    *({"proxy": proxy} for proxy in _PROXIES),
    *({"url": f"https://sms.test/{text}"} for text in _TEXTS),
    *({"fallback_urls": [f"https://sms.test/{text}"]} for text in _TEXTS),
    *({"namespace": f"urn:{text}"} for text in _TEXTS),
    *({"apikey": f"{_SECRET}{text}"} for text in _TEXTS[3:]),
    {"verify": "/gone"},
)


def try_setups(transport: Any = None) -> Summary:
    """Try each wrong set-up: a client that can't be made, and sends before and after the set-up is mended."""
    return asyncio.run(_try_all(transport))


async def _try_all(transport: Any) -> Summary:
    summary, sandbox = Summary(), Sandbox(delivery=DeliveryPlan.instant())

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        incoming = receive(request.body, namespaces=(_URL,))
        result = sandbox._service.arrive(incoming.method, incoming.fields, now=sandbox.now())
        sandbox._service.leave(result)
        writer.write(http_bytes(encode_answer(incoming, result.fields, _URL)))
        return False

    for arguments in _ARGUMENTS:
        summary.cases += 1
        _try_to_make(arguments, transport, summary)
    async with raw_server(serve) as proxy:
        for number, environment in enumerate(_ENVIRONMENTS):
            summary.cases += 1
            phone = f"+7999{number:07}"
            client, kept = _client(transport)
            async for wrong in _try(client, environment, phone, proxy):
                summary.wrong.append(f"{ascii(environment)[:80]}: {wrong}")
            accepted = sum(message.phone == phone[1:] for message in sandbox.messages)
            summary.said["NOT_SENT"] += 1
            summary.doubled += accepted > 1
            if accepted != 1 or kept:
                summary.wrong.append(f"{ascii(environment)[:80]}: {accepted} accepted, {len(kept)} unresolved")
    return summary


def _try_to_make(arguments: Mapping[str, Any], transport: Any, summary: Summary) -> None:
    try:
        Client(**{"apikey": "demo", "transport": transport, **arguments})
    except ValueError as error:
        summary.said["NOT_SENT"] += 1
        if _SECRET in f"{error!s}{error!r}{error.__cause__!r}{error.__context__!r}":
            summary.wrong.append(f"{ascii(arguments)[:80]}: the exception shows a secret")
    except Exception as error:  # noqa: BLE001 - any other exception is wrong
        summary.wrong.append(f"{ascii(arguments)[:80]}: {type(error).__name__}")
    else:
        if "socks5://" not in str(arguments):  # it may be installed
            summary.wrong.append(f"{ascii(arguments)[:80]}: accepted")


async def _try(client: Client, environment: Mapping[str, str], phone: str, proxy: str) -> AsyncIterator[str]:
    """Send in a wrong environment and in a mended one; yield what is wrong."""
    async with client:
        for _ in range(5):  # a fifth lost answer would close the client
            with _environment(environment):
                error = await _failure(client, phone)
            if not isinstance(error, ConnectError) or error.outcome is not Outcome.NOT_SENT or _SECRET in repr(error):
                yield repr(error)
        with _environment({"HTTP_PROXY": proxy}):
            error = await _failure(client, phone)
        if error is not None:
            yield f"{error!r} when it is mended"


def _environment(values: Mapping[str, str]) -> AbstractContextManager[object]:
    others = {name: value for name, value in os.environ.items() if not _MEANT.search(name)}
    return mock.patch.dict(os.environ, {**others, **values}, clear=True)


def _client(transport: Any) -> tuple[Client, list[UnresolvedSend]]:
    kept: list[UnresolvedSend] = []
    options: dict[str, Any] = {"transport": transport, "allow_http": True, "retries": 0, "on_unresolved": kept.append}
    return Client(apikey="demo", url=_URL, **options), kept


async def _failure(client: Client, phone: str) -> Exception | None:
    try:
        await client.send(phone, f"Hi {phone}")
    except Exception as error:  # noqa: BLE001 - the caller judges it
        return error
    return None
