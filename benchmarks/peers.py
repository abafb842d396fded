"""The cost of one call, beside other SOAP clients and bare HTTP.

    pip install '.[aiohttp]' 'zeep[async]' suds-community uvloop   # and Debian's php-cli and php-soap
    python -m benchmarks.peers                              # about 15 minutes; --quick takes 2 and is less exact

One server on loopback, on a core of its own, answers `get_status` at once with the same bytes. Each client runs on the
other core in a process of its own: it warms up for 7 seconds (httpx is slower until its `keepalive_expiry` has dropped
idle connections), then it is counted. The rounds are interleaved; the table shows medians. Clients build, post, parse
and validate; `raw` ones post ready bytes and read the answer, and `bare Protocol` is as little as asyncio can do.

The second table is our own work without a network, and the costs that a program has once.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
BASIS: Final = "zeep AsyncClient"
FLIGHTS: Final = (1, 14, 50)


class Peer(NamedTuple):
    """A client that is measured.

    Attributes:
        module: The module that it needs, None for none.
        install: The command that installs it.
        flights: The numbers of requests in flight.
    """

    module: str | None
    install: str
    flights: tuple[int, ...] = FLIGHTS


PEERS: Final = {
    "smsc_async": Peer(None, ""),
    "smsc_async, aiohttp": Peer("aiohttp", "pip install 'smsc-async[aiohttp]'"),
    "smsc_async, uvloop": Peer("uvloop", "pip install uvloop"),
    "smsc_async, aiohttp, uvloop": Peer("uvloop", "pip install uvloop"),
    BASIS: Peer("zeep", "pip install 'zeep[async]'"),
    "zeep": Peer("zeep", "pip install zeep", (1,)),
    "suds": Peer("suds", "pip install suds-community", (1,)),
    "PHP SoapClient": Peer(None, "apt-get install php-cli php-soap", (1,)),
    "raw httpx": Peer("httpx", "pip install httpx"),
    "raw aiohttp": Peer("aiohttp", "pip install aiohttp"),
    "bare Protocol": Peer(None, ""),
}


class Sample(NamedTuple):
    """One measurement: microseconds of CPU a call, calls a second, and the peak of the memory in megabytes."""

    cpu: float
    rate: float
    memory: float


def cores() -> tuple[int, int]:
    """Return the core of the server and that of the clients."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[-1], mine[0]


def is_here(name: str) -> bool:
    """Return whether the software of a peer is installed."""
    if name == "PHP SoapClient":
        try:
            modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout  # noqa: S607
        except (OSError, subprocess.CalledProcessError):
            return False
        return "soap" in modules.lower().split()
    module = PEERS[name].module
    return module is None or find_spec(module) is not None


def ran(module: str, *arguments: object, core: int) -> str:
    """Run one of our programs on a core and return what it prints."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ).stdout


def measured(rounds: int, warm: float, seconds: float) -> dict[tuple[str, int], Sample]:
    """Return the median of each peer at each number in flight."""
    server_core, core = cores()
    samples: defaultdict[tuple[str, int], list[Sample]] = defaultdict(list)
    here = [name for name in PEERS if is_here(name)]
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "benchmarks.peers_server", str(server_core)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101
        url = server.stdout.readline().strip()
        try:
            for number in range(1, rounds + 1):
                for name in here:
                    for flight in PEERS[name].flights:
                        print(f"round {number} of {rounds}: {name}, {flight} in flight", file=sys.stderr)
                        said = ran("peers_clients", name, flight, url, warm, seconds, core=core)
                        samples[name, flight].append(Sample(**json.loads(said)))
        finally:
            server.terminate()
    return {key: Sample(*map(statistics.median, zip(*each, strict=True))) for key, each in samples.items()}


def print_peers(table: dict[tuple[str, int], Sample]) -> None:
    """Print the table of the peers, and the ratios to the basis."""
    print(f"\nbeside {BASIS} at the same number in flight: times its calls a second, and its CPU over this CPU\n")
    print("| client | in flight | CPU us a call | calls a second | calls, times | CPU, times | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for (name, flight), sample in table.items():
        basis = table.get((BASIS, flight))
        ratio = " | " if basis is None else f"{sample.rate / basis.rate:.1f} | {basis.cpu / sample.cpu:.1f}"
        print(f"| {name} | {flight} | {sample.cpu:.0f} | {sample.rate:.0f} | {ratio} | {sample.memory:.0f} |")
    for name, peer in PEERS.items():
        if not is_here(name):
            print(f"| {name} | | missing: {peer.install} | | | | |")
    ours, raw = table.get(("smsc_async, aiohttp", 50)), table.get(("raw aiohttp", 50))
    if ours and raw:
        print(f"\naiohttp transport beside raw aiohttp at 50 in flight: {ours.cpu / raw.cpu:.2f} times its CPU")
    default = [table["smsc_async", flight].cpu for flight in FLIGHTS]
    print(
        f"the default at 1, 14 and 50 in flight: the highest CPU is {max(default) / min(default):.2f} times the lowest"
    )


def print_own(rounds: int) -> None:
    """Print our own work and the costs that a program has once."""
    runs = [json.loads(ran("peers_clients", "own", core=cores()[1])) for _ in range(rounds)]
    print("\n| our own work | |\n|---|---|")
    for what in runs[0]:
        print(f"| {what} | {statistics.median(run[what] for run in runs):.1f} |")


def main() -> None:
    """Measure all peers and our own work, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds, warm, seconds = (1, 1.0, 1.0) if options.quick else (options.rounds, 7.0, 3.0)
    print_peers(measured(rounds, warm, seconds))
    print_own(3 * rounds)


if __name__ == "__main__":
    main()
