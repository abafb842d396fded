"""Which request is affected by which fault, and the script of what happened."""

import pytest

from smsc_async import Client, ConnectionLost, Message, SmscError, testing
from smsc_async.sandbox import Fault, FaultKind, Sandbox, ScriptEntry

PHONE = "+79991234567"
OTHER = "+79991234568"


def client_of(sandbox: Sandbox) -> Client:
    return testing.client(sandbox, guards=None, on_unknown="raise", retries=0)


async def lost(sandbox: Sandbox, count: int = 1, to: str = PHONE, text: str = "Hi") -> list[bool]:
    """Send messages, and return which of them were lost."""
    results: list[bool] = []
    async with client_of(sandbox) as client:
        for number in range(count):
            try:
                await client.send(to, f"{text} {number}")
            except ConnectionLost:
                results.append(True)
            else:
                results.append(False)
    return results


async def test_a_fault_affects_as_many_requests_as_it_says_after_those_that_it_leaves_out() -> None:
    sandbox = Sandbox()
    added = sandbox.faults.add("lose_request", operation="send", after=1, times=2)
    assert await lost(sandbox, 5) == [False, True, True, False, False]
    assert (added.seen, added.used, sandbox.faults.unused) == (5, 2, ())


async def test_a_fault_affects_only_the_requests_of_its_operation() -> None:
    sandbox = Sandbox(faults=["lose_request operation=cost", Fault("lose_request", operation="balance")])
    assert await lost(sandbox) == [False]
    async with client_of(sandbox) as client:
        for call in (lambda: client.cost(PHONE, "Hi"), client.balance):
            with pytest.raises(ConnectionLost):
                await call()
    assert [each.used for each in sandbox.faults] == [1, 1]


@pytest.mark.parametrize("phone", [OTHER, "+7 999 123-45-68", "8 (999) 1234568"])
async def test_a_fault_affects_only_the_requests_about_its_phone_in_any_spelling(phone: str) -> None:
    sandbox = Sandbox(faults=[Fault("lose_request", phone=phone)])
    assert await lost(sandbox) == [False]
    assert await lost(sandbox, to="89991234568") == [True]
    async with client_of(sandbox) as client:
        with pytest.raises(ConnectionLost):
            await client.send([PHONE, OTHER], "to both")
        with pytest.raises(ConnectionLost):
            await client.status(f"{OTHER}:x1")
        outcomes = [each async for each in client.send_batch([Message(PHONE, "one"), Message(OTHER, "two")])]
        assert all(isinstance(each.error, ConnectionLost) for each in outcomes)
        await client.send(PHONE, "a text", maxsms=2)
        await client.balance()


async def test_a_repeated_field_matches_no_phone() -> None:
    sandbox = Sandbox(faults=[f"lose_request phone={PHONE}"])
    assert sandbox.faults.strike("send_sms", {"phones": [PHONE], "query": None}, "", now=0, source="") is None


async def test_the_first_fault_that_applies_affects_a_request_and_the_others_count_it_too() -> None:
    sandbox = Sandbox()
    first = sandbox.faults.add("lose_request", times=1)
    second = sandbox.faults.add("error code=6 operation=send after=1")
    assert await lost(sandbox) == [True]
    async with client_of(sandbox) as client:
        with pytest.raises(SmscError, match="error 6"):
            await client.send(PHONE, "Ho")
    assert [(each.seen, each.used) for each in (first, second)] == [(2, 1), (2, 1)]


async def test_a_fault_is_removed_by_itself_or_its_id_and_all_are_cleared() -> None:
    sandbox = Sandbox(faults=["lose_request", "lose_answer", "empty", "block times=1"])
    first, second, *_ = sandbox.faults
    sandbox.faults.remove(first)
    sandbox.faults.remove(second.id)
    with pytest.raises(ValueError, match="there is no fault with the id 1"):
        sandbox.faults.remove(1)
    assert [each.fault.kind for each in sandbox.faults] == [FaultKind.EMPTY, FaultKind.BLOCK]
    sandbox.faults.remove(3)
    async with client_of(sandbox) as client:
        with pytest.raises(SmscError, match="error 4"):
            await client.balance()
        sandbox.faults.clear()
        await client.balance()
    assert (len(sandbox.faults), sandbox.faults.add("empty").id) == (0, 5)


