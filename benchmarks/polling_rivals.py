"""How soon final statuses are discovered, and with how many requests: the plan and simpler policies in virtual time.

    python -m benchmarks.polling_rivals [--quick] [--no-timestamps] [--delay-per-request 10]

All messages are sent at once. Four requests are in flight, each answered after 60 ms with the status of the message
after 30 ms: 66.7 requests per second. Every policy is limited to 5 requests per message in 61.2 s. The service returns
the time of the final status in whole seconds (with `--no-timestamps`, not at all), and only the plan uses it.

  plan, cold    smsc_async starting from its prior, as in the first watch of a program
  plan, warm    with the curve learnt from the same number of messages before
  fixed 10 s    requests each message every 10 s, the longest due first; 30 s and 60 s likewise
  fixed, equal  with the interval that has the mean delay of the warm plan
  back-off      after 5 s, then after twice as long each time, at most 10 minutes
  oracle        knows the curve: optimal ages of requests by dynamic programming on a fine grid, among those due the
                likeliest final first; its `delay_per_request` is tuned to as many requests as the warm plan makes
  clairvoyant   knows when each message becomes final: within the capacity nothing can be better

"unfair" is 1 - Jain's index of the delays (0: all equal); "longest" is the longest time, in seconds, between two
requests for one message. Below each table, both plans are compared with the oracle at equal requests and with fixed
intervals at equal mean delay (both within 2 %): the goals are 1.25, and 0.33 for the two-humped curve or 1.05 for the
others. "-" means that no equal run was found.
"""

import argparse
import bisect
import copy
import heapq
import math
import random
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Final, Literal, Protocol

from smsc_async._watching.curve import Curve
from smsc_async._watching.plan import Plan

SEED: Final = 20_261_124
IN_FLIGHT: Final = 4
ANSWER: Final = 0.06
LIMIT: Final = (5, 61.2)
CAPACITY: Final = IN_FLIGHT / ANSWER
Delays = Callable[[random.Random], float]


# --- curves ---


def fast(chance: random.Random) -> float:
    """Half within 4 s, 99 % within 26 s."""
    return chance.lognormvariate(math.log(4), 0.8)


def slow(chance: random.Random) -> float:
    """Half within 10 minutes, 99 % within 2 hours."""
    return chance.lognormvariate(math.log(600), 1.0)


def two_humped(chance: random.Random) -> float:
    """90 % within 10 s, the rest in about 2 hours (1 % of them within half an hour, 99 % within 8 hours)."""
    if chance.random() < 0.9:
        return min(chance.lognormvariate(math.log(4), 0.4), 10.0)
    return chance.lognormvariate(math.log(7200), 0.6)


def outage(chance: random.Random) -> float:
    """30 % belong to an operator that is out for half an hour and then delivers everything within 30 s."""
    delay = fast(chance)
    return delay + 1800 + chance.uniform(0, 30) if chance.random() < 0.3 else delay


CURVES: Final[dict[str, Delays]] = {"fast": fast, "slow": slow, "two-humped": two_humped, "outage": outage}


# --- policies ---


class Policy(Protocol):
    """Chooses the next message to request."""

    def add(self, key: int, now: float) -> None:
        """Follow a message sent now."""

    def pick(self, now: float) -> int | None:
        """Return the message to ask now."""

    def next_at(self, now: float) -> float:
        """Return when to try again if there was none."""

    def answered(self, key: int, now: float, *, final: bool, final_at: float | None = None) -> None:
        """Take the answer."""


