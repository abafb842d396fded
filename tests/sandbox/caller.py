"""A stand-in for a client of the emulated service, without HTTP."""

from collections.abc import Iterable
from urllib.parse import quote

from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._delivery import DeliveryPlan
from smsc_async.sandbox._fields import Answer, Value
from smsc_async.sandbox._limits import Limits
from smsc_async.sandbox._service import Service

NOW = 1_700_000_000.0
PHONE = "79991234567"
SEND: dict[str, Value] = {"phones": PHONE, "mes": "hi"}


class Caller:
    """A caller whose requests leave as soon as they are answered; each arrives a second after the last."""

    def __init__(self, service: Service, **credentials: Value) -> None:
        self.service = service
        self.now = NOW
        self.source = "127.0.0.1"
        self._credentials = credentials or {"login": "demo", "psw": "demo"}

    def ask(self, method: str, /, **fields: Value) -> Answer:
        answer = self.service.arrive(method, self._credentials | fields, now=self.now, source=self.source)
        self.service.leave(answer)
        self.now += 1
        return answer

    def send(self, query: str | None = None, /, **fields: Value) -> dict[str, Value]:
        if query is None:
            return self.ask("send_sms", **(SEND | fields)).fields
        return self.ask("send_sms2", **(SEND | {"query": query} | fields)).fields

    def send_list(self, lines: Iterable[str], query: str = "") -> dict[str, Value]:
        return self.send(f"list={quote(chr(10).join(lines), safe='')}&{query}", phones="", mes="")

    def cost(self, query: str = "", /, **fields: Value) -> dict[str, Value]:
        return self.ask("get_sms_cost2", **(SEND | {"query": query} | fields)).fields

    def status(self, phone: str, id_: str, /, **fields: Value) -> dict[str, Value]:
        return self.ask("get_status", phone=phone, id=id_, **fields).fields

    def errors(self, query: str = "err=1", /, **fields: Value) -> list[tuple[str, str]]:
        listed = self.send(query, **fields).get("errors", [])
        assert isinstance(listed, list)
        return [tuple(entry.values()) for entry in listed if isinstance(entry, dict)]  # type: ignore[misc]


def caller(*, account: Account | None = None, limits: Limits | None = None, plan: DeliveryPlan | None = None) -> Caller:
    service = Service(
        accounts=[account or Account.demo()], limits=limits or Limits.off(), delivery=plan or DeliveryPlan()
    )
    return Caller(service)
