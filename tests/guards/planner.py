"""A planner of demands for the tests."""

from typing import Any

from smsc_async import (
    GetCost,
    Login,
    Send,
)
from smsc_async._model.credentials import Credentials
from smsc_async.guards import Rules
from smsc_async.guards._demands import Planner

SALT = b"0123456789abcdef"
LIMITS = Rules().limits(1.2)
PHONE = "+79991234567"
OTHER = "+79991234568"
LOGIN = Login.model_validate({"login": "ivan", "password": "secret"})


def send(to: str | list[str] = PHONE, text: str | None = "Hi", **options: Any) -> Send:
    return Send.model_validate({"to": to, "text": text, **options})


def cost(to: str | list[str] = PHONE, text: str = "Hi", **options: Any) -> GetCost:
    return GetCost.model_validate({"to": to, "text": text, **options})


def login(name: str, password: str) -> Login:
    return Login.model_validate({"login": name, "password": password})


def planner(
    credentials: Credentials = LOGIN, *, account: str | None = None, egress: str = "default", salt: bytes = SALT
) -> Planner:
    return Planner(LIMITS, salt, credentials, account, egress)
