"""A wrong namespace is corrected once, by reading the `?wsdl`; where that fails the error says what to do."""

import logging

import anyio
import pytest
import trio
from trio.testing import MockClock

from smsc_async import ConnectError, Outcome, PoolTimeout, Reply, SoapFault
from tests.doubles import NAMESPACE, URL, FakeService, answer, fault, make_client, wsdl
from tests.virtual import virtual_time

TRUE = "http://sms.test/sys/soap.php"


async def test_address_is_the_namespace_that_is_tried_first() -> None:
    service = FakeService()
    await make_client(service).balance()
    assert service.namespaces == [NAMESPACE]
    assert service.gets == []


async def test_derived_namespace_is_healed_quietly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smsc_async")
    service = FakeService(namespace=TRUE)
    client = make_client(service)
    await client.send("+79991234567", "Hi")
    await client.balance()
    assert service.namespaces == [NAMESPACE, TRUE, TRUE]
    assert service.gets == [f"{URL}?wsdl"]
    assert [(record.levelname, TRUE in record.message) for record in caplog.records] == [("INFO", True)]


async def test_explicit_wrong_namespace_is_healed_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    service = FakeService(namespace=TRUE)
    client = make_client(service, namespace="urn:wrong", fallback_urls=["https://two.test/soap.php"])
    service.script = [ConnectError("gone"), answer("get_balance", namespace=TRUE, balance="1")]
    await client.balance()
    await client.balance()
    assert service.namespaces == ["urn:wrong", TRUE, "urn:wrong", TRUE, TRUE]
    assert service.gets == [f"{URL}?wsdl", "https://two.test/soap.php?wsdl"]
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "'urn:wrong'" in warnings[0]
    assert TRUE in warnings[0]


async def test_explicit_right_namespace_needs_no_look() -> None:
    service = FakeService(namespace=TRUE)
    await make_client(service, namespace=TRUE).balance()
    assert service.namespaces == [TRUE]
    assert service.gets == []


async def test_twenty_calls_at_once_look_once() -> None:
    service = FakeService(namespace=TRUE, latency=0.001)
    client = make_client(service)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(client.balance)
    assert service.gets == [f"{URL}?wsdl"]
    assert len(service.requests) == 20


async def test_twenty_calls_at_once_share_one_failure_and_the_next_looks_again() -> None:
    service = FakeService(namespace=TRUE, wsdl=Reply(404, "text/html", b"gone"), latency=0.001)
    client = make_client(service, guards=None)
    failures: list[SoapFault] = []

    async def ask() -> None:
        with pytest.raises(SoapFault, match="namespace=") as caught:
            await client.balance()
        failures.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
    assert len(set(failures)) == 20
    assert service.gets == [f"{URL}?wsdl"]
    service.wsdl = None
    await client.balance()
    assert len(service.gets) == 2


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Reply(302, "text/html", b""), "HTTP 302"),
        (Reply(200, "text/html", b"<html>"), "MalformedEnvelope"),
        (ConnectError("nobody there"), "ConnectError: nobody there"),
    ],
)
async def test_look_that_fails_names_the_option(found: Reply | Exception, words: str) -> None:
    service = FakeService(namespace=TRUE, wsdl=found)
    with pytest.raises(SoapFault, match=r"pass namespace= the targetNamespace of its WSDL") as caught:
        await make_client(service).send("+79991234567", "Hi", id="a1")
    assert words in str(caught.value)
    assert caught.value.outcome is Outcome.REJECTED
    assert caught.value.procedure_missing
    assert caught.value.id == "a1"
    assert service.requests == []


async def test_wsdl_that_names_the_refused_namespace_is_read_once() -> None:
    service = FakeService(namespace=TRUE, wsdl=wsdl(NAMESPACE))
    client = make_client(service)
    for _ in range(2):
        with pytest.raises(SoapFault, match=r"names the same one.*namespace="):
            await client.balance()
    assert service.gets == [f"{URL}?wsdl"]


async def test_transport_without_get_says_that_it_cannot_look() -> None:
    class PostOnly:
        def __init__(self) -> None:
            service = FakeService(namespace=TRUE)
            self.post, self.aclose = service.post, service.aclose

    with pytest.raises(SoapFault, match=r"this transport has no `get`.*namespace="):
        await make_client(PostOnly()).balance()


async def test_address_with_a_query_keeps_it() -> None:
    service = FakeService(namespace="urn:true")
    await make_client(service, url="https://sms.test/soap.php?brand=1").balance()
    assert service.gets == ["https://sms.test/soap.php?brand=1&wsdl"]


async def test_other_faults_are_no_reason_to_look() -> None:
    service = FakeService([fault("Server", "out of order")])
    with pytest.raises(SoapFault, match="out of order") as caught:
        await make_client(service).send("+79991234567", "Hi")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert service.gets == []
    assert len(service.requests) == 1


@virtual_time
async def test_look_that_never_ends_is_cut_by_the_deadline() -> None:
    service = FakeService(namespace=TRUE, latency=7)
    start = trio.current_time()
    with pytest.raises(SoapFault) as caught:
        await make_client(service).send("+79991234567", "Hi", deadline=10)
    assert trio.current_time() - start == pytest.approx(10)
    assert caught.value.outcome is Outcome.REJECTED
    assert service.timeouts[1].read == pytest.approx(3)
    assert service.requests == []


def test_nothing_is_repeated_after_a_look_that_used_up_the_deadline() -> None:
    clock = MockClock(autojump_threshold=0)

    class Slow(FakeService):
        async def get(self, url: str, timeout: object) -> Reply:
            self.gets.append(f"{url} {timeout is not None}")
            clock.jump(100)
            return wsdl(self.namespace)

    async def main() -> None:
        service = Slow(namespace=TRUE)
        with pytest.raises(PoolTimeout, match="nothing was sent") as caught:
            await make_client(service).send("+79991234567", "Hi", deadline=10)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert len(service.urls) == 1

    trio.run(main, clock=clock)


def test_namespace_found_on_one_loop_is_known_on_the_next() -> None:
    service = FakeService(namespace=TRUE)
    client = make_client(service)
    anyio.run(client.balance)
    anyio.run(client.balance, backend="trio")
    assert len(service.gets) == 1
