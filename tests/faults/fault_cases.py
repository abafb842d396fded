"""One call with one fault: the result that the client reports must agree with what the sandbox has accepted."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, cycle, groupby, islice
from typing import Final, Literal, Protocol, TypeVar

import anyio

from smsc_async import (
    ApiError,
    Client,
    Guards,
    Message,
    MessageOutcome,
    MessageRef,
    Outcome,
    ProtocolError,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    Timeout,
    TransportError,
    UnresolvedSend,
)
from smsc_async.sandbox import Sandbox
from tests.faults.fault_network import URL, Fault, Kind, Network, Side
from tests.virtual import virtual_time

__all__ = [
    "FOLLOWED",
    "LATE",
    "ODD_ANSWERS",
    "READS",
    "SENDS",
    "VERBS",
    "Case",
    "Scene",
    "Summary",
    "cases",
    "faults",
    "odd_answers",
    "run",
    "scene",
    "try_case",
    "try_cases",
]

T = TypeVar("T")
Verb = Literal["send", "send to many", "send_batch", "status", "cost", "balance"]
OnUnknown = Literal["reconcile", "raise", "resend"]
Answers = Sequence[MessageRef | SmscError]

SENDS: Final[tuple[Verb, ...]] = ("send", "send to many", "send_batch")
READS: Final[tuple[Verb, ...]] = ("status", "cost", "balance")
VERBS: Final = SENDS + READS
LATE: Final = Guards().late_arrival
FOLLOWED: Final = frozenset({Kind.LEFTOVER, Kind.FOREIGN})
"""Faults after which the connection stays open, so that the next call is judged too."""
_WRONG: Final = "+75"
"""The prefix of numbers that the sandbox refuses with error 7, without refusing the other recipients."""
_CASES_A_CLIENT: Final = 25
_DEADLINE: Final = 90.0
_TIMEOUT: Final = Timeout(connect=5.0, read=10.0, write=10.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One call with one fault.

    Attributes:
        verb: The method that is called.
        fault: The fault of its first exchange, or of all exchanges for a while.
        on_unknown: The client's option.
        reconnect: Whether the call begins with a new connection.
    """

    verb: Verb
    fault: Fault
    on_unknown: OnUnknown = "reconcile"
    reconnect: bool = False

    def __str__(self) -> str:
        return f"{self.verb}, {self.on_unknown}: {self.fault}{', new connection' if self.reconnect else ''}"


@dataclass(slots=True)
class Summary:
    """The results of many cases.

    Attributes:
        cases: The number of cases.
        said: The number of answers of each kind.
        doubled: The number of messages that the sandbox accepted more than once.
        wrong: The descriptions of the wrong answers.
    """

    cases: int = 0
    said: Counter[str] = field(default_factory=Counter)
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Summary") -> None:
        """Add the results of other cases."""
        self.cases += other.cases
        self.said += other.said
        self.doubled += other.doubled
        self.wrong += other.wrong


class Line(Protocol):
    """The network between a client and the sandbox."""

    sandbox: Sandbox

    def break_down(self, fault: Fault, *, reconnect: bool = False) -> None:
        """Let the next exchange have this fault."""

    def heal(self) -> None:
        """End the fault."""


