"""The task that sends what is in the outbox."""

import logging

import anyio

from smsc_async import Client, GuardError, Scope, SmscError

from .outbox import Claim, Outbox

log = logging.getLogger(__name__)

AT_ONCE = 8
AGAIN = 10.0  # seconds


async def send_all(client: Client, outbox: Outbox) -> None:
    """Send messages as they become due, until it is cancelled."""
    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(_work, client, outbox)


async def _work(client: Client, outbox: Outbox) -> None:
    while True:
        claim = outbox.claim()
        if claim is None:
            await outbox.wait(1.0)
        else:
            await _send(client, outbox, claim)


async def _send(client: Client, outbox: Outbox, claim: Claim) -> None:
    try:
        # A later attempt asks the service first, and sends only what it does not have.
        await client.send(claim.phone, claim.text, id=claim.id, attempt=claim.attempt)
    except SmscError as error:
        if error.scope is Scope.MESSAGE:
            outbox.refused(claim.id, type(error).__name__)
        else:
            outbox.later(claim.id, _pause(error))
        log.warning("message %s, attempt %d: %s", claim.id, claim.attempt, error)
    except ValueError as error:
        outbox.refused(claim.id, "not a valid message")
        log.warning("message %s: %s", claim.id, error)
    else:
        outbox.sent(claim.id)


def _pause(error: SmscError) -> float:
    """Return the seconds until another attempt may succeed."""
    known = error.retry_after if isinstance(error, GuardError) else None
    return max(known or 0.0, AGAIN)
