"""The function that makes the client of an application, checked."""

from smsc_async._client import Client
from smsc_async._model import wrong

__all__ = ["check_make_client", "checked_client"]


def check_make_client(make_client: object) -> None:
    """Check that this may be a function that returns a client.

    Raises:
        ValueError: It can't be called.
    """
    if not callable(make_client):
        raise wrong("make_client", "a function that returns a smsc_async.Client, or Client itself", make_client)


def checked_client(client: object) -> Client:
    """Return the client that such a function has returned.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(client, Client):
        raise wrong("what make_client returns", "a smsc_async.Client", client)
    return client
