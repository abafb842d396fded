"""Divide a job into requests, and derive a result for each message from the answer to its request; pure."""

import hashlib
import json
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from smsc_async._model import (
    ApiError,
    GetCost,
    GetListCost,
    Message,
    MessageRef,
    Refusals,
    Send,
    SendList,
    SentMessage,
    SmscError,
    When,
    is_international,
    new_id,
    own_errors,
    parts,
)
from smsc_async._sending import BatchTerms, Chunk, Chunker, fitting, to_send

from .rows import ChunkPlan, MessageResult, PlannedMessage, RowPlan, StoredChunk

__all__ = [
    "Division",
    "JobTerms",
    "cost_of",
    "digest_of_rows",
    "divide",
    "operation_of",
    "refused",
    "results",
    "without",
]

_NOT_PRICED: Final = {"id", "sender", "at", "cost"}
_CENT: Final = Decimal("0.0001")


class JobTerms(BatchTerms):
    """The arguments that all requests of a job share."""

    batch_size: int
    sender: str | None = None
    at: When = None

    def content(self) -> dict[str, str]:
        """Return the fields of the envelope that do not depend on the messages."""
        own = {"sender": self.sender, "time": None if self.at is None else self.at.wire()}
        return {**super().content(), **{name: value for name, value in own.items() if value is not None}}

    def canonical(self) -> str:
        """Return what identifies the arguments in a journal, as JSON.

        It consists of what the service receives, so that a class, an attribute or a default may change without turning
        a stored job into another one.
        """
        query = {**({} if self.err is None else {"err": str(int(self.err))}), **self.parameters()}
        return _json({"batch_size": self.batch_size, "fields": self.content(), "query": query})


class Division:
    """Divides messages into requests.

    Phones that the service may rewrite go in separate requests: reconciling such a request may fail, and the other
    messages must not stay unresolved with it.

    Args:
        options: The arguments of all sends.
        size: The maximum number of messages in one request; 1 sends each separately.
    """

    def __init__(self, options: Mapping[str, Any], size: int) -> None:
        self._options = options
        fits = fitting(to_send, options)
        self._alone = size == 1
        self._chunkers = {exact: Chunker(size, fits) for exact in (True, False)}
        self._rows: dict[bool, deque[RowPlan]] = {True: deque(), False: deque()}

    def add(self, row: int, message: Message, id: str | None) -> Iterator[ChunkPlan]:  # noqa: A002 - the service's own word
        """Add a message; yield the requests that are complete."""
        plan = RowPlan(row, message.phone)
        if self._alone or id is not None:
            yield self._plan(Chunk((message,), is_list=False), (plan,), id)
            return
        exact = is_international(message.phone)
        self._rows[exact].append(plan)
        for chunk in self._chunkers[exact].add(message):
            yield self._plan(chunk, self._take(exact, chunk), None)

    def rest(self) -> Iterator[ChunkPlan]:
        """Yield the requests for the remaining messages."""
        for exact, chunker in self._chunkers.items():
            for chunk in chunker.rest():
                yield self._plan(chunk, self._take(exact, chunk), None)

    def _take(self, exact: bool, chunk: Chunk) -> tuple[RowPlan, ...]:
        return tuple(self._rows[exact].popleft() for _ in chunk.messages)

    def _plan(self, chunk: Chunk, rows: tuple[RowPlan, ...], id: str | None) -> ChunkPlan:  # noqa: A002 - as above
        operation = to_send(chunk, {**self._options, "id": id or new_id()})
        return ChunkPlan(
            operation.model_dump_json(exclude_defaults=True), operation.id, chunk.is_list, id is None, rows
        )


def divide(rows: Iterable[PlannedMessage], options: Mapping[str, Any], size: int) -> Iterator[ChunkPlan]:
    """Yield the requests for the messages of a job; each message must have its `row`.

    Raises:
        ValueError: A message and the arguments don't go together.
    """
    division = Division(options, size)
    for planned in rows:
        if planned.message is not None and planned.row is not None:
            yield from division.add(planned.row, planned.message, planned.id)
    yield from division.rest()


def digest_of_rows(rows: Iterable[PlannedMessage]) -> str:
    """Return a hash of the messages, which identifies their job."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_json(row.model_dump(mode="json", exclude_defaults=True)).encode())
    return digest.hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def without(content: str, phones: Container[str]) -> str:
    """Return a stored request without some of its recipients, an empty string if none is left."""
    operation = json.loads(content)
    if "messages" in operation:
        left = operation["messages"] = [each for each in operation["messages"] if each["phone"] not in phones]
    else:
        left = operation["to"] = [each for each in operation["to"] if each not in phones]
    return json.dumps(operation) if left else ""


def operation_of(chunk: StoredChunk) -> Send | SendList:
    """Return the operation of a stored request."""
    return (SendList if chunk.is_list else Send).model_validate_json(chunk.content)


def cost_of(operation: Send | SendList) -> GetCost | GetListCost:
    """Return the operation that asks for the cost of a send."""
    kind = GetListCost if isinstance(operation, SendList) else GetCost
    return kind.model_validate(operation.model_dump(exclude=_NOT_PRICED, exclude_defaults=True))


def results(operation: Send | SendList, result: SentMessage) -> list[MessageResult]:
    """Return the result of each message of an accepted request, with its share of the cost."""
    refs = operation.refs()
    refusals = Refusals(result.errors, [ref.phone for ref in refs])
    missing = {ref.phone for ref in result.missing}
    texts = [line.text for line in operation.lines()] or [getattr(operation, "text", None) or ""] * len(refs)
    found: list[MessageResult] = []
    accepted: list[tuple[MessageRef, int]] = []
    for ref, text in zip(refs, texts, strict=True):
        refusal = refusals.find(ref.phone)
        if refusal is not None:
            words = "the service refused this message without an error number"
            if refusal.code is not None:
                words = operation.errors.get(refusal.code, ApiError).advice
            found.append(MessageResult(phone=ref.phone, id=result.id, code=refusal.code, error=words))
        elif ref.phone in missing:
            words = "the service accepted the request but not this message"
            found.append(MessageResult(phone=ref.phone, id=result.id, error=words))
        else:
            accepted.append((ref, parts(text).count))
    shares = _divided(result.cost, [count for _, count in accepted])
    found += [
        MessageResult(phone=ref.phone, id=result.id, cost=share, parts=count)
        for (ref, count), share in zip(accepted, shares, strict=True)
    ]
    return found


def refused(operation: Send | SendList, error: SmscError) -> list[MessageResult]:
    """Return the result of each message of a refused request, with its own error number if the service returned one."""
    refs = operation.refs()
    return [
        MessageResult(
            phone=ref.phone,
            id=ref.id,
            code=each.code if isinstance(each, ApiError) else None,
            error=f"{type(each).__name__}: {each}",
        )
        for ref, each in zip(refs, own_errors(error, [ref.phone for ref in refs]), strict=True)
    ]


def _divided(cost: Decimal | None, weights: list[int]) -> list[Decimal | None]:
    """Divide a cost into shares that add up to it; the last share includes the rounding difference."""
    if cost is None:
        return [None] * len(weights)
    shares: list[Decimal | None] = []
    left, weight_left = cost, sum(weights)
    for weight in weights:
        share = left if weight == weight_left else left * weight / weight_left
        if share.quantize(_CENT) != share and weight < weight_left:
            share = share.quantize(_CENT)
        shares.append(share)
        left, weight_left = left - share, weight_left - weight
    return shares
