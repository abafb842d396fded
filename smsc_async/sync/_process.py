"""What there is once in a process: the portal, as long as somebody uses it."""

import atexit
import os
import warnings
import weakref
from threading import RLock
from typing import Final
from weakref import WeakKeyDictionary

from smsc_async import Client, Guards

from ._portal import Close, Portal

__all__ = ["Lease", "Process", "process"]


class Process:
    """The process, which a fork begins anew.

    Attributes:
        lock: Hold it, shortly, to change what uses the portal.
        number: The number of forks that led to this process.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.number = 0
        self._portal: Portal | None = None
        self._inherited: list[Portal] = []
        self._is_warned = False
        self._guards: WeakKeyDictionary[Guards, Guards] = WeakKeyDictionary()

    def lease(self, owner: object, close: Close) -> "Lease":
        """Let an owner use the portal, which is started for the first one; the caller holds the lock."""
        if self._portal is None:
            self._portal = Portal(self.leave)
        return Lease(self._portal, owner, close)

    def leave(self, portal: Portal, key: int) -> bool:
        """Remove a user of a portal, and return whether it was the last one, so that the portal is to be stopped."""
        with self.lock:
            portal.users.pop(key, None)
            is_last = portal is self._portal and not portal.users
            if is_last:
                self._portal = None
            return is_last

    def guards(self, inherited: Guards) -> Guards:
        """Return the guards that take the place of those of a parent process, for all clients that share them."""
        if inherited not in self._guards:
            self._guards[inherited] = inherited.anew()
        return self._guards[inherited]

    def warn(self, inherited: Client) -> None:
        """Warn, once in a process, that a client of a parent process has limits that now count for each process."""
        guards: Guards | None = getattr(inherited, "guards", None)
        if not self._is_warned and guards is not None and not guards.is_shared:
            self._is_warned = True
            warnings.warn(
                "this client of smsc_async.sync was made before a fork, and its guards count in memory: from now on "
                "each process has the limits of the account for itself; share them by "
                "guards=Guards(RedisStore.from_url(...))",
                RuntimeWarning,
                stacklevel=2,
            )

    def begin(self) -> None:
        """Begin anew in the child of a fork, which has none of the threads."""
        self.lock = RLock()
        self.number += 1
        self._is_warned = False
        self._guards = WeakKeyDictionary()
        if self._portal is not None:
            self._portal.disarm()
            self._inherited.append(self._portal)  # nothing of it is ever closed here
        self._portal = None

    def end(self) -> None:
        """Close everything at the end of the interpreter."""
        with self.lock:
            portal, self._portal = self._portal, None
        if portal is not None:
            portal.end()


class Lease:
    """The use of the portal by one owner; it ends with `release`, or when the owner is collected as garbage.

    Attributes:
        portal: The portal.
    """

    def __init__(self, portal: Portal, owner: object, close: Close) -> None:
        self.portal = portal
        self._key = portal.add(close)
        self._abandoning = weakref.finalize(owner, portal.abandon, self._key)
        self._abandoning.atexit = False

    def abandon(self) -> None:
        """Let the thread of the event loop close what the owner has there, and end the use."""
        self._abandoning()

    def release(self) -> None:
        """End the use; the last one ends the thread."""
        self._abandoning.detach()
        if process.leave(self.portal, self._key):
            self.portal.stop()


process: Final = Process()

atexit.register(process.end)
if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=process.begin)