class ByAge:
    """Requests each message at ages computed from the age of its last request; the longest due first."""

    def __init__(self, next_age: Callable[[float], float]) -> None:
        self.next_age = next_age
        self.due: list[tuple[float, int]] = []
        self.sent: dict[int, float] = {}
        self.asked: dict[int, list[float]] = {}

    def add(self, key: int, now: float) -> None:
        """Follow a message sent now."""
        self.sent[key] = now
        self.queue(key, now + self.next_age(0.0), 0)

    def pick(self, now: float) -> int | None:
        """Return the message that is due the longest."""
        return heapq.heappop(self.due)[1] if self.due and self.due[0][0] <= now else None

    def next_at(self, now: float) -> float:
        """Return when the next message is due."""
        return max(now, self.due[0][0]) if self.due else math.inf

    def answered(self, key: int, now: float, *, final: bool, final_at: float | None = None) -> None:  # noqa: ARG002 - the plan's
        """Put a pending message back, as soon as its limit allows."""
        if final:
            self.asked.pop(key, None)
            return
        asked = self.asked.setdefault(key, [])
        asked.append(now)
        del asked[: -LIMIT[0]]
        due = self.sent[key] + self.next_age(now - self.sent[key])
        allowed = asked[0] + LIMIT[1] if len(asked) == LIMIT[0] else now
        self.queue(key, max(due, allowed), round(16 * math.log2(1 + now - self.sent[key])))

    def queue(self, key: int, due: float, stage: int) -> None:  # noqa: ARG002 - the oracle's
        """Let a message wait until it is due; `stage` grows with the age at which it was last asked."""
        heapq.heappush(self.due, (due, key))


def fixed(interval: float) -> ByAge:
    """Return the policy that requests each message every `interval` seconds."""
    return ByAge(lambda age: age + interval)


def back_off() -> ByAge:
    """Return the policy that requests after 5, 10, 20 s and so on."""
    return ByAge(lambda age: age + min(max(5.0, age + 5.0), 600.0))


class Truth:
    """The true curve, which the oracle knows, on a grid of ages that grow by 2 %."""

    def __init__(self, delays: Delays) -> None:
        chance = random.Random(SEED + 1)
        self.samples = sorted(delays(chance) for _ in range(200_000))
        self.ages = [0.0]
        while self.ages[-1] < self.samples[-1]:
            self.ages.append(max(self.ages[-1] + 0.1, min(self.ages[-1] * 1.02, self.ages[-1] + 300)))
        self.alive = [self.pending(age) for age in self.ages]
        self.alive[-1] = 0.0

    def pending(self, age: float) -> float:
        """Return the share of messages pending at this age."""
        return 1 - bisect.bisect_right(self.samples, age) / len(self.samples)

    def optimal(self, delay_per_request: float) -> list[float]:
        """Return, for each age of the grid, the best next age: dynamic programming over the last request backwards."""
        ages, alive, top = self.ages, self.alive, len(self.ages) - 1
        cost, best = [0.0] * (top + 1), [ages[top] + 300] * (top + 1)
        furthest = top
        for start in range(top - 1, -1, -1):
            share, shift = alive[start], delay_per_request - ages[start]
            value, end = min((share * (ages[end] + shift) + cost[end], end) for end in range(start + 1, furthest + 1))
            cost[start], best[start], furthest = value, ages[end], end
        return best


class Oracle(ByAge):
    """Asks at optimal ages; among those due, first those most likely to be final."""

    def __init__(self, truth: Truth, delay_per_request: float) -> None:
        self.truth, self.best = truth, truth.optimal(delay_per_request)
        self.stages: dict[int, list[tuple[float, int]]] = {}
        self.last: dict[int, float] = {}
        self.stage, self.until, self.wake = 0, -math.inf, math.inf
        super().__init__(self.optimal)

    def optimal(self, age: float) -> float:
        """Return the best next age."""
        ages = self.truth.ages
        if age >= ages[-1]:
            return age + 300
        position = min(bisect.bisect_right(ages, age), len(ages) - 1)
        low, high, part = self.best[position - 1], self.best[position], (age - ages[position - 1])
        step = ages[position] - ages[position - 1]
        return max(age + 0.1, low + (high - low) * min(1.0, part / step))

    def queue(self, key: int, due: float, stage: int) -> None:
        """Let a message wait with those asked at about the same age."""
        heapq.heappush(self.stages.setdefault(stage, []), (due, key))
        self.wake = min(self.wake, due)

    def pick(self, now: float) -> int | None:
        """Return a message of the stage whose first is the likeliest to be final."""
        if now < self.wake:
            return None
        stage = self.stages.get(self.stage)
        if now >= self.until or not stage or stage[0][0] > now:
            chosen = max((self.chance(s, waiting, now), s) for s, waiting in self.stages.items())
            if chosen[0] < 0:
                self.wake = min(waiting[0][0] for waiting in self.stages.values())
                return None
            self.stage, self.until = chosen[1], now + 0.5
            stage = self.stages[self.stage]
        key = heapq.heappop(stage)[1]
        if not stage:
            del self.stages[self.stage]
        if not self.stages:
            self.wake = math.inf
        return key

    def chance(self, stage: int, waiting: list[tuple[float, int]], now: float) -> float:
        """Return how likely the first message of a stage is final; -1 if it is not due."""
        if waiting[0][0] > now:
            return -1.0
        known = self.truth.pending(2 ** (stage / 16) - 1)
        return max(0.0, 1 - self.truth.pending(now - self.sent[waiting[0][1]]) / known) if known else 1.0

    def next_at(self, now: float) -> float:
        """Return when the next message is due."""
        return max(now, self.wake)


