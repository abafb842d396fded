"""The guards, and a limiter that counts starts, against a model of the service that counts arrivals.

    pip install '.[test]'
    python -m benchmarks.guards_proof --hours 100 --seed 1

Time is virtual: a hundred hours take some ten seconds. Two parts:
  worst   all operations, several clients, latencies from 0 to 30 s each way, lost answers, refused connections,
          cancellations, wrong passwords, bad numbers
  slow    reads by clients that wait without a deadline, 0 to 20 s on the way up and 0 to 8 s down, nothing lost
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random

from tests.guards.service_model import LIMITS
from tests.guards.traffic import RANGES, Limiter, Scenario, StartCounting, Traffic, guards, highest, traffic

READS = ("status", "balance", "cost", "reads")


def worst(seed: int) -> Iterator[Scenario]:
    """Yield scenarios of every kind."""
    for number in count(seed):
        chance = Random(number)
        yield Scenario(number, **{name: chance.choice(values) for name, values in RANGES.items()})


def slow(seed: int) -> Iterator[Scenario]:
    """Yield scenarios of reads over a slow network."""
    for number in count(seed):
        yield Scenario(number, "slow", READS[number % len(READS)], 6, acts=20, burst=6, pause=5.0, patient=True)


def run(
    scenarios: Iterator[Scenario], hours: float, limiters: Callable[[Scenario], Sequence[Limiter]]
) -> tuple[list[Traffic], str]:
    """Return the traffic of `hours` virtual hours, and the seeds of its scenarios."""
    found: list[Traffic] = []
    while sum(each.seconds for each in found) < hours * 3600:
        found.append(traffic(next(scenarios), limiters))
    return found, f"{found[0].scenario.seed}..{found[-1].scenario.seed}"


def show(name: str, found: Sequence[Traffic], seeds: str, took: float) -> None:
    """Print the counts of a run."""
    arrivals = sum(len(each.service.arrivals) for each in found)
    nines, fours = (sum(each.service.codes[code] for each in found) for code in (9, 4))
    calls, refused = sum(len(each.starts) for each in found), sum(each.refusals.total() for each in found)
    print(
        f"{name}: seeds {seeds}, {sum(each.seconds for each in found) / 3600:.1f} virtual hours in {took:.1f} s of CPU"
    )
    print(f"  requests {calls:,}, refused by the client {refused:,}, arrivals {arrivals:,}")
    print(f"  error 9: {nines:,} ({nines / arrivals:.1%} of arrivals), error 4: {fours:,}")
    for limit, most in highest(found).items():
        allowed = LIMITS[limit][0]
        print(f"    {limit:20} highest {most:3} of {allowed:3}{'   BROKEN' if most > allowed else ''}")


def main() -> None:
    """Run both parts and print the counts; exit with an error if the guards broke a limit."""
    parser = argparse.ArgumentParser(description="The guards against a model of the service.")
    parser.add_argument("--hours", type=float, default=100.0, help="virtual hours of each run")
    parser.add_argument("--seed", type=int, default=1, help="of the first scenario")
    options = parser.parse_args()
    runs: list[tuple[str, Callable[[int], Iterator[Scenario]], Callable[[Scenario], Sequence[Limiter]]]] = [
        ("worst, guards", worst, guards),
        ("slow, guards", slow, guards),
        ("slow, counting starts", slow, lambda _: [StartCounting()]),
    ]
    broken = False
    for name, scenarios, limiters in runs:
        start = time.process_time()
        found, seeds = run(scenarios(options.seed), options.hours, limiters)
        show(name, found, seeds, time.process_time() - start)
        broken |= limiters is guards and any(each.service.codes[4] + each.service.codes[9] for each in found)
        broken |= limiters is guards and any(each.service.broken for each in found)
    sys.exit("the guards broke a limit" if broken else 0)


if __name__ == "__main__":
    main()
