"""The same faults with clients that send again after a network error, as usual clients do."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import anyio
import httpx
import zeep
import zeep.exceptions
import zeep.transports
from pydantic import SecretStr

from smsc_async import ApiKey, MalformedEnvelope, Send, SmscError
from smsc_async._protocol.binding import decode, encode
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.wsdl import write_wsdl
from tests.faults.fault_cases import LATE, Case, Summary, run
from tests.faults.fault_network import URL, Network

__all__ = ["TRIES", "SendAgain", "Sender", "ZeepAgain", "try_naively"]

TRIES: Final = 3
_CASES_A_CLIENT: Final = 25
_TIMEOUT: Final = 10.0


class Sender(Protocol):
    """Sends one message."""

    async def __call__(self, phone: str, text: str) -> bool:
        """Send; return whether the service has accepted it, as far as the client knows."""


class SendAgain:
    """Sends over httpx, up to three times while the network fails.

    Args:
        http: The connections.
        pause: Seconds between the tries.
    """

    def __init__(self, http: httpx.AsyncClient, pause: float) -> None:
        self._http = http
        self._pause = pause

    async def __call__(self, phone: str, text: str) -> bool:
        """Send."""
        operation = Send(to=(phone,), text=text)
        request = encode(operation, ApiKey(key=SecretStr("demo")), URL)
        for _ in range(TRIES):
            try:
                reply = await self._http.post(URL, content=request.body, headers=request.headers)
                reply.raise_for_status()
                kind = reply.headers.get("Content-Type", "")
                decode(operation, request, status_code=200, content_type=kind, body=reply.content, timezone=UTC)
            except (httpx.HTTPError, MalformedEnvelope):
                await anyio.sleep(self._pause)
            except SmscError:
                return False
            else:
                return True
        return False


class ZeepAgain:
    """Sends with zeep, up to three times while the network fails.

    Args:
        http: The connections.
        pause: Seconds between the tries.
    """

    def __init__(self, http: httpx.AsyncClient, pause: float) -> None:
        with TemporaryDirectory() as folder, httpx.Client() as nothing:
            wsdl = Path(folder) / "soap.wsdl"
            wsdl.write_bytes(write_wsdl(replace(CONTRACT, namespace=URL), URL))
            transport = zeep.transports.AsyncTransport(client=http, wsdl_client=nothing)  # type: ignore[no-untyped-call]  # zeep has no types
            client = zeep.AsyncClient(str(wsdl), transport=transport)  # type: ignore[no-untyped-call]  # as above
            self._service = client.service
        self._pause = pause

    async def __call__(self, phone: str, text: str) -> bool:
        """Send."""
        fields = {"login": "demo", "psw": "demo", "phones": phone, "mes": text, "id": "", "sender": "", "time": ""}
        for _ in range(TRIES):
            try:
                answer = await self._service.send_sms(**fields)
            except (httpx.HTTPError, zeep.exceptions.Error):
                await anyio.sleep(self._pause)
            else:
                return answer is not None and answer.error is None
        return False


def try_naively(make: Callable[[httpx.AsyncClient], Sender], cases: Iterable[Case]) -> Summary:
    """Try the cases of a send with a client that does not tell lost sends from failed ones."""
    summary = Summary()
    waiting = iter(cases)
    while chunk := list(islice(waiting, _CASES_A_CLIENT)):
        run(partial(_try_chunk, make, chunk, summary))
    return summary


async def _try_chunk(make: Callable[[httpx.AsyncClient], Sender], chunk: Sequence[Case], summary: Summary) -> None:
    async with anyio.create_task_group() as group:
        network = Network(group)
        with network.installed():
            async with httpx.AsyncClient(timeout=_TIMEOUT, verify=False) as http:  # noqa: S501 - nothing is encrypted
                send = make(http)
                for number, case in enumerate(chunk):
                    phone = f"+7999{number:07}"
                    network.break_down(case.fault, reconnect=case.reconnect)
                    said = await send(phone, "Hi")
                    network.heal()
                    await anyio.sleep(2 * LATE)
                    _judge(summary, case, said, sum(f"+{each.phone}" == phone for each in network.sandbox.messages))


def _judge(summary: Summary, case: Case, said: bool, accepted: int) -> None:
    summary.cases += 1
    summary.said["accepted" if said else "failed"] += 1
    summary.doubled += accepted > 1
    if accepted != said:
        summary.wrong.append(f"{case}: said to be {'accepted' if said else 'failed'}, and accepted {accepted} times")
