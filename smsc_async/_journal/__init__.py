"""A bulk job on disk, so that it survives its process."""

from .journal import Journal
from .rows import JournalRow, PlannedMessage, RowState, Summary

__all__ = ["Journal", "JournalRow", "PlannedMessage", "RowState", "Summary"]
