"""What a program pays once: the import, the first client and the first call, each in a fresh process.

    python -m benchmarks.cold --core
    pip install 'zeep[async]'          # to have it beside

Every client makes one call over loopback to the server of `benchmarks.peers`; `httpx` posts ready bytes. The commands
are `smsc-async --help` and Python without a program. Rounds are interleaved, and the modules are compiled before the
first. CPU is more exact than time on a machine that does other things too. httpx imports trio, click, rich and pygments
if they are there; `--core` hides them, as if only `pip install smsc-async` had been run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
BASIS: Final = "httpx"
STEPS: Final = ("import", "client", "call")
CLIENTS: Final = {
    "smsc_async": (
        "import smsc_async; smsc_async.Client",
        "client = smsc_async.Client(apikey='key', url=URL)",
        """
import asyncio
async def main():
    async with client:
        await client.status(smsc_async.MessageRef(phone='+79991234567', id='1'))
asyncio.run(main())
""",
    ),
    BASIS: (
        "import httpx",
        "client = httpx.AsyncClient()",
        """
import asyncio
async def main():
    async with client:
        await client.post(URL, content=b'<a/>')
asyncio.run(main())
""",
    ),
    "zeep": (
        "import zeep",
        "client = zeep.Client(URL + '?wsdl')",
        "client.service.get_status(login='login', psw='password', phone='+79991234567', id='1', all='0')",
    ),
}
COMMANDS: Final = {"python": ("-c", ""), "smsc-async --help": ("-m", "smsc_async", "--help")}
HIDDEN: Final = ("trio", "click", "rich", "pygments")
PROGRAM: Final = """
import sys, time
from resource import RUSAGE_SELF, getrusage
URL, hidden, steps = sys.argv[1], {hidden}, {steps}
sys.modules.update(dict.fromkeys(hidden))
def clocks():
    used = getrusage(RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime
taken = []
for step in steps:
    before = clocks()
    exec(step, globals())
    taken.append([after - start for start, after in zip(before, clocks())])
import json; print(json.dumps(taken))
"""


def run(arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[str, float, float]:
    """Return what a fresh process prints, and its seconds of time and of CPU."""
    start, before = os.times().elapsed, os.times()
    ran = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return ran.stdout, after.elapsed - start, cpu


def measured(url: str, rounds: int, hidden: tuple[str, ...]) -> dict[str, list[list[tuple[float, float]]]]:
    """Return for each client and command the samples of each step: milliseconds of time and of CPU."""
    samples: defaultdict[str, list[list[tuple[float, float]]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as compiled:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = compiled
        for number in range(rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for name, steps in CLIENTS.items():
                if find_spec(name) is None:
                    continue
                program = PROGRAM.format(hidden=hidden, steps=steps)
                steps_taken = json.loads(run(("-c", program, url), environment)[0])
                samples[name].append([(time * 1e3, cpu * 1e3) for time, cpu in steps_taken])
            for name, arguments in COMMANDS.items():
                _, time, cpu = run(arguments, environment)
                samples[name].append([(time * 1e3, cpu * 1e3)])
    return {name: each[1:] for name, each in samples.items()}  # the first round compiles


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", action="store_true", help=f"hide {', '.join(HIDDEN)} from the clients")
    options = parser.parse_args()
    core = str(max(os.sched_getaffinity(0)))
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "benchmarks.peers_server", core], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101
        try:
            url = server.stdout.readline().strip()
            table = measured(url, options.rounds, HIDDEN if options.core else ())
        finally:
            server.terminate()
    print("medians, and the least in brackets\n")
    print(f"| | {' | '.join(STEPS)} | together, ms | CPU, ms | CPU, times that of {BASIS} |")
    print("|---|---|---|---|---|---|---|")
    basis = statistics.median(sum(cpu for _, cpu in sample) for sample in table[BASIS])
    for name, samples in table.items():
        times = [[time for time, _ in sample] for sample in samples]
        totals, cpus = [sum(each) for each in times], [sum(cpu for _, cpu in sample) for sample in samples]
        steps = [f"{statistics.median(each):.0f}" for each in zip(*times, strict=True)] if name in CLIENTS else [""] * 3
        columns = [f"{statistics.median(each):.0f} ({min(each):.0f})" for each in (totals, cpus)]
        print(f"| {name} | {' | '.join([*steps, *columns])} | {statistics.median(cpus) / basis:.2f} |")


if __name__ == "__main__":
    main()
