"""What the integrations of web frameworks share, without a framework: errors as HTTP answers, and callbacks."""

from .making import check_make_client, checked_client
from .problems import PROBLEM_JSON, HttpProblem, problem_of
from .receiving import CallbackReceiver, OnCall, OnIncoming, OnStatus, read_body

__all__ = [
    "PROBLEM_JSON",
    "CallbackReceiver",
    "HttpProblem",
    "OnCall",
    "OnIncoming",
    "OnStatus",
    "check_make_client",
    "checked_client",
    "problem_of",
    "read_body",
]
