"""A browser for the pages of a sandbox, without a network and without scripts."""

from typing import Any

import httpx

from smsc_async.sandbox import Sandbox

__all__ = ["ORIGIN", "PHONE", "Web"]

ORIGIN = {"Origin": "http://localhost:8025"}
PHONE = "79991234567"
_ELEMENTS = {"send_sms": "send", "send_sms2": "send2", "get_status": "status", "get_balance": "balance"}


class Web:
    """A browser, and a client of the service at the same address."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx.AsyncClient(
            transport=sandbox.transport(),
            base_url="http://localhost:8025",
            headers={"Accept": "text/html,application/xhtml+xml"},
            timeout=1_000_000,  # on the clock of the sandbox
        )

    async def page(self, name: str, status: int = 200, /, **query: Any) -> str:
        """Return a page, which has to come with this HTTP status."""
        answer = await self.http.get(f"/_sandbox/{name}", params=query)
        assert answer.status_code == status
        return answer.text

    async def post(self, name: str, /, **fields: Any) -> httpx.Response:
        """Send a form of a page, as the browser does it without scripts."""
        return await self._post(name, fields, {})

    async def post_by_htmx(self, name: str, /, **fields: Any) -> httpx.Response:
        """Send a form of a page, as its script does it."""
        return await self._post(name, fields, {"HX-Request": "true"})

    async def _post(self, name: str, fields: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        referer = f"http://localhost:8025/_sandbox/{name.partition('/')[0]}"
        return await self.http.post(f"/_sandbox/{name}", data=fields, headers={**ORIGIN, "Referer": referer, **headers})

    async def call(self, method: str, **fields: object) -> str:
        """Call a method of the service with the credentials of the account `demo`, or with others."""
        given = {"login": "demo", "psw": "demo", **fields}
        body = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
        name = _ELEMENTS[method]
        envelope = (
            '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
            f'<s:{name} xmlns:s="https://smscentre.com/sys/soap.php">{body}</s:{name}></e:Body></e:Envelope>'
        )
        answer = await self.http.post("/sys/soap.php", content=envelope, headers={"Content-Type": "text/xml"})
        return answer.text

    async def send(self, text: str = "hi", phone: str = PHONE, **fields: object) -> str:
        """Send a message."""
        return await self.call("send_sms", phones=phone, mes=text, **fields)

    async def ask(self, times: int, number: str = "1", phone: str = PHONE) -> None:
        """Ask for the status of a message."""
        for _ in range(times):
            await self.call("get_status", phone=phone, id=number, all=0)
