"""Print the trace and the metrics of one send whose answer is lost, on the sandbox.

pip install 'smsc-async[otel,sandbox]' opentelemetry-sdk
python examples/otel.py
"""

import asyncio
import sys

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from smsc_async import testing
from smsc_async.otel import SmscInstrumentor
from smsc_async.sandbox import Sandbox


def as_lines(span: ReadableSpan) -> str:
    """Return a span and its events as lines."""
    parent = f" in {span.parent.span_id:016x}" if span.parent else ""
    own = span.get_span_context()
    lines = [f"span {span.name} {own.span_id if own else 0:016x}{parent} {span.status.status_code.name}"]
    lines += [f"    {name} = {value!r}" for name, value in (span.attributes or {}).items()]
    for event in span.events:
        lines.append(f"  event {event.name}")
        lines += [f"    {name} = {value!r}" for name, value in (event.attributes or {}).items()]
    return "\n".join([*lines, ""])


async def main() -> None:
    """Send a message whose answer is lost."""
    tracers, reader = TracerProvider(), InMemoryMetricReader()
    tracers.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=as_lines)))
    meters = MeterProvider(metric_readers=[reader])
    SmscInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    sandbox = Sandbox()
    sandbox.faults.add("lose_answer", operation="send", times=1)
    async with testing.client(sandbox) as client:
        await client.send("+79991234567", "Your code: 4821")
    data = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
        for point in metric.data.data_points:
            value = getattr(point, "value", None)
            shown = f"{getattr(point, 'count', 0)} in {getattr(point, 'sum', 0):.3f} s" if value is None else value
            sys.stdout.write(f"metric {metric.name} {dict(point.attributes or {})}: {shown}\n")


asyncio.run(main())