@dataclass(slots=True)
class Scene:
    """A client and its network.

    Attributes:
        client: The client.
        network: The network between it and the sandbox.
        summary: The results of the cases.
        timeout: The timeout of the call with the fault.
        late: Seconds after which a lost request can no longer arrive.
        handed_over: The unresolved sends that the client handed over.
        numbers: The numbers of new recipients.
        resolved: The unresolved send that was resolved last, and the result.
    """

    client: Client
    network: Line
    summary: Summary
    timeout: Timeout
    late: float = LATE
    handed_over: list[UnresolvedSend] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    resolved: tuple[SmscError | UnresolvedSend, SentMessage | None] | None = None

    def new_phone(self) -> str:
        """Return a recipient without messages."""
        return f"+7999{next(self.numbers):07}"

    def new_people(self) -> list[str]:
        """Return three recipients without messages; the sandbox refuses only the second."""
        return [self.new_phone(), f"{_WRONG}{next(self.numbers):06}", self.new_phone()]

    def accepted(self, phone: str) -> int:
        """Return how many messages to a phone the sandbox has accepted."""
        return sum(message.phone == phone.removeprefix("+") for message in self.network.sandbox.messages)


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run on a clock that jumps to the next timer when all tasks wait."""
    return virtual_time(main)()


@asynccontextmanager
async def scene(on_unknown: OnUnknown = "reconcile", *, summary: Summary | None = None) -> AsyncIterator[Scene]:
    """Yield a client with a network, after a call that proves its credentials."""
    handed_over: list[UnresolvedSend] = []
    async with anyio.create_task_group() as group:
        network = Network(group)
        with network.installed():
            async with Client(
                apikey="demo",
                url=URL,
                timeout=_TIMEOUT,
                deadline=_DEADLINE,
                on_unknown=on_unknown,
                on_unresolved=handed_over.append,
            ) as client:
                await client.balance()
                yield Scene(
                    client, network, Summary() if summary is None else summary, _TIMEOUT, handed_over=handed_over
                )


async def try_case(scene: Scene, case: Case) -> None:
    """Make one call with its fault, and judge it."""
    judge = _READ_JUDGES.get(case.verb)
    scene.summary.cases += 1
    try:
        await (_judge_send(scene, case) if judge is None else judge(scene, case))
    except Exception as error:  # noqa: BLE001 - any other exception of the client is wrong as well
        scene.summary.wrong.append(f"{case}: {error!r}")
    scene.network.heal()


async def _judge_send(scene: Scene, case: Case) -> None:
    people = recipients(scene, case.verb)
    scene.network.break_down(case.fault, reconnect=case.reconnect)
    await judge_answers(scene, people, await SENDERS[case.verb](scene.client, scene.timeout, people))
    if case.fault.kind in FOLLOWED:
        people = recipients(scene, case.verb)
        await judge_answers(scene, people, await SENDERS[case.verb](scene.client, scene.timeout, people))
    if case.on_unknown == "resend" and not case.fault.lasts and case.fault.kind is not Kind.SHORTENED:
        assert scene.accepted(people[0]) == 1, "not sent again"


async def judge_answers(scene: Scene, people: Sequence[str], answers: Answers) -> None:
    """Compare each recipient's answer with what was accepted when it was given, and with what is accepted later."""
    at_once = [scene.accepted(phone) for phone in people]
    await _calm_down(scene)
    for phone, before, answer in zip(people, at_once, answers, strict=True):
        _check_once(scene, phone)
        await _judge_answer(scene, phone, before, answer)
    unknown = [answer for answer in answers if isinstance(answer, SmscError) and answer.outcome is Outcome.UNKNOWN]
    assert len(scene.handed_over) == bool(unknown), f"{len(scene.handed_over)} unresolved sends handed over, {unknown}"


def recipients(scene: Scene, verb: Verb) -> list[str]:
    """Return recipients without messages; if there are several, one of them is refused."""
    scene.handed_over.clear()
    return [scene.new_phone()] if verb == "send" else scene.new_people()


async def judge_cancelled(scene: Scene, people: Sequence[str]) -> None:
    """Judge a cancelled send: if it may have been executed, it is handed over, and it resolves correctly."""
    await _calm_down(scene)
    assert len(scene.handed_over) <= 1, f"{len(scene.handed_over)} unresolved sends handed over"
    for phone in people:
        accepted = _check_once(scene, phone)
        for unresolved in scene.handed_over:
            await _check_resolved(scene, unresolved, phone, accepted)
        scene.summary.said["cancelled, unresolved" if scene.handed_over else "cancelled, none"] += 1
        assert scene.handed_over or not accepted, "accepted, and no unresolved send handed over"


async def _calm_down(scene: Scene) -> None:
    """Heal the network, and wait until no late request can arrive."""
    scene.network.heal()
    await anyio.sleep(2 * scene.late)


def _check_once(scene: Scene, phone: str) -> int:
    accepted = scene.accepted(phone)
    scene.summary.doubled += accepted > 1
    assert accepted <= (not phone.startswith(_WRONG)), f"{phone} accepted {accepted} times"
    return accepted


