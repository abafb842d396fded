"""The messages of a sandbox that a test looks for."""

from typing import Any

from smsc_async._model import is_seconds, wrong

from ._lookup import Lookup
from ._messages import AcceptedMessage
from ._outbox import MessageFilter
from ._shown import ShownMessages

__all__ = ["FoundMessages"]


class FoundMessages(ShownMessages):
    """A sandbox with the methods that find messages."""

    _lookup: Lookup

    def find(
        self,
        *,
        phone: str | None = None,
        text: str | None = None,
        id: str | None = None,  # noqa: A002 - the service's word
        status: int | None = None,
        login: str | None = None,
        since: float | None = None,
    ) -> list[AcceptedMessage]:
        """Return the messages that match, the newest first.

        Example:
            >>> sent = await client.send(["+79991234567", "+79991234568"], "Your code is 4821")
            >>> [message.phone for message in sandbox.find(text="4821")]
            ['79991234568', '79991234567']

        Args:
            phone: The recipient; numbers are compared by their digits.
            text: A part of the text, in upper or lower case.
            id: The message id.
            status: The present status.
            login: The customer.
            since: Unix time of the sandbox; earlier messages do not match.
        """
        wanted = MessageFilter(phone=phone, text=text, id=id, status=status, login=login, since=since)
        return self._lookup.search(wanted)

    def message(self, key: int | None = None, **wanted: Any) -> AcceptedMessage:
        """Return the message with this key, or the newest of those that match.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> sandbox.message(phone="+7 999 123-45-67").codes
            ('4821',)

        Args:
            key: The key.
            **wanted: What has to match; see `find`.

        Raises:
            LookupError: No message matches.
        """
        found = self._lookup.search(MessageFilter(key=key, **wanted))
        if not found:
            raise LookupError(f"no message matches; {self._accepted()}")
        return found[0]

    async def wait_for(self, *, wait: float = 5.0, **wanted: Any) -> AcceptedMessage:
        """Return the newest message that matches, as soon as there is one.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")  # usually by another task or program
            >>> message = await sandbox.wait_for(phone="+79991234567", wait=5)
            >>> message.text
            'Your code is 4821'

        Args:
            wait: How many seconds to wait for it, in real time.
            **wanted: What has to match; see `find`.

        Raises:
            TimeoutError: No message has matched.
            ValueError: `wait` is not a number of at least 0.
        """
        if not is_seconds(wait):
            raise wrong("wait", "a number of seconds, at least 0", wait)
        found = await self._lookup.wait(MessageFilter(**wanted), wait)
        if not found:
            raise TimeoutError(f"no message matched within {wait:g} s; {self._accepted()}")
        return found[0]

    def _accepted(self) -> str:
        return f"{len(self.messages)} were accepted, see sandbox.messages"