# --- the simulation ---


@dataclass(frozen=True)
class Outcome:
    """The figures of a policy."""

    requests: float
    mean: float
    p95: float
    unfair: float
    longest: float
    seconds: float


def run(policy: Policy, finals: list[float], *, timestamps: bool = True) -> Outcome:
    """Follow messages sent at 0 until all are found final."""
    started = time.perf_counter()
    for key in range(len(finals)):
        policy.add(key, 0.0)
    asked = [0.0] * len(finals)
    delays: list[float] = []
    flights: list[tuple[float, int]] = []
    now, requests, longest = 0.0, 0, 0.0
    while len(delays) < len(finals):
        while len(flights) < IN_FLIGHT and (chosen := policy.pick(now)) is not None:
            heapq.heappush(flights, (now + ANSWER, chosen))
            requests += 1
            longest = max(longest, now - asked[chosen])
            asked[chosen] = now
        at = policy.next_at(now) if len(flights) < IN_FLIGHT else math.inf
        if not flights or at < flights[0][0]:
            if not now <= at < math.inf:
                raise AssertionError(f"stuck at {now}, {len(finals) - len(delays)} left")
            now = max(at, now + 1e-6)
            continue
        now, key = heapq.heappop(flights)
        final = finals[key] <= now - ANSWER / 2
        if final:
            delays.append(now - finals[key])
        final_at = float(math.floor(finals[key])) if timestamps and final else None
        policy.answered(key, now, final=final, final_at=final_at)
    return summary(delays, requests, longest, time.perf_counter() - started)


def summary(delays: list[float], requests: int, longest: float, seconds: float) -> Outcome:
    """Return the figures of a run."""
    delays.sort()
    total = math.fsum(delays)
    jain = total**2 / (len(delays) * math.fsum(delay**2 for delay in delays))
    count = len(delays)
    return Outcome(requests / count, total / count, delays[int(0.95 * count)], 1 - jain, longest, seconds)


def clairvoyant(finals: list[float]) -> Outcome:
    """Return the best outcome of one request per message: made when final, as fast as the capacity allows."""
    delays, found = [], -math.inf
    for final_at in sorted(finals):
        found = max(final_at + ANSWER / 2, found + 1 / CAPACITY)
        delays.append(found + ANSWER / 2 - final_at)
    return summary(delays, len(finals), math.nan, 0.0)


# --- the tables ---


Batches = list[list[float]]


def batches(curve: str, size: int, rounds: int, *, first: int = 0) -> Batches:
    """Return the times at which messages become final, in `rounds` lists."""
    chances = [random.Random(f"{SEED} {curve} {number}") for number in range(first, first + rounds)]
    return [[CURVES[curve](chance) for _ in range(size)] for chance in chances]


def mean(make: Callable[[], Policy], rounds: Batches, *, timestamps: bool = True) -> Outcome:
    """Return the mean outcome of a policy."""
    return average([run(make(), finals, timestamps=timestamps) for finals in rounds])


