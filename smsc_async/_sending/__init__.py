"""Many messages in one call, and sends whose answer was lost."""

from .bulk import cost_in_chunks, send_in_chunks, statuses_of
from .chunks import Chunk, ChunkCost, Chunker, MessageOutcome, goes_with, to_send
from .reconcile import OnUnknown, Patience, Settler, doubt_of

__all__ = [
    "Chunk",
    "ChunkCost",
    "Chunker",
    "MessageOutcome",
    "OnUnknown",
    "Patience",
    "Settler",
    "cost_in_chunks",
    "doubt_of",
    "goes_with",
    "send_in_chunks",
    "statuses_of",
    "to_send",
]
