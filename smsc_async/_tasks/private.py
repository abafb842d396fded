"""Tasks whose arguments taskiq neither logs nor shows in its frames."""

from taskiq import BrokerMessage, TaskiqFormatter, TaskiqMessage

from smsc_async._frames import PrivateDict

__all__ = ["PrivateFormatter"]


class PrivateFormatter(TaskiqFormatter):
    """Hides the arguments of tasks in the log lines of taskiq, and in the variables of its frames.

    Args:
        inner: The formatter that reads and writes the tasks.
    """

    def __init__(self, inner: TaskiqFormatter) -> None:
        self._inner = inner

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """Write a task."""
        return self._inner.dumps(message)

    def loads(self, message: bytes) -> TaskiqMessage:
        """Read a task."""
        read = self._inner.loads(message)
        if isinstance(read.kwargs.get("arguments"), dict):
            read.kwargs["arguments"] = PrivateDict(read.kwargs["arguments"])
        return read
