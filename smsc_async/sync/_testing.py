"""A client of a sandbox, for the tests of an application; imported on demand, because the sandbox is an extra."""

from typing import Any

from smsc_async import UNSET, Guards, Unset
from smsc_async import Client as AsyncClient
from smsc_async.sandbox import Sandbox
from smsc_async.testing import client

from ._client import Client
from ._owned import Owned

__all__ = ["sandbox_client"]


def sandbox_client(sandbox: Sandbox, **options: Any) -> Client:
    """Return a client of a sandbox, on the clock of the sandbox, for the tests of an application.

    It is to `Client` what `smsc_async.testing.client` is to the asynchronous client: `sandbox.advance(120)` on any
    thread wakes a call that waits on another one.

        sandbox = Sandbox()
        with sandbox_client(sandbox) as client:
            client.send("+79991234567", "Your code is 4821")
            sandbox.advance(62)
            client.send("+79991234567", "Your code is 4821")  # no DuplicateSend

    Args:
        sandbox: The sandbox.
        **options: As in `smsc_async.testing.client`.

    Raises:
        ValueError: An argument is wrong.
    """

    def make(guards: Guards | Unset | None) -> AsyncClient:
        return client(sandbox, **(options if guards is UNSET else {**options, "guards": guards}))

    return Client._of(Owned(make))  # noqa: SLF001 - of this package
