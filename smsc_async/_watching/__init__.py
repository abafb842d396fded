"""Following the delivery of messages."""

from .plan import Plan
from .registry import Source, Unfinished, Update, Watched, source_of, utc
from .watcher import Watcher, last_report
from .watches import Watches

__all__ = [
    "Plan",
    "Source",
    "Unfinished",
    "Update",
    "Watched",
    "Watcher",
    "Watches",
    "last_report",
    "source_of",
    "utc",
]
