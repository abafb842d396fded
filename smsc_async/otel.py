"""Traces and metrics of each client through OpenTelemetry (`pip install 'smsc-async[otel]'`).

    from smsc_async.otel import SmscInstrumentor

    SmscInstrumentor().instrument()

The names are those of the conventions of OpenTelemetry.
"""

from collections.abc import Collection, Mapping
from threading import Lock
from typing import Any, Final

from . import (
    CallAttempted,
    CallFinished,
    CallRetried,
    CallStarted,
    CallWaited,
    MessageDelivered,
    Observer,
    Outcome,
    SendReconciled,
    __version__,
)

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined,unused-ignore]
    from opentelemetry.trace import Span, SpanKind, StatusCode
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own, without the extra
    if _error.name is None or _error.name.partition(".")[0] != "opentelemetry":
        raise
    raise ModuleNotFoundError(
        "traces and metrics need an extra package: pip install 'smsc-async[otel]'", name=_error.name
    ) from None

__all__ = ["SmscInstrumentor"]

_SEND: Final = "send_sms"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those that the RPC conventions recommend."""
_DELIVERY_BUCKETS: Final = (1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
_MOST_UNRESOLVED: Final = 10_000  # ids that are remembered, so that each is subtracted once


class SmscInstrumentor(BaseInstrumentor):  # type: ignore[misc,unused-ignore]
    """Adds an observer to each client made after `instrument()`: a span and metrics of each call.

    `instrument(tracer_provider=, meter_provider=)` takes other providers than the global ones. After `uninstrument()`,
    clients that were made meanwhile report nothing more, except the end of the calls that are running.
    """

    _observer: "_Telemetry | None" = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed to instrument: nothing but this package."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        tracer = trace.get_tracer("smsc_async", __version__, kwargs.get("tracer_provider"))
        meter = metrics.get_meter("smsc_async", __version__, kwargs.get("meter_provider"))
        self._observer = _Telemetry(tracer, meter)
        Observer.defaults = (*Observer.defaults, self._observer)

    def _uninstrument(self, **_: Any) -> None:
        if self._observer is not None:
            self._observer.is_active = False
            Observer.defaults = tuple(each for each in Observer.defaults if each is not self._observer)
            self._observer = None


class _Call:
    """A running call: its span, which is the current one, and its attributes."""

    __slots__ = ("attributes", "event", "span", "token")

    def __init__(self, event: CallStarted, span: Span, attributes: dict[str, str | int]) -> None:
        self.event = event
        self.span = span
        self.attributes = attributes
        self.token = context.attach(trace.set_span_in_context(span))

    def detach(self) -> None:
        # In another task, such as that of a generator which is closed, the span is not the current one.
        if trace.get_current_span() is self.span:
            context.detach(self.token)


class _Telemetry(Observer):
    """Turns the events of calls into spans and metrics.

    Ids, recipients and hashes of texts stay out of both.
    """

    def __init__(self, tracer: trace.Tracer, meter: metrics.Meter) -> None:
        self.is_active = True
        self._tracer = tracer
        self._calls: dict[int, _Call] = {}
        self._lost: dict[str, None] = {}
        self._lock = Lock()  # clients of several threads share this observer
        self._duration = meter.create_histogram(
            "rpc.client.call.duration", "s", "Duration of a call.", explicit_bucket_boundaries_advisory=_BUCKETS
        )
        self._wait = meter.create_histogram(
            "smsc.guard.wait.duration", "s", "Wait for the guards.", explicit_bucket_boundaries_advisory=_BUCKETS
        )
        self._refusals = meter.create_counter("smsc.guard.refusals", "{refusal}", "Calls that the guards refused.")
        self._messages = meter.create_counter("smsc.messages", "{message}", "Recipients of sends, by outcome.")
        self._delivery = meter.create_histogram(
            "smsc.delivery.duration",
            "s",
            "From the sending of a message to its final status.",
            explicit_bucket_boundaries_advisory=_DELIVERY_BUCKETS,
        )
        self._unresolved = meter.create_up_down_counter("smsc.unresolved", "{send}", "Sends whose outcome is unknown.")

    def started(self, event: CallStarted, /) -> None:
        """Start a span, and make it the current one."""
        if not self.is_active:
            return
        attributes: dict[str, str | int] = {
            "rpc.system.name": "soap",
            "rpc.method": event.operation,
            "server.address": event.host,
            "server.port": event.port,
        }
        span = self._tracer.start_span(event.operation, kind=SpanKind.CLIENT, attributes=attributes)
        if event.recipients:
            span.set_attribute("smsc.recipients", len(event.recipients))
        self._calls[event.call] = _Call(event, span, attributes)

    def waited(self, event: CallWaited, /) -> None:
        """Note a wait for the guards."""
        if call := self._calls.get(event.call):
            call.span.add_event("smsc.guard.wait", {"smsc.seconds": event.seconds})
            self._wait.record(event.seconds, {"rpc.method": event.operation})

    def attempted(self, event: CallAttempted, /) -> None:
        """Note a request."""
        self._note(
            event.call,
            "smsc.attempt",
            {
                "rpc.method": event.method,
                "server.address": event.host,
                "smsc.attempt": event.number,
                "smsc.seconds": event.seconds,
                "http.response.status_code": event.status_code,
                "http.response.body.size": event.size,
                "error.type": event.error,
                "rpc.response.status_code": None if event.code is None else str(event.code),
                "smsc.outcome": None if event.outcome is None else event.outcome.value,
            },
        )

    def retried(self, event: CallRetried, /) -> None:
        """Note a pause."""
        values = {"smsc.attempt": event.number, "smsc.seconds": event.seconds, "error.type": event.error}
        self._note(event.call, "smsc.retry", values)

    def reconciled(self, event: SendReconciled, /) -> None:
        """Note what became of a send whose answer was lost."""
        result = "unknown" if event.is_sent is None else "sent" if event.is_sent else "not_sent"
        if event.call is not None:
            self._note(event.call, "smsc.reconciliation", {"smsc.result": result, "smsc.seconds": event.seconds})
        elif event.is_sent is not None:
            self._resolved(event.id)

    def finished(self, event: CallFinished, /) -> None:
        """End the span, and record the call."""
        with self._lock:
            call = self._calls.pop(event.call, None)
        if call is None:
            return
        attributes, span = dict(call.attributes), call.span
        if event.error is not None:
            attributes["error.type"] = event.error
            span.set_status(StatusCode.ERROR)  # without words: those of an exception are for people
        if event.code is not None:
            attributes["rpc.response.status_code"] = str(event.code)
        span.set_attributes(attributes)
        span.set_attribute("smsc.attempts", event.attempts)
        if event.outcome is not None:
            span.set_attribute("smsc.outcome", event.outcome.value)
        self._duration.record(event.seconds, attributes)
        if event.is_refused:
            self._refusals.add(1, {"rpc.method": event.operation, "error.type": event.error or ""})
        if event.operation == _SEND:
            self._sent(call.event, event)
        call.detach()
        span.end()

    def delivered(self, event: MessageDelivered, /) -> None:
        """Record how long the delivery of a message took."""
        if self.is_active and event.seconds is not None:
            self._delivery.record(event.seconds, {"smsc.status": event.status, "smsc.delivered": event.is_delivered})

    def _note(self, number: int, name: str, values: Mapping[str, Any]) -> None:
        if call := self._calls.get(number):
            call.span.add_event(name, {key: value for key, value in values.items() if value is not None})

    def _sent(self, started: CallStarted, event: CallFinished) -> None:
        outcome = "accepted" if event.outcome is None else event.outcome.value
        self._messages.add(len(started.recipients), {"smsc.outcome": outcome})
        if event.id is None:
            return
        if event.outcome is not Outcome.UNKNOWN:
            self._resolved(event.id)
            return
        with self._lock:
            is_new = event.id not in self._lost and len(self._lost) < _MOST_UNRESOLVED
            if is_new:
                self._lost[event.id] = None
        if is_new:
            self._unresolved.add(1)

    def _resolved(self, id: str) -> None:  # noqa: A002 - the service's own word
        with self._lock:
            was_lost = self._lost.pop(id, self) is None
        if was_lost:
            self._unresolved.add(-1)
