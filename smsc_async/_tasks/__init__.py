"""The parts of the taskiq tasks: queue, claims, results."""

from .claims import Busy, Claim, Claims, Over
from .queue import Delivery, Queue, check_broker
from .results import Failure, Followed, FollowResult, FollowTask, SendResult, end_of
from .retry import pause_after

__all__ = [
    "Busy",
    "Claim",
    "Claims",
    "Delivery",
    "Failure",
    "FollowResult",
    "FollowTask",
    "Followed",
    "Over",
    "Queue",
    "SendResult",
    "check_broker",
    "end_of",
    "pause_after",
]
