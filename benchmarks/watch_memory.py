"""How much memory a whole watch takes for each message, and how much the process takes.

    python -m benchmarks.watch_memory [--messages 1000000]

A real `Watcher` watches `--messages` messages from a generator. The service is a function that answers "handed to the
operator" after 60 ms of virtual time, so only the watch takes memory. The messages are a month old, so that each is
worth a request at once. Memory is measured after all messages are added, and after one pending answer for each.
Resident memory is the figure of the operating system; traced memory is from a second, slower run.
"""

import argparse
import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import trio
from trio.testing import MockClock

from smsc_async import DeliveryReport, MessageRef, MessageStatus, Unfinished
from smsc_async._clock import RealClock
from smsc_async._model.operations import GetStatus
from smsc_async._watching.plan import Plan
from smsc_async._watching.watcher import Watcher


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmRSS")


def references(count: int) -> Iterator[Unfinished]:
    """Yield month-old messages with references as long as real ones."""
    since = datetime.now(UTC) - timedelta(days=30)
    for number in range(count):
        ref = MessageRef.model_construct(phone=f"+7916{number:07}", id=str(1_234_567_890 + number))
        yield Unfinished.model_construct(ref=ref, status=None, since=since)


async def pending(operation: GetStatus, /) -> DeliveryReport:
    """Answer that the message is still pending."""
    await anyio.sleep(0.06)
    return DeliveryReport.model_construct(ref=operation.ref, status=MessageStatus.SENT)


def show(name: str, count: int, before: int, started: float) -> None:
    """Print the memory and CPU time per message."""
    gc.collect()
    took = time.process_time() - started
    if tracemalloc.is_tracing():
        print(f"  {name:14}{tracemalloc.get_traced_memory()[0] / count:7.0f} traced bytes a message", flush=True)
        return
    now = resident()
    print(
        f"  {name:14}{(now - before) / count:7.0f} resident bytes a message, {now / 1e6:5.0f} MB the whole process, "
        f"{took / count * 1e6:5.1f} us of CPU a message",
        flush=True,
    )


async def measure(count: int) -> None:
    """Add all messages, and take one update of each."""
    gc.collect()
    before, started = resident(), time.process_time()
    plan = Plan(interval_limit=(5, 61.2))
    watcher = Watcher(
        pending,
        references(count),
        workers=4,
        plan=plan,
        lost_lasts=6.2,
        timeout=1e7,
        grace=30.0,
        clock=RealClock(),
        entered=set(),
        delivered=print,
    )
    async with watcher as updates:
        while updates.total < count:
            await anyio.lowlevel.checkpoint()
        show("entered", count, before, started)
        started = time.process_time()
        for _ in range(count):
            await anext(updates)
        show("asked once", count, before, started)


def main() -> None:
    """Measure resident memory, then traced memory in a second process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.traced:
        tracemalloc.start()
        trio.run(measure, options.messages, clock=MockClock(autojump_threshold=0))
        return
    print(f"{options.messages:,} messages")
    trio.run(measure, options.messages, clock=MockClock(autojump_threshold=0))
    again = [sys.executable, __file__, "--traced", "--messages", str(options.messages)]
    subprocess.run(again, check=True)  # noqa: S603 - this program


if __name__ == "__main__":
    main()
