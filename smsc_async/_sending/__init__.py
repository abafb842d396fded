"""Bulk calls, and the reconciliation of sends whose answer was lost."""

from .bulk import AskStatus, cost_in_chunks, each_item, send_in_chunks, statuses_of
from .chunks import BatchTerms, Chunk, ChunkCost, Chunker, CostTerms, MessageOutcome, SendTerms, goes_with, to_send
from .reconcile import OnUnknown, ReconcileDelays, Reconciler

__all__ = [
    "AskStatus",
    "BatchTerms",
    "Chunk",
    "ChunkCost",
    "Chunker",
    "CostTerms",
    "MessageOutcome",
    "OnUnknown",
    "ReconcileDelays",
    "Reconciler",
    "SendTerms",
    "cost_in_chunks",
    "each_item",
    "goes_with",
    "send_in_chunks",
    "statuses_of",
    "to_send",
]