async def _judge_answer(scene: Scene, phone: str, before: int, answer: MessageRef | SmscError) -> None:
    accepted = scene.accepted(phone)
    if isinstance(answer, MessageRef):
        scene.summary.said["accepted"] += 1
        assert answer.phone == phone
        assert before == accepted == 1, f"said to be accepted: {answer}"
        return
    scene.summary.said[answer.outcome.name] += 1
    if answer.outcome is not Outcome.UNKNOWN:
        assert before == accepted == 0, f"accepted, and said to be {answer.outcome}: {answer!r}"
        return
    assert any(ref.phone == phone for ref in answer.refs), f"an unresolved send without its reference: {answer!r}"
    await _check_resolved(scene, answer, phone, accepted)


async def _check_resolved(scene: Scene, unresolved: SmscError | UnresolvedSend, phone: str, accepted: int) -> None:
    if scene.resolved is None or scene.resolved[0] is not unresolved:
        scene.resolved = unresolved, await scene.client.resolve(unresolved)
    sent = scene.resolved[1]
    found = sent is not None and any(ref.phone == phone for ref in sent.refs)
    assert found == bool(accepted), f"accepted: {accepted}, resolved: {sent}"


async def _send(client: Client, timeout: Timeout, people: Sequence[str]) -> Answers:
    """Send one text; return an answer for each recipient."""
    try:
        sent = await client.send(people, f"Hi {people[0]}", err=True, timeout=timeout)
    except SendOutcomeUnknown as error:
        return [_of_unknown(error, phone) for phone in people]
    except SmscError as error:
        return [error for _ in people]
    return [_of(sent, phone) for phone in people]


def _of_unknown(error: SendOutcomeUnknown, phone: str) -> MessageRef | SmscError:
    known = {ref.phone: ref for ref in error.accepted}
    return known.get(phone) or (_refused_alone() if phone in {ref.phone for ref in error.unsent} else error)


def _of(sent: SentMessage, phone: str) -> MessageRef | SmscError:
    return next((ref for ref in sent.refs if ref.phone == phone), None) or _refused_alone()


def _refused_alone() -> SmscError:
    return ApiError("refused alone")


async def _send_batch(client: Client, timeout: Timeout, people: Sequence[str]) -> Answers:
    messages = [Message(phone, f"Hi {phone} {people[0]}") for phone in people]
    try:
        outcomes = [outcome async for outcome in client.send_batch(messages, timeout=timeout)]
    except SmscError as error:
        return [error for _ in people]
    return [_of_batch(outcome) for outcome in outcomes]


def _of_batch(outcome: MessageOutcome) -> MessageRef | SmscError:
    answer = outcome.ref or outcome.error
    assert isinstance(answer, MessageRef | SmscError), f"{answer!r}"
    return answer


SENDERS: Final = {"send": _send, "send to many": _send, "send_batch": _send_batch}


async def _judge_read(scene: Scene, case: Case, read: Callable[[], Awaitable[object]], expected: object) -> None:
    scene.network.break_down(case.fault, reconnect=case.reconnect)
    try:
        value = await read()
    except TransportError as error:
        scene.summary.said[error.outcome.name] += 1
    except ProtocolError as error:
        scene.summary.said[error.outcome.name] += 1
        # A shortened request with the right Content-Length is refused as malformed.
        if error.outcome is not Outcome.UNKNOWN and case.fault.kind is not Kind.SHORTENED:
            raise AssertionError(f"a read failed with {error!r}") from error
    except SmscError as error:
        raise AssertionError(f"a read failed with {error!r}") from error
    else:
        scene.summary.said["right"] += 1
        assert value == expected, f"read {value!r} instead of {expected!r}"
    if case.fault.kind in FOLLOWED:
        assert await read() == expected, "the next read"


async def _judge_status(scene: Scene, case: Case) -> None:
    phone = scene.new_phone()
    sent = await scene.client.send(phone, f"Hi {phone}")
    expected = await scene.client.status(sent.ref, detail=1)
    await _judge_read(scene, case, lambda: scene.client.status(sent.ref, detail=1, timeout=scene.timeout), expected)


