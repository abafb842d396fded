"""The trace context of a task in its labels, if `smsc_async.otel` is instrumented; no baggage, which may be private."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["continued", "trace_labels"]


def trace_labels() -> dict[str, str]:
    """Return the labels that continue the current trace, none without one."""
    labels: dict[str, str] = {}
    if "smsc_async.otel" in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - an extra

        TraceContextTextMapPropagator().inject(labels)
    return labels


@contextmanager
def continued(labels: Mapping[str, Any]) -> Iterator[None]:
    """Continue the trace of a task's labels, unless another instrumentation does already."""
    if "smsc_async.otel" not in sys.modules or "traceparent" not in labels:
        yield
        return
    from opentelemetry import context, trace  # noqa: PLC0415 - an extra
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    carrier = {name: str(labels[name]) for name in ("traceparent", "tracestate") if name in labels}
    token = context.attach(TraceContextTextMapPropagator().extract(carrier))
    try:
        yield
    finally:
        context.detach(token)
