"""Following the delivery of messages."""

from .curve import Curve
from .plan import Plan
from .registry import Source, Unfinished, Update, Watched, source_of, utc
from .watcher import Watcher, last_report

__all__ = ["Curve", "Plan", "Source", "Unfinished", "Update", "Watched", "Watcher", "last_report", "source_of", "utc"]
