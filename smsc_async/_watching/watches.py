"""The watches of a client: what they share."""

from smsc_async._model import StatusPush

from .curve import Curve
from .updates import check_push
from .watcher import Watcher

__all__ = ["Watches"]


class Watches:
    """What the watches of a client have in common."""

    def __init__(self) -> None:
        self.curve = Curve()
        """What they have learnt about delivery times."""
        self.entered: set[Watcher] = set()
        """Those inside their `async with` blocks."""

    def notify(self, push: StatusPush) -> None:
        """Pass a push to each of those inside their blocks.

        Raises:
            ValueError: It is not a `StatusPush`.
        """
        check_push(push)
        for watcher in tuple(self.entered):
            watcher.notify(push)
