"""The messages that the service has accepted, and the status report of each."""

from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal

from ._channels import ServiceChannel
from ._codes import find_codes
from ._delivery import STATUS_NAMES, Change, life_of, status_in
from ._fields import Value, plain

__all__ = ["AcceptedMessage", "date", "details", "found_by_hlr", "report"]

_NOT_FOUND = -3
# Invented names; which of them depends on the number alone.
_OPERATORS = ("Северная связь", "Волна", "Степь Мобайл", "Тайга Телеком")
_NETWORKS = ("00101", "00102", "00103", "00104")  # of the test networks of ITU
_REGIONS = ("Москва", "Новосибирская обл.", "Приморский край", "Республика Карелия", "Алматы")


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """One message to one recipient, as the service accepted it.

    Attributes:
        id: The message id; the messages of one request share it.
        phone: The recipient: a number's digits, an e-mail address or a Telegram name.
        text: The text as it is sent: escapes undone, links shortened, cut to `maxsms`.
        sender: The sender's name.
        channel: The kind of the message.
        accepted_at: Unix time of the acceptance.
        send_at: Unix time at which it is due.
        parts: How many SMS it is.
        cost: What was charged for it.
        login: The login of the customer.
        timeline: The times, statuses and errors of all its changes of status, past and future; see `life`.
        key: Its number in this sandbox, which unlike the id is unique.
        request: The number of the request that sent it.
    """

    id: str
    phone: str
    text: str
    sender: str
    channel: ServiceChannel
    accepted_at: float
    send_at: float
    parts: int
    cost: Decimal
    login: str = field(repr=False)
    timeline: tuple[float, ...] = field(repr=False)
    key: int = 0
    request: int = 0

    @property
    def life(self) -> tuple[Change, ...]:
        """All its changes of status, past and future."""
        return life_of(self.timeline)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes in the text, such as one-time passwords, the most likely one first."""
        return find_codes(self.text)

    def change_at(self, now: float) -> Change:
        """Return the last change of status up to `now`."""
        life = self.life
        return next((change for change in reversed(life) if change.at <= now), life[0])

    def status_at(self, now: float) -> int:
        """Return the status at `now`."""
        return status_in(self.timeline, now)


def report(message: AcceptedMessage, *, now: float, detail: int, zone: timezone) -> dict[str, Value]:
    """Return the fields of a status answer, in the order of its type.

    Args:
        message: The message.
        now: Unix time of the status request.
        detail: The field `all`: 0, 1 or 2.
        zone: The zone of the local dates.
    """
    at, status, err = message.change_at(now)
    if status == _NOT_FOUND:
        return {"status": str(status)}
    fields: dict[str, Value] = {
        "status": str(status),
        "last_date": date(at, zone),
        "last_timestamp": str(int(at)),
        "err": str(err),
    }
    if detail:
        fields |= {
            "send_date": date(message.send_at, zone),
            "send_timestamp": str(int(message.send_at)),
            "phone": message.phone,
            "cost": plain(message.cost),
            "sender_id": message.sender,
            "status_name": STATUS_NAMES.get(status, str(status)),
            "message": message.text,
            "sms_cnt": str(message.parts),
        }
    if detail > 1 and message.phone.isdecimal():
        number = int(message.phone)
        fields |= {
            "operator": _OPERATORS[number // 10_000_000 % len(_OPERATORS)],
            "region": _REGIONS[number // 10_000 % len(_REGIONS)],
        }
    return fields


def details(message: AcceptedMessage, *, now: float) -> dict[str, Value]:
    """Return what an answer to a send with `op=1` says about one recipient, under the names of the HTTP API."""
    fields: dict[str, Value] = {"phone": message.phone, "cost": plain(message.cost)}
    if message.phone.isdecimal():
        fields["mccmnc"] = _NETWORKS[int(message.phone) // 10_000_000 % len(_NETWORKS)]
    return {**fields, "status": str(message.status_at(now))}


def found_by_hlr(phone: str) -> dict[str, str]:
    """Return what an HLR request finds out about a number, under the names of the HTTP API; nothing about others."""
    if not phone.isdecimal():
        return {}
    number = int(phone)
    network = _NETWORKS[number // 10_000_000 % len(_NETWORKS)]
    return {
        "imsi": f"{network}{number % 10**10:010}",
        "msc": f"{number // 10_000_000}0000000",
        "mcc": network[:3],
        "mnc": network[3:],
        "cn": "Россия" if phone.startswith("7") else "Тестовая сеть",
        "net": _OPERATORS[number // 10_000_000 % len(_OPERATORS)],
    }


def date(moment: float, zone: timezone) -> str:
    """Return a time as the service writes it: "14.11.2023 22:13:20"."""
    return f"{datetime.fromtimestamp(moment, zone):%d.%m.%Y %H:%M:%S}"
