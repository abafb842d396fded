"""A task continues the trace of the code that queued it."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import smsc_async.otel  # noqa: F401 - the labels are written by those who imported it
from tests.tasks.taskiq_post import PHONE, Post, queued_message


async def test_a_queued_send_has_the_trace_in_its_labels(post: Post) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("view") as span:
        await post.tasks.send(PHONE, "Hello")
    context = span.get_span_context()
    labels = (await queued_message(post)).labels
    assert labels["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")


async def test_a_worker_sends_within_the_trace_of_the_task(post: Post) -> None:
    seen: list[int] = []
    work = post.tasks._claims.take

    async def take(id: str, ticket: str) -> object:  # noqa: A002
        seen.append(trace.get_current_span().get_span_context().trace_id)
        return await work(id, ticket)

    post.tasks._claims.take = take  # type: ignore[assignment,method-assign]
    with TracerProvider().get_tracer("test").start_as_current_span("view") as span:
        task = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    assert (await task.get_result()).return_value.sent is not None
    assert seen == [span.get_span_context().trace_id]
