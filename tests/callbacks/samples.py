"""Callbacks as the service sends them, with the secret that they are signed with."""

from typing import Final

from smsc_async._protocol import encode_callback

SECRET: Final = "canary-secret"
PHONE: Final = "79991234567"

STATUS: Final = {
    "id": "a1",
    "phone": PHONE,
    "status": "1",
    "time": "14.11.2023 22:13:20",
    "ts": "1700000000",
    "err": "0",
    "type": "0",
    "flag": "0",
    "sender_id": "ivan",
    "cost": "1.44",
}
INCOMING: Final = {"phone": PHONE, "mes": "Привет: да", "to": "79990000001", "id": "17", "ts": "1700000000"}
CALL: Final = {"phone": PHONE, "ts": "1700000000", "waitcall": "1"}
FORMS: Final = {"status": STATUS, "incoming": INCOMING, "call": CALL}


def signed(fields: dict[str, str] = STATUS, secret: str = SECRET, **changes: str) -> bytes:
    """Return a signed callback with some fields changed before it is signed."""
    return encode_callback({**fields, **changes}, secret)
