"""A service whose answers have details of an odd form."""

import re
from collections.abc import Mapping

import httpx

from smsc_async.sandbox import Sandbox

__all__ = ["ODD", "OddTransport"]

ODD = {
    "cost": "<cost>3,50</cost>",
    "cnt": "<cnt>x</cnt>",
    "balance": "<balance>1 000</balance>",
    "err": "<err><code>1</code></err>",
    "sms_cnt": "<sms_cnt>1.5</sms_cnt>",
    "last_date": "<last_date>x</last_date>",
    "last_timestamp": "<last_timestamp>-1</last_timestamp>",
    "send_date": "<send_date/>",
    "send_timestamp": "<send_timestamp>1e9</send_timestamp>",
}
"""An odd element for each detail of a send or a report."""


class OddTransport(httpx.AsyncBaseTransport):
    """A sandbox with other elements in its answers.

    Args:
        sandbox: The sandbox.
        elements: The elements to put in the place of those with these names; those of a price or a balance stay.
    """

    def __init__(self, sandbox: Sandbox, elements: Mapping[str, str]) -> None:
        self.elements = dict(elements)
        self._inner = sandbox.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = (await response.aread()).decode()
        if "<costresult>" not in body and "<balanceresult>" not in body:
            for name, element in self.elements.items():
                body = re.sub(f"<{name}>[^<]*</{name}>", element, body)
        headers = {"content-type": response.headers["content-type"]}
        return httpx.Response(response.status_code, headers=headers, content=body.encode())
