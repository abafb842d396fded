"""The faults of callbacks: what the application receives, and that requests are not affected."""

import re
from pathlib import Path

import pytest

from smsc_async import testing
from smsc_async.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox.receiver import NOW, PHONE, Receiver, still_sandbox

OTHER = "+79991234568"
KINDS = [kind for kind in FaultKind if kind.is_of_callbacks]


@pytest.fixture
def sandbox() -> Sandbox:
    return still_sandbox()


@pytest.fixture
def receiver(sandbox: Sandbox) -> Receiver:
    receiver = Receiver(sandbox)
    receiver.set()
    return receiver


async def test_lose_callback(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.faults.add("lose_callback", times=1)
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
        await sandbox.advance(86_400)
        lost, _ = sandbox.callbacks.all
        assert (lost.state, lost.fault, lost.next_at, lost.attempts) == ("lost", "lose_callback", None, ())
        assert [push.status for push in receiver.taken] == [1]
        sandbox.callbacks.again(lost.id)
        await sandbox.advance(1)
    assert [push.status for push in receiver.taken] == [1, 0]


async def test_delay_callback(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.faults.add("delay_callback seconds=60 times=1")
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
        await sandbox.advance(59)
        assert sandbox.callbacks.all[0].next_at == NOW + 60
        await sandbox.advance(1)
    # A later change has overtaken an earlier one, which its time tells.
    assert ([push.status for push in receiver.taken], receiver.times) == ([1, 0], [0, 60])
    assert len({push.at for push in receiver.taken}) == 1


async def test_duplicate_callback(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.faults.add("duplicate_callback", phone=PHONE)
    async with sandbox.callbacks:
        twice = sandbox.callbacks.incoming(PHONE, "Hi")
        sandbox.callbacks.incoming(OTHER, "Hi")
        await sandbox.advance(1)
        assert [push.phone[-1] for push in receiver.taken] == ["7", "7", "8"]
        assert receiver.taken[0] == receiver.taken[1]
        assert [each.status for each in twice.attempts] == [200, 200]
        sandbox.callbacks.again(twice.id)
        await sandbox.advance(1)
    assert len(receiver.taken) == 4


async def test_forge_callback(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.faults.add("forge_callback", times=1)
    async with sandbox.callbacks:
        callback = sandbox.callbacks.call(PHONE)
        sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
    assert [(each.is_forged, each.status, each.answer) for each in callback.attempts] == [
        (True, 403, "who are you?"),
        (False, 200, "OK"),
    ]
    assert (callback.state, len(receiver.taken), len(receiver.requests)) == ("accepted", 2, 3)


async def test_a_fault_of_callbacks_affects_no_request_and_the_other_way_round(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    callbacks = sandbox.faults.add("lose_callback", after=1)
    requests = sandbox.faults.add("error code=9 operation=balance")
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
        await sandbox.advance(1)
    assert (callbacks.seen, callbacks.used, requests.seen) == (2, 1, 0)
    assert {entry.fault for entry in sandbox.script} == {None}
    assert len(receiver.taken) == 1


def test_the_same_seed_affects_the_same_callbacks() -> None:
    def lost() -> list[int]:
        sandbox = Sandbox(seed=7, faults=["lose_callback probability=0.5"])
        sandbox.callbacks.set("http://app.example", secret="s")
        return [each.id for each in (sandbox.callbacks.call(PHONE) for _ in range(20)) if each.state == "lost"]

    assert lost() == lost()
    assert 5 < len(lost()) < 15


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_callbacks_has_no_operation(kind: FaultKind) -> None:
    seconds = {"seconds": 1} if kind is FaultKind.DELAY_CALLBACK else {}
    fault = Fault(kind, phone=PHONE, **seconds)
    assert Fault.parse(fault.text) == fault
    with pytest.raises(ValueError, match=f"operation is no parameter of {kind}, which affects callbacks"):
        Fault(kind, operation="send", **seconds)


def test_the_table_in_the_docs_has_every_fault_of_callbacks_and_each_is_tested_here() -> None:
    docs = (Path(__file__).parent.parent.parent / "docs" / "howto" / "testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+_callback)` \|.*\|.*\|$", docs, re.MULTILINE)
    assert rows == [kind.value for kind in KINDS]
    assert all(f"test_{kind}" in globals() for kind in KINDS)
