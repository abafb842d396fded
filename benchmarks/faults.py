"""Every fault at every byte: the number of doubled messages and of wrong answers.

    python -m benchmarks.faults [--step 1] [--socket-step 16] [--processes 2]

A case is one call in which the network fails once: the connection is cut or reset, reading or writing stalls, a
gateway answers with a page and HTTP 502, or the body ends early with a Content-Length that agrees; at one byte of the
request or of the answer, or while connecting. The sandbox executes a request if all of its bytes arrive. The answer of
the client is wrong if it reports "not sent" or "refused" for a message that the sandbox has accepted, or "accepted" for
one that it has not; if resolving an unresolved send over a healthy network gives a wrong result; or if a read returns
another value. "doubled" are messages that the sandbox accepted more than once.

  one fault     the first exchange fails, the next is fine
  or late       in turn: the rest of the request arrives 0, 2.5 or 4.9 s after the client has given up, or never
  20 s          all exchanges fail in that way for 20 s, late as above
  no end        they fail until the deadline of the call; then the unresolved send is resolved

"many" are three recipients, one of which the sandbox refuses; each recipient counts as one answer. In process, on a
virtual clock, with the client's own stack down to the bytes. A lasting fault is tried at every 8th byte of those of a
single fault, and the rows with many recipients, except the first ones, at every 4th. Over real sockets a proxy on
loopback causes the faults. "leftover bytes" are the beginning of a refusal without an id after the answer; "foreign
ids" are results and refusals of another message; both leave the connection open, and the next call is judged too.
"broken chunks": the rest of a chunked answer can't be read, and nothing follows. A set-up error is an argument, or
certificates or a proxy of the environment, that can't be used: it must be a ValueError of the constructor, or a
ConnectError of five sends, without its secret; then the set-up is mended, and the same message must be accepted once.
The clients that send again try three times, 1 s or 180 s apart.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Final

from tests.faults.fault_cancel import SITUATIONS, cancel_at_each_await
from tests.faults.fault_cases import (
    LATE,
    ODD_ANSWERS,
    READS,
    SENDS,
    VERBS,
    OnUnknown,
    Summary,
    Verb,
    cases,
    odd_answers,
    try_cases,
)
from tests.faults.fault_naive import SendAgain, ZeepAgain, try_naively
from tests.faults.fault_network import Kind
from tests.faults.fault_setup import try_setups
from tests.faults.fault_sockets import TRANSPORTS, try_over_sockets

MAYBE_LATE: Final = (None, 0.0, LATE / 2, LATE - 0.1)
LASTING: Final = 8
WORDS: Final = ("accepted", "right", "NOT_SENT", "REJECTED", "UNKNOWN")
NETWORKS: Final = {0.0: "one fault, or late", 20.0: "20 s", math.inf: "no end"}


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        table: The heading above it.
        name: The call, the mode and the network.
        work: Runs the cases.
        is_ours: Whether it is this client, which must never be wrong.
    """

    table: str
    name: tuple[str, str, str]
    work: Callable[[], Summary]
    is_ours: bool = True


def in_process(verb: Verb, on_unknown: OnUnknown, lasts: float, late: tuple[float | None, ...], step: int) -> Summary:
    """Try a verb in process."""
    return try_cases(cases(verb, on_unknown, step=step, late=late, lasts=lasts))


def cancelled(verb: Verb) -> Summary:
    """Cancel a send in each situation at each of its awaits."""
    summary = Summary()
    for situation in SITUATIONS:
        summary.add(cancel_at_each_await(verb, situation))
    return summary


def over_sockets(verb: Verb, index: int, step: int) -> Summary:
    """Try a verb over real sockets."""
    return try_over_sockets(cases(verb, step=step, late=(None, 0.05)), TRANSPORTS[index])


def odd(verb: Verb, kind: Kind, index: int | None, step: int) -> Summary:
    """Try odd answers to a verb, in process or over real sockets."""
    some = odd_answers(verb, kind, step=step)
    return try_cases(some) if index is None else try_over_sockets(some, TRANSPORTS[index])