async def _judge_cost(scene: Scene, case: Case) -> None:
    people = [scene.new_phone(), scene.new_phone()]
    expected = await scene.client.cost(people, "Hi")
    await _judge_read(scene, case, lambda: scene.client.cost(people, "Hi", timeout=scene.timeout), expected)


async def _judge_balance(scene: Scene, case: Case) -> None:
    expected = await scene.client.balance()
    await _judge_read(scene, case, lambda: scene.client.balance(timeout=scene.timeout), expected)


_READ_JUDGES: Final = {"status": _judge_status, "cost": _judge_cost, "balance": _judge_balance}


async def _lengths(verb: Verb) -> tuple[int, int]:
    """Return the lengths of the request and the answer of a verb."""
    async with scene() as stage:
        await try_case(stage, Case(verb, Fault(Kind.CUT, Side.CONNECT)))  # there is a connection already
        assert not stage.summary.wrong, stage.summary.wrong
        assert isinstance(stage.network, Network)
        return len(stage.network.last_request), len(stage.network.last_answer)


_ON_REQUEST: Final = (Kind.CUT, Kind.STALL, Kind.CHOKE, Kind.RESET, Kind.PAGE, Kind.SHORTENED)
_ON_RESPONSE: Final = (Kind.CUT, Kind.STALL, Kind.RESET, Kind.PAGE, Kind.SHORTENED)


def faults(request: int, answer: int, *, step: int = 1) -> Iterator[Fault]:
    """Yield each kind of fault at every `step`-th byte of a request and of its answer, ends included.

    The kinds begin at different bytes, so that each byte sees some of them.
    """
    for side, length, kinds in ((Side.REQUEST, request, _ON_REQUEST), (Side.RESPONSE, answer, _ON_RESPONSE)):
        for offset in range(length + 1):
            for index, kind in enumerate(kinds):
                if (offset + index) % step == 0 or offset in {0, length}:
                    yield Fault(kind, side, offset)


def cases(
    verb: Verb,
    on_unknown: OnUnknown = "reconcile",
    *,
    step: int = 1,
    late: Sequence[float | None] = (None,),
    lasts: float = 0.0,
) -> Iterator[Case]:
    """Yield the cases of a verb: each kind of fault at every `step`-th byte, and while connecting.

    Args:
        verb: The method that is called.
        on_unknown: The client's option.
        step: Bytes between two offsets.
        late: Seconds after which the rest of a request arrives late, in turn; None for never.
        lasts: Seconds that the fault lasts.
    """
    for kind in (Kind.CUT, Kind.STALL):
        yield Case(verb, Fault(kind, Side.CONNECT, lasts=lasts), on_unknown, reconnect=True)
    request, answer = run(lambda: _lengths(verb))
    delays, turns = cycle(late), cycle([False, False, True])
    for fault in faults(request, answer, step=step):
        yield Case(verb, replace(fault, late=next(delays), lasts=lasts), on_unknown, reconnect=next(turns))


ODD_ANSWERS: Final = {"leftover bytes": Kind.LEFTOVER, "foreign ids": Kind.FOREIGN, "broken chunks": Kind.BROKEN_CHUNK}
"""Faults of the answer alone; a read has no id that could be a foreign one, which is a known gap."""


def odd_answers(verb: Verb, kind: Kind, *, step: int = 1) -> Iterator[Case]:
    """Yield the cases of a verb with one of `ODD_ANSWERS` at every `step`-th byte; with foreign ids, of each kind."""
    _, answer = run(lambda: _lengths(verb))
    for offset in range(1, answer, step):
        yield Case(verb, Fault(kind, Side.RESPONSE, offset))


def try_cases(some: Iterable[Case]) -> Summary:
    """Try cases; each client is used for several of them."""
    summary = Summary()
    for on_unknown, group in groupby(some, key=lambda case: case.on_unknown):
        while chunk := list(islice(group, _CASES_A_CLIENT)):
            run(partial(_try_chunk, chunk, on_unknown, summary))
    return summary


async def _try_chunk(chunk: Sequence[Case], on_unknown: OnUnknown, summary: Summary) -> None:
    async with scene(on_unknown, summary=summary) as stage:
        for case in chunk:
            await try_case(stage, case)
