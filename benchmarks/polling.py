"""How soon a watch discovers final statuses, and with how many requests, beside the goals; in virtual time.

    python -m benchmarks.polling [--quick]
    python -m benchmarks.polling --picture docs/explanation/polling.svg

All messages are sent at once. Four requests are in flight, each answered after 60 ms with the status of the message
after 30 ms: 66.7 requests per second. The limit is 5 requests per message in 61.2 s; a young message leaves one of
them to others. The answers have no timestamps. The seeds are fixed. A figure is the mean delay in seconds between the
final status and its discovery @ the requests for a message.

  cold       smsc_async starting from its prior, as in the first watch of a program
  warm       with the curve learnt from the same number of messages before (from 100, if there are fewer)
  disturbed  2 % of the requests are not sent, 2 % are lost and arrive up to 5 s later, 2 % fail; each message changes
             its status up to twice before it is final; 5 % are removed; 10 % are hinted when they become final and 5 %
             before; another program requests each of the others once within its first minute
  error 9    requests of the watch beyond 5 a message in any 60 s, counted at the service, with all other requests
"""

import argparse
import copy
import gc
import math
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.polling_disturbed import Disturbed
from benchmarks.polling_picture import draw
from benchmarks.polling_rivals import CAPACITY, CURVES, SEED, Outcome, average, batches, plan, run
from smsc_async._watching.curve import Curve

TRAINED: Final = 100
WITHIN: Final = 1.005  # a figure is rounded


@dataclass(frozen=True)
class Goal:
    """A mean delay and a number of requests that are not exceeded."""

    curve: str
    size: int
    warm: bool
    delay: float
    requests: float


GOALS: Final = [
    *(Goal("fast", size, warm, 2.9, 2.4) for size in (1, 10, 100) for warm in (False, True)),
    *(Goal("fast", 1_000, warm, 7.6, 1.25) for warm in (False, True)),
    Goal("fast", 10_000, warm=False, delay=76.0, requests=1.03),
    *(Goal("slow", size, warm=False, delay=55.0, requests=17.0) for size in (1, 10, 100)),
    Goal("slow", 100, warm=True, delay=39.0, requests=14.0),
    Goal("slow", 1_000, warm=False, delay=39.0, requests=14.0),
    Goal("two-humped", 100, warm=True, delay=14.0, requests=5.6),
    Goal("two-humped", 100, warm=False, delay=16.0, requests=7.5),
    Goal("two-humped", 1_000, warm=False, delay=21.0, requests=6.6),
    Goal("outage", 100, warm=False, delay=11.0, requests=7.8),
    Goal("outage", 1_000, warm=False, delay=13.0, requests=5.1),
]
# At most 1 % more delay and 4 % more requests than the plan that came before.
LARGE_GOALS: Final = [
    Goal(curve, 100_000, warm=False, delay=1.01 * delay, requests=1.04 * requests)
    for curve, delay, requests in (
        ("fast", 751.0, 1.0),
        ("slow", 626.4, 2.39),
        ("two-humped", 699.5, 2.87),
        ("outage", 596.5, 1.48),
    )
]


def learnt(curve: str, size: int, number: int) -> Curve:
    """Return the curve that a watch of other messages has learnt."""
    before = plan()
    run(before, batches(curve, max(size, TRAINED), 1, first=1_000 + number)[0], timestamps=False)
    return before.curve