async def test_a_block_ends_when_its_fault_is_removed() -> None:
    sandbox = Sandbox()
    block = sandbox.faults.add("block", times=1)
    async with client_of(sandbox) as client:
        for _ in range(2):
            with pytest.raises(SmscError, match="error 4"):
                await client.balance()
        sandbox.faults.remove(block)
        await client.balance()
    assert [entry.fault for entry in sandbox.script] == ["block", "block", None]


def test_a_fault_is_added_in_each_of_its_forms() -> None:
    faults = Sandbox().faults
    made = [
        faults.add("http", times=1),
        faults.add("http times=1"),
        faults.add("http executed=false", times=1),
        faults.add(FaultKind.HTTP, times=1),
        faults.add({"kind": "http", "times": 1}),
        faults.add({"kind": "http"}, times=1),
        faults.add(Fault("http"), times=1),
        faults.add(Fault("http", times=1)),
    ]
    assert {each.fault for each in made} == {Fault("http", times=1)}
    assert faults.unused == tuple(faults) == tuple(made)
    assert made[0].as_json() == {
        "id": 1, "kind": "http", "times": 1, "status": 502, "executed": False, "seen": 0, "used": 0
    }  # fmt: skip
    assert repr(faults.add("empty", phone=PHONE)).startswith("<InjectedFault 9: Fault(kind=<FaultKind.EMPTY")


@pytest.mark.parametrize("fault", [None, 3, ["empty"]])
def test_what_is_no_fault_is_refused(fault: object) -> None:
    with pytest.raises(ValueError, match="fault must be a Fault, or its kind such as 'lose_answer'"):
        Sandbox().faults.add(fault)  # type: ignore[arg-type]


@pytest.mark.parametrize("faults", ["empty", None, {"kind": "empty"}])
def test_the_faults_of_a_sandbox_are_a_list(faults: object) -> None:
    with pytest.raises(ValueError, match="faults must be a list such as"):
        Sandbox(faults=faults)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [None, True, 1.5, "7"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        Sandbox().faults.seed = seed  # type: ignore[assignment]


async def script(sandbox: Sandbox) -> list[ScriptEntry]:
    await lost(sandbox, 40)
    return list(sandbox.script)


async def test_the_same_seed_gives_the_same_script_and_another_one_another() -> None:
    faults = ["lose_answer probability=0.3", "lose_request operation=send probability=0.5"]
    first, again = Sandbox(seed=7, faults=faults), Sandbox(seed=7, faults=faults)
    expected = await script(first)
    assert await script(again) == expected
    assert {entry.fault for entry in expected} == {None, FaultKind.LOSE_ANSWER, FaultKind.LOSE_REQUEST}
    later = Sandbox(seed=8, faults=faults)
    later.faults.seed = 7
    assert (later.faults.seed, await script(later)) == (7, expected)
    assert await script(Sandbox(seed=8, faults=faults)) != expected


async def test_the_same_seed_gives_the_same_garbage_whatever_the_other_faults_do() -> None:
    first, second = Sandbox(seed=7, faults=["garbage"]), Sandbox(seed=7, faults=["garbage", "delay seconds=0"])
    assert next(iter(first.faults)).dice.random() == next(iter(second.faults)).dice.random()


async def test_the_script_says_what_became_of_each_request() -> None:
    sandbox = Sandbox(faults=["lose_request times=1", "error code=3 operation=send times=1"])
    await lost(sandbox)
    async with client_of(sandbox) as client:
        with pytest.raises(SmscError, match="error 3"):
            await client.send(PHONE, "Ho")
        with pytest.raises(SmscError, match="error 7"):
            await client.send("79000009007", "Ho")
    assert sandbox.script == (
        ScriptEntry(0, "send_sms", FaultKind.LOSE_REQUEST, executed=False),
        ScriptEntry(0, "send_sms", FaultKind.ERROR, executed=False, error=3),
        ScriptEntry(0, "send_sms", error=7),
    )
    assert sandbox.script[0].at <= sandbox.script[1].at <= sandbox.now()


async def test_no_phone_and_no_text_is_in_the_script() -> None:
    sandbox = Sandbox(faults=[f"lose_answer phone={PHONE}"])
    await lost(sandbox, text="secret")
    assert "9991234567" not in repr(sandbox.script)
    assert "secret" not in repr(sandbox.script)