def average(outcomes: list[Outcome]) -> Outcome:
    """Return the mean of each figure."""
    columns = zip(*(astuple(outcome) for outcome in outcomes), strict=True)
    return Outcome(*(math.fsum(column) / len(outcomes) for column in columns))


def equal(make: Callable[[float], Policy], rounds: Batches, figure: str, aim: float, steps: int) -> Outcome | None:
    """Return the outcome of the policy whose argument brings `figure` to `aim`, within 2 %; None if none does."""
    low, high = -6.0, 14.0
    best: Outcome | None = None
    for _ in range(steps):
        middle = (low + high) / 2
        outcome = mean(lambda: make(2.0**middle), rounds)  # noqa: B023 - called at once
        value = getattr(outcome, figure)
        if best is None or abs(value - aim) < abs(getattr(best, figure) - aim):
            best = outcome
        if (value < aim) == (figure == "mean"):
            low = middle
        else:
            high = middle
    return best if best and abs(getattr(best, figure) / aim - 1) < 0.02 else None


def show(name: str, outcome: Outcome | None) -> None:
    """Print a row."""
    if outcome is None:
        print(f"  {name:14}{'-':>10}")
        return
    print(
        f"  {name:14}{outcome.requests:10.2f}{outcome.mean:10.1f}{outcome.p95:10.1f}"
        f"{outcome.unfair:9.2f}{outcome.longest:9.0f}",
        flush=True,
    )


def table(curve: str, size: int, options: argparse.Namespace) -> None:
    """Print the figures of all policies for one curve."""
    rounds = batches(curve, size, max(1, min(5, 5000 // size)))
    steps, truth, stamps = (11 if size < 5000 else 10), Truth(CURVES[curve]), options.timestamps
    print(f"\n{curve}, {size:,} messages: {CURVES[curve].__doc__}")
    print(f"  {'':14}{'requests':>10}{'mean, s':>10}{'p95, s':>10}{'unfair':>9}{'longest':>9}")
    before = plan(options.delay_per_request)
    run(before, batches(curve, size, 1, first=100)[0], timestamps=stamps)
    cold = mean(lambda: plan(options.delay_per_request), rounds, timestamps=stamps)
    warm = mean(lambda: plan(options.delay_per_request, copy.deepcopy(before.curve)), rounds, timestamps=stamps)
    show("plan, cold", cold)
    show("plan, warm", warm)
    for interval in (10, 30, 60):
        show(f"fixed {interval} s", mean(lambda: fixed(interval), rounds))  # noqa: B023 - called at once
    at_equal = {outcome: equal(fixed, rounds, "mean", outcome.mean, steps) for outcome in (cold, warm)}
    show("fixed, equal", at_equal[warm])
    show("back-off", mean(back_off, rounds))
    best = {
        outcome: equal(
            lambda delay_per_request: Oracle(truth, delay_per_request), rounds, "requests", outcome.requests, steps
        )
        for outcome in (cold, warm)
    }
    show("oracle", best[warm])
    show("clairvoyant", average([clairvoyant(finals) for finals in rounds]))
    for name, outcome in (("cold", cold), ("warm", warm)):
        oracle, other = best[outcome], at_equal[outcome]
        delay = f"{outcome.mean / oracle.mean:.2f}" if oracle else "-"
        asked = f"{outcome.requests / other.requests:.2f}" if other else "-"
        print(f"  {name}: {delay} x the oracle's mean delay, {asked} x the requests of a fixed interval")


def plan(delay_per_request: float | Literal["auto"] = "auto", curve: Curve | None = None) -> Plan:
    """Return a plan with the capacity set."""
    made = Plan(delay_per_request=delay_per_request, interval_limit=LIMIT, curve=curve)
    made.capacity(CAPACITY)
    return made


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 messages only")
    parser.add_argument("--no-timestamps", dest="timestamps", action="store_false")
    parser.add_argument(
        "--delay-per-request", type=lambda text: text if text == "auto" else float(text), default="auto"
    )
    options = parser.parse_args()
    for size in (1000,) if options.quick else (1000, 100_000):
        for curve in CURVES:
            table(curve, size, options)


if __name__ == "__main__":
    main()