def reached(goal: Goal, messages: int) -> Outcome:
    """Return the mean outcome of several watches; each second warm one learns from other messages than the first."""
    outcomes: list[Outcome] = []
    curve: Curve | None = None
    for number, finals in enumerate(batches(goal.curve, goal.size, max(1, messages // goal.size))):
        if number % (2 if goal.size >= TRAINED else 100) == 0:
            curve = learnt(goal.curve, goal.size, number) if goal.warm else None  # a watch changes its copy only
        outcomes.append(run(plan("auto", copy.deepcopy(curve)), finals, timestamps=False))
    return average(outcomes)


def show_goals(goals: list[Goal], messages: int) -> None:
    """Print a row for each goal."""
    print(f"\n{'':29}{'reached':>15}{'goal':>17}")
    for goal in goals:
        outcome = reached(goal, messages)
        misses = [
            f"{name} +{value / most - 1:.0%}"
            for name, value, most in (
                ("delay", outcome.mean, goal.delay),
                ("requests", outcome.requests, goal.requests),
            )
            if value > most * WITHIN
        ]
        name = f"{goal.curve}, {goal.size:,}, {'warm' if goal.warm else 'cold'}"
        figures = f"{outcome.mean:.3g} @ {outcome.requests:.2f}", f"{goal.delay:.3g} @ {goal.requests:.2f}"
        print(f"  {name:27}{figures[0]:>15}{figures[1]:>17}  {', '.join(misses) or 'reached'}", flush=True)


def show_disturbed(sizes: tuple[int, ...], messages: int) -> None:
    """Print a row for each curve and size."""
    print(f"\n{'disturbed, cold':29}{'reached':>15}{'error 9':>17}")
    for curve in CURVES:
        for size in sizes:
            rounds = batches(curve, size, max(1, messages // size))
            watches = [Disturbed(finals, f"{SEED} {curve} {number}") for number, finals in enumerate(rounds)]
            delays = [delay for watch in watches for delay in watch.run()]
            requests = sum(watch.requests for watch in watches) / len(rounds) / size
            reached = f"{math.fsum(delays) / len(delays):.3g} @ {requests:.2f}"
            print(f"  {f'{curve}, {size:,}':27}{reached:>15}{sum(map(Disturbed.too_often, watches)):>17}", flush=True)


# --- memory and speed ---


def memory(size: int, *, asked: bool) -> float:
    """Return the bytes per message, with its key; `asked` once and found pending, or never."""
    gc.collect()
    tracemalloc.start()
    followed = plan()
    for key in range(1000, size + 1000):
        followed.add(key, key / 1e6)
    for number in range(size if asked else 0):
        chosen = followed.pick(1e6 + number / CAPACITY)
        if chosen is None:
            raise AssertionError("a message sent days ago is not worth a request")
        followed.answered(chosen, 1e6 + (number + 1) / CAPACITY, final=False)
    used = tracemalloc.get_traced_memory()[0] / size
    tracemalloc.stop()
    return used


def speed(finals: list[float]) -> tuple[float, float, float]:
    """Return additions, picks and answers per second, timed in groups of 64 until all messages are final."""
    clock, size, followed = time.process_time, len(finals), plan()
    started = clock()
    for key in range(size):
        followed.add(key, 0.0)
    adding = clock() - started
    picking = answering = now = 0.0
    picks = 0
    while len(followed):
        keys: list[int] = []
        started = clock()
        while len(keys) < 64 and (chosen := followed.pick(now)) is not None:
            keys.append(chosen)
            now += 1 / CAPACITY
        between = clock()
        for key in keys:
            final = finals[key] <= now
            followed.answered(key, now, final=final, final_at=finals[key] if final else None)
        picking, answering = picking + between - started, answering + clock() - between
        picks += len(keys)
        now = now if keys else max(now + 0.01, followed.next_at(now))
    return size / adding, picks / picking, picks / answering


def show_cost(size: int) -> None:
    """Print the memory and the speed of the plan for `size` messages of the fast curve."""
    print(f"\nfast, {size:,} messages")
    for name, asked in (("never asked", False), ("once asked", True)):
        print(f"  {memory(size, asked=asked):9,.0f} bytes a message {name}, its key counted", flush=True)
    adds, picks, answers = speed(batches("fast", size, 1)[0])
    print(f"  {adds:9,.0f} add a second\n  {picks:9,.0f} pick a second\n  {answers:9,.0f} answered a second")
    print(f"  {1 / (1 / picks + 1 / answers):9,.0f} pick and answered a second")


def picture(path: Path) -> None:
    """Draw when a message that stays pending is requested, with curves learnt from 1,000 messages."""
    path.write_text(draw({name: learnt(name, 1_000, 0) for name in ("fast", "two-humped")}), encoding="utf-8")


def main() -> None:
    """Print the tables, or draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer messages, and none of 100,000 at once")
    parser.add_argument("--picture", type=Path, help="draw the picture of the documentation instead")
    options = parser.parse_args()
    if options.picture:
        picture(options.picture)
        return
    show_goals(GOALS, 1_000 if options.quick else 6_000)
    if not options.quick:
        show_goals(LARGE_GOALS, 1)
    show_disturbed((1, 100, 1_000), 100 if options.quick else 1_000)
    show_cost(50_000 if options.quick else 200_000)


if __name__ == "__main__":
    main()
