"""Read an answer: directly, or on a separate thread where that could block the event loop."""

from datetime import tzinfo
from typing import TypeVar

from smsc_async._model import MalformedEnvelope, Operation, Result, SmscError
from smsc_async._network import Reply
from smsc_async._protocol import Request, decode, reads_at_once
from smsc_async._thread import in_own_thread

__all__ = ["read_answer"]

R = TypeVar("R", bound=Result)


async def read_answer(operation: Operation[R], request: Request, reply: Reply, timezone: tzinfo) -> R:
    """Return the result; the service writes local times in `timezone`.

    A caller cancelled while a thread reads returns at once: whether the service accepted the request remains
    unknown to it.

    Raises:
        MalformedEnvelope: Reading failed with any other exception, which must not be mistaken for a wrong argument.
        SmscError: See `decode`.
    """

    def read() -> R:
        return decode(
            operation,
            request,
            status_code=reply.status_code,
            content_type=reply.content_type,
            body=reply.body,
            timezone=timezone,
        )

    try:
        return read() if reads_at_once(reply.body, reply.content_type) else await in_own_thread(read)
    except SmscError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        kind = type(error).__name__
    raise MalformedEnvelope(f"the answer can't be read ({kind})")
