"""What the service remembers: customers, messages, counters and random numbers, which a snapshot keeps."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ._accounts import Account, Accounts, account_as_json, account_of_json
from ._events import Event, StateSnapshot, StoredMessages
from ._limiter import Limiter
from ._limits import Limits
from ._outbox import Outbox
from ._status_schedule import StatusSchedule

__all__ = ["State"]


class State:
    """What the service remembers.

    Args:
        accounts: The customers at the beginning.
        limits: The limits.
        seed: Seed of the random numbers.
        keep: How many of the newest messages are kept, at least.

    Attributes:
        requests: The number of the last request.
        outbox: The messages.
        schedule: The changes of their statuses to come.
        limiter: The counters of the limits.
        accounts: The customers.
        counts: How many requests were answered, by method and error code (0 for none).
        dice: The random numbers.
        last_id: The last id that the service has assigned to a message.
        now: Unix time of the last event.
    """

    def __init__(self, accounts: Iterable[Account], limits: Limits, seed: int, keep: int) -> None:
        self._first_accounts = tuple(accounts)
        self._limits = limits
        self._seed = seed
        self._keep = keep
        self.requests = 0
        self.now = 0.0
        self.schedule = StatusSchedule()
        self.outbox = Outbox(keep)
        self.limiter = Limiter(limits)
        self.reset()

    def reset(self) -> None:
        """Begin anew, but for the keys of messages and the numbers of requests and slots, which go on."""
        self.accounts = Accounts(self._first_accounts)
        self.schedule.clear()
        self.outbox = Outbox(self._keep, self.outbox.last_key, self.schedule)
        self.limiter = Limiter(self._limits, self.limiter.in_flight.tickets)
        self.counts: Counter[tuple[str, int]] = Counter()
        self.dice = random.Random(self._seed)  # noqa: S311 - delivery results, repeatable on purpose
        self.last_id = 0

    def snapshot(self) -> Iterator[Event]:
        """Yield events that lead to the present state."""
        changed = [account for account in self.accounts if account not in self._first_accounts]
        state = {
            "now": self.now,
            "last_id": self.last_id,
            "last_key": self.outbox.last_key,
            "requests": self.requests,
            "dice": self.dice.getstate(),
            "counts": [[*kind, count] for kind, count in self.counts.items()],
            "accounts": [account_as_json(account) for account in changed],
            "balances": {login: str(balance) for login, balance in self.accounts.balances.items()},
            "limits": self.limiter.dump(),
        }
        yield StateSnapshot(state)
        yield from StoredMessages.of(self.outbox.messages)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a snapshot; its messages are added one by one."""
        self.reset()
        for account in state["accounts"]:
            self.accounts.put(account_of_json(account))
        for login, balance in state["balances"].items():
            self.accounts.set_balance(self.accounts.named(login), Decimal(balance))
        self.counts.update({(method, error): count for method, error, count in state["counts"]})
        version, numbers, gauss = state["dice"]
        self.dice.setstate((version, tuple(numbers), gauss))
        self.last_id, self.requests, self.now = state["last_id"], state["requests"], state["now"]
        self.outbox = Outbox(self._keep, state["last_key"], self.schedule)
        self.limiter.load(state["limits"])
