"""The instrumentor makes a span and metrics of each call, without private values."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any

import anyio
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from smsc_async import (
    CallStarted,
    Client,
    ConnectError,
    DuplicateSend,
    Guards,
    InsufficientFunds,
    Message,
    MessageRef,
    Observer,
    ReadTimeout,
    SmscError,
)
from smsc_async._tasks.tracing import continued, trace_labels
from smsc_async.otel import SmscInstrumentor
from tests.cli.test_waiting import finished
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time

PHONE, TEXT = "+79990001122", "canarytext in a message"
REF = MessageRef(PHONE, "canaryid")
FOUND = answer("get_status", status="1", last_timestamp="1700000000", err="0", send_timestamp="1699999990")


class Telemetry:
    """An instrumentation that exports to memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider(metric_readers=[self.reader])
        SmscInstrumentor().instrument(tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data and data.resource_metrics else []
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    found = Telemetry()
    yield found
    SmscInstrumentor().uninstrument()
    found.meters.shutdown()
    assert Observer.defaults == ()


@virtual_time
async def test_a_call_is_a_client_span_by_the_conventions_with_its_retries(telemetry: Telemetry) -> None:
    await make_client(FakeService([ConnectError("no")])).balance()
    (span,) = telemetry.spans("get_balance")
    assert span.kind is SpanKind.CLIENT
    assert dict(span.attributes or {}) == {
        "rpc.system.name": "soap",
        "rpc.method": "get_balance",
        "server.address": "sms.test",
        "server.port": 443,
        "smsc.attempts": 2,
    }
    assert [event.name for event in span.events] == ["smsc.attempt", "smsc.retry", "smsc.attempt"]
    assert span.status.status_code is StatusCode.UNSET
    (duration,) = telemetry.points("rpc.client.call.duration")
    assert duration.count == 1
    assert duration.explicit_bounds[:2] == (0.005, 0.01)


@pytest.mark.parametrize(("url", "port"), [("http://127.0.0.1/a", 80), ("https://sms.test:8443/a", 8443)])
@virtual_time
async def test_the_port_is_that_of_the_url(telemetry: Telemetry, url: str, port: int) -> None:
    await make_client(FakeService(namespace=url), url=url).balance()
    assert (telemetry.spans("get_balance")[0].attributes or {})["server.port"] == port


@virtual_time
async def test_an_error_of_the_service_is_an_error_with_its_class_and_code(telemetry: Telemetry) -> None:
    with pytest.raises(InsufficientFunds):
        await make_client(FakeService([answer("send_sms", error="3")])).send(PHONE, TEXT)
    (span,) = telemetry.spans("send_sms")
    found = span.attributes or {}
    assert (found["error.type"], found["rpc.response.status_code"]) == ("InsufficientFunds", "3")
    assert (found["smsc.outcome"], span.status.status_code) == ("rejected", StatusCode.ERROR)
    assert span.status.description is None
    (messages,) = telemetry.points("smsc.messages")
    assert (messages.value, dict(messages.attributes)) == (1, {"smsc.outcome": "rejected"})


@virtual_time
async def test_a_refusal_by_the_guards_is_an_error_and_is_counted(telemetry: Telemetry) -> None:
    client = make_client(FakeService(), guards=Guards())
    await client.send(PHONE, TEXT)
    with pytest.raises(DuplicateSend):
        await client.send(PHONE, TEXT)
    (point,) = telemetry.points("smsc.guard.refusals")
    assert (point.value, dict(point.attributes)) == (1, {"rpc.method": "send_sms", "error.type": "DuplicateSend"})
    assert telemetry.spans("send_sms")[1].status.status_code is StatusCode.ERROR


@virtual_time
async def test_a_wait_for_the_guards_is_an_event_and_is_measured(telemetry: Telemetry) -> None:
    client = make_client(FakeService(latency=1), guards=Guards())
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(client.balance)
    names = {event.name for span in telemetry.spans("get_balance") for event in span.events}
    assert "smsc.guard.wait" in names
    assert telemetry.points("smsc.guard.wait.duration")[0].sum > 0


@virtual_time
async def test_the_look_up_after_a_lost_answer_is_within_the_span_of_the_send(telemetry: Telemetry) -> None:
    await make_client(FakeService([ReadTimeout("lost"), FOUND]), on_unknown="reconcile").send(PHONE, TEXT)
    (send,), (status,) = telemetry.spans("send_sms"), telemetry.spans("get_status")
    assert status.parent is not None
    assert send.context is not None
    assert status.parent.span_id == send.context.span_id
    assert [event.name for event in send.events] == ["smsc.attempt", "smsc.reconciliation"]
    assert dict(send.events[1].attributes or {})["smsc.result"] == "sent"
    assert not telemetry.points("smsc.unresolved")


@virtual_time
async def test_an_unresolved_send_is_counted_until_it_is_resolved_once(telemetry: Telemetry) -> None:
    client = make_client(FakeService([ReadTimeout("lost")] * 2), on_unknown="raise")
    with pytest.raises(ReadTimeout) as caught:
        await client.send(PHONE, TEXT)
    assert [point.value for point in telemetry.points("smsc.unresolved")] == [1]
    for _ in range(2):
        await client.resolve(caught.value)
        assert [point.value for point in telemetry.points("smsc.unresolved")] == [0]


@virtual_time
async def test_the_span_is_the_current_one_during_the_requests_only(telemetry: Telemetry) -> None:
    seen: list[Any] = []

    class Watching(FakeService):
        async def post(self, *args: Any) -> Any:
            seen.append(trace.get_current_span().get_span_context())
            return await super().post(*args)

    client = make_client(Watching(latency=1))
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(client.balance)
    assert not trace.get_current_span().get_span_context().is_valid
    assert {each.span_id for each in seen} == {
        span.context.span_id for span in telemetry.spans("get_balance") if span.context
    }
    assert len(seen) == 3


@virtual_time
async def test_a_cancelled_call_ends_its_span_and_leaves_no_span_current(telemetry: Telemetry) -> None:
    with anyio.move_on_after(1):
        await make_client(FakeService(latency=100)).balance()
    assert telemetry.spans("get_balance")[0].status.status_code is StatusCode.ERROR
    assert not trace.get_current_span().get_span_context().is_valid


@virtual_time
async def test_the_time_to_delivery_is_that_of_the_service(telemetry: Telemetry) -> None:
    async with make_client(FakeService([FOUND])).watch([REF]) as updates:
        assert [update.is_last async for update in updates] == [True]
    (point,) = telemetry.points("smsc.delivery.duration")
    assert (point.sum, dict(point.attributes)) == (10, {"smsc.status": 1, "smsc.delivered": True})


@virtual_time
async def test_clients_made_before_are_untouched_and_those_made_meanwhile_end(telemetry: Telemetry) -> None:
    during = make_client(FakeService())
    SmscInstrumentor().uninstrument()
    before = make_client(FakeService())
    SmscInstrumentor().instrument(tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    for client in (during, before):
        await client.balance()
    assert telemetry.spans("get_balance") == []
    await make_client(FakeService()).balance()
    assert len(telemetry.spans("get_balance")) == 1


@virtual_time
async def test_a_call_that_runs_while_it_is_uninstrumented_ends_its_span(telemetry: Telemetry) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(make_client(FakeService(latency=5)).balance)
        await anyio.sleep(1)
        SmscInstrumentor().uninstrument()
    assert len(telemetry.spans("get_balance")) == 1


def test_uninstrumenting_without_an_observer_does_nothing() -> None:
    SmscInstrumentor()._uninstrument()
    assert Observer.defaults == ()


@virtual_time
async def test_no_phone_text_id_or_credential_is_exported(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    script: list[Any] = [ConnectError("canary"), answer("send_sms", error="7"), ReadTimeout("canary")]
    client = make_client(FakeService(script), apikey="canarykey", guards=Guards(), on_unknown="reconcile")
    for text in (TEXT, f"{TEXT} 2", f"{TEXT} 3", f"{TEXT} 3"):
        try:
            await client.send(PHONE, text, id="canaryid", sender="canarysend")
        except SmscError:
            continue
    async for _ in client.send_batch([Message(PHONE, f"{TEXT} 4"), Message("+79990003344", TEXT)]):
        pass
    watching = make_client(FakeService([FOUND]), apikey="canarykey")
    async with watching.watch([REF]) as updates:
        assert [update.is_last async for update in updates] == [True]
    data = telemetry.reader.get_metrics_data()
    assert data is not None
    spans = telemetry.exporter.get_finished_spans()
    shown = "".join([*(span.to_json() for span in spans), data.to_json(), caplog.text])
    assert len(spans) > 5
    assert "send_sms" in shown
    assert "smsc.delivery.duration" in shown
    for private in ("canary", "9990001122", "0001122", "9990003344", "***22"):
        assert private not in shown


def test_a_task_continues_the_trace_that_queued_it(telemetry: Telemetry) -> None:
    assert trace_labels() == {}
    with continued({}), continued({"traceparent": "damaged"}):
        assert trace_labels() == {}
    tracer = telemetry.tracers.get_tracer("test")
    with tracer.start_as_current_span("view") as span:
        labels = trace_labels()
    assert list(labels) == ["traceparent"]
    with continued(labels):
        assert trace.get_current_span().get_span_context().span_id == span.get_span_context().span_id
    assert not trace.get_current_span().get_span_context().is_valid
    with tracer.start_as_current_span("task") as other, continued(labels):
        assert trace.get_current_span() is other


def test_a_task_has_no_labels_without_the_instrumentor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "smsc_async.otel")
    assert trace_labels() == {}
    with continued({"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}):
        assert not trace.get_current_span().get_span_context().is_valid


def test_a_span_that_is_not_current_when_its_call_ends_is_ended_all_the_same(telemetry: Telemetry) -> None:
    observer: Any = Observer.defaults[-1]
    kept = context.get_current()
    observer.started(CallStarted(call=1, operation="send_sms", host="h", port=443, id=None, recipients=(), texts=()))
    token = context.attach(kept)
    observer.finished(finished("send_sms", None))
    assert len(telemetry.spans("send_sms")) == 1
    context.detach(token)
    context.attach(kept)


def test_the_entry_point_is_the_instrumentor() -> None:
    found = [each.value for each in entry_points(group="opentelemetry_instrumentor") if each.name == "smsc_async"]
    assert set(found) <= {"smsc_async.otel:SmscInstrumentor"}
    assert SmscInstrumentor().instrumentation_dependencies() == ()


def test_without_the_extra_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import smsc_async.otel"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert "pip install 'smsc-async[otel]'" in ran.stderr


async def asked(client: Client) -> None:
    with suppress(SmscError):  # the guards refuse some, and let others wait
        await client.balance()


class Shifted(FakeService):
    """Uninstruments while the first request is in flight, so that later events belong to no span."""

    async def post(self, *args: Any) -> Any:
        SmscInstrumentor().uninstrument()
        return await super().post(*args)


@virtual_time
async def test_events_after_uninstrumenting_that_belong_to_no_span_are_ignored(telemetry: Telemetry) -> None:
    script: list[Any] = [ReadTimeout("lost"), FOUND, ConnectError("no")]
    client = make_client(Shifted(script), on_unknown="raise", guards=Guards())
    with pytest.raises(ReadTimeout) as caught:
        await client.send(PHONE, TEXT)
    assert [span.name for span in telemetry.exporter.get_finished_spans()] == ["send_sms"]
    with pytest.raises(SmscError):
        await client.resolve(caught.value, deadline=0.001)
    await client.balance()
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(asked, client)
    async with client.watch([REF]) as updates:
        assert [update.is_last async for update in updates] == [True]
    assert [span.name for span in telemetry.exporter.get_finished_spans()] == ["send_sms"]
    assert not telemetry.points("smsc.delivery.duration")


@virtual_time
async def test_a_send_that_is_lost_twice_is_counted_once(telemetry: Telemetry) -> None:
    client = make_client(FakeService([ReadTimeout("lost")] * 2), on_unknown="raise")
    for _ in range(2):
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, TEXT, id="a1")
    assert [point.value for point in telemetry.points("smsc.unresolved")] == [1]
