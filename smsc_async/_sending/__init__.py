"""Bulk calls, and the reconciliation of sends whose answer was lost."""

from .bulk import AskStatus, cost_in_chunks, each_item, requests_of, send_in_chunks, statuses_of
from .chunks import (
    BatchTerms,
    Chunk,
    ChunkCost,
    Chunker,
    CostTerms,
    MessageOutcome,
    SendTerms,
    check_made,
    fitting,
    to_send,
)
from .divider import Divider
from .reconcile import OnUnknown, ReconcileDelays, Reconciler
from .waves import Concurrency, Workers

__all__ = [
    "AskStatus",
    "BatchTerms",
    "Chunk",
    "ChunkCost",
    "Chunker",
    "Concurrency",
    "CostTerms",
    "Divider",
    "MessageOutcome",
    "OnUnknown",
    "ReconcileDelays",
    "Reconciler",
    "SendTerms",
    "Workers",
    "check_made",
    "cost_in_chunks",
    "each_item",
    "fitting",
    "requests_of",
    "send_in_chunks",
    "statuses_of",
    "to_send",
]