def again(kind: type[SendAgain | ZeepAgain], pause: float, step: int) -> Summary:
    """Try a client that sends again."""
    return try_naively(lambda http: kind(http, pause), cases("send", step=step))


def rows(step: int, socket_step: int) -> Iterator[Row]:
    """Yield all rows."""
    table = "in process"
    for verb in VERBS:
        yield Row(table, (verb, "reconcile", "one fault"), partial(in_process, verb, "reconcile", 0.0, (None,), step))
    modes: tuple[OnUnknown, ...] = ("reconcile", "raise", "resend")
    for verb, on_unknown, lasts in product(SENDS, modes, NETWORKS):
        pace = step * (1 if verb == "send" else 4) * (LASTING if lasts else 1)
        work = partial(in_process, verb, on_unknown, lasts, MAYBE_LATE, pace)
        yield Row(table, (verb, on_unknown, NETWORKS[lasts]), work)
    for verb, lasts in product(READS, (20.0, math.inf)):
        work = partial(in_process, verb, "reconcile", lasts, (None, 1.0), LASTING * step)
        yield Row(table, (verb, "", NETWORKS[lasts]), work)
    for verb in SENDS:
        yield Row("cancelled at each await", (verb, "", f"{len(SITUATIONS)} situations"), partial(cancelled, verb))
    for (index, transport), verb in product(enumerate(TRANSPORTS), VERBS):
        name = (verb, "reconcile", transport or "default transport")
        yield Row("over real sockets", name, partial(over_sockets, verb, index, socket_step))
    routes = [(None, "in process", step), *((i, each or "httpx", socket_step) for i, each in enumerate(TRANSPORTS))]
    for (words, kind), verb, (index, route, pace) in product(ODD_ANSWERS.items(), VERBS, routes):
        if kind is not Kind.FOREIGN or verb in SENDS:
            yield Row(words, (verb, "reconcile", route), partial(odd, verb, kind, index, pace))
    for transport in TRANSPORTS:
        name = ("set-up errors", "", transport or "default transport")
        yield Row("before anything is sent", name, partial(try_setups, transport))
    kinds: dict[str, type[SendAgain | ZeepAgain]] = {"httpx": SendAgain, "zeep": ZeepAgain}
    for kind, pause in product(kinds, (1.0, 180.0)):
        name = (kind, f"after {pause:.0f} s", "one fault")
        yield Row("clients that send again", name, partial(again, kinds[kind], pause, step), is_ours=False)


def line(name: tuple[str, str, str], summary: Summary) -> str:
    """Return a row of the table."""
    said = [summary.said["accepted"] + summary.said["right"], summary.said["NOT_SENT"] + summary.said["failed"]]
    said += [summary.said["REJECTED"], summary.said["UNKNOWN"] + summary.said["cancelled, unresolved"]]
    numbers = "".join(f"{number:>10}" for number in (summary.cases, *said, summary.doubled, len(summary.wrong)))
    return f"{name[0]:14}{name[1]:13}{name[2]:20}{numbers}"


def main() -> None:
    """Run all rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=1, help="bytes between two offsets, in process")
    parser.add_argument("--socket-step", type=int, default=16, help="bytes between two offsets, over sockets")
    parser.add_argument("--processes", type=int, default=None, help="number of processes, by default that of the cores")
    options = parser.parse_args()
    started, table, ours = time.perf_counter(), "", Summary()
    with ProcessPoolExecutor(options.processes) as pool:
        running = [(row, pool.submit(row.work)) for row in rows(options.step, options.socket_step)]
        for row, future in running:
            if row.table != table:
                table = row.table
                print(f"\n{table:47}     cases  accepted  not sent   refused   unknown   doubled     wrong")
            summary = future.result()
            print(line(row.name, summary), flush=True)
            if row.is_ours:
                ours.add(summary)
                print(*(f"    {words}" for words in summary.wrong), sep="\n", end="")
    took = time.perf_counter() - started
    print(f"\nthis client: {ours.cases} cases, {ours.doubled} doubled, {len(ours.wrong)} wrong; {took:.0f} s")
    sys.exit(bool(ours.wrong))


if __name__ == "__main__":
    main()
