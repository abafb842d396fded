"""A client of the guards that the tests of the guards drive on virtual time."""

import math
from typing import Any, ParamSpec

import anyio
import pytest

from smsc_async import (
    GetBalance,
    GetStatus,
    GuardError,
    Login,
    MessageRef,
    Outcome,
    Send,
)
from smsc_async._model.operations import Operation
from smsc_async._model.result_base import Result
from smsc_async.guards import Guards, Identity, Rule, Rules
from smsc_async.guards._demands import Completion, RequestArrival
from smsc_async.guards._store import Reservation

P = ParamSpec("P")
PHONE = "+79991234567"
FINE = Completion(RequestArrival.ANSWERED)
GOOD = Completion(RequestArrival.ANSWERED, good=True)
LOST = Completion(RequestArrival.LOST)
UNSENT = Completion(RequestArrival.UNSENT)
TRUSTING_ONE = Rules(in_flight=Rule(1)).with_policies(login_failures="off", address_failures="off")
TRUSTING = Rules().with_policies(login_failures="off", address_failures="off")


def identity(password: str = "secret", *, name: str = "ivan", **options: Any) -> Identity:
    return Identity(Login.model_validate({"login": name, "password": password}), **options)


ME = identity()
BALANCE = GetBalance()


def status(number: int = 1) -> GetStatus:
    return GetStatus(ref=MessageRef(PHONE, f"a{number}"))


def send(text: str = "Hi", to: str | list[str] = PHONE) -> Send:
    return Send.model_validate({"to": to, "text": text})


def code(number: int) -> Completion:
    return Completion(RequestArrival.ANSWERED, number)


class Desk:
    """A client of guards that records when its requests started."""

    def __init__(self, rules: Rules = TRUSTING, **options: Any) -> None:
        self.guards = Guards(rules=rules, **options)
        self.started: list[tuple[float, object]] = []

    async def reserve(
        self,
        operation: Operation[Result] = BALANCE,
        *,
        who: Identity = ME,
        within: float = math.inf,
        allow_duplicate: bool = False,
    ) -> Reservation:
        reservation = await self.guards.reserve(who, operation, within=within, allow_duplicate=allow_duplicate)
        self.started.append((anyio.current_time(), operation))
        return reservation

    async def call(
        self,
        operation: Operation[Result] = BALANCE,
        completion: Completion = FINE,
        latency: float = 0.0,
        **options: Any,
    ) -> float:
        """Reserve, wait for `latency` seconds and release; return the start."""
        reservation = await self.reserve(operation, **options)
        start = anyio.current_time()
        try:
            if latency:
                await anyio.sleep(latency)
        except BaseException:
            self.guards.release(reservation, LOST)
            raise
        self.guards.release(reservation, completion)
        return start

    async def refused(self, operation: Operation[Result] = BALANCE, **options: Any) -> GuardError:
        """Return the error with which a request is refused at once."""
        before = anyio.current_time()
        with pytest.raises(GuardError) as caught:
            await self.reserve(operation, **options)
        assert anyio.current_time() == before
        assert caught.value.outcome is Outcome.NOT_SENT
        return caught.value

    async def state(self) -> tuple[int, int]:
        """Return the numbers of waiting requests and of held slots, as the snapshot shows them."""
        snapshot = await self.guards.snapshot()
        assert snapshot.waiting == sum(rule.waiting for rule in snapshot.rules.values())
        return snapshot.waiting, sum(rule.in_flight for rule in snapshot.rules.values())

    async def fill(self, operation: Operation[Result] = BALANCE, number: int = 10) -> None:
        for _ in range(number):
            await self.call(operation)
