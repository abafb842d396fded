"""The messages a second of a campaign, beside other ways to send one.

    pip install '.[aiohttp]' 'zeep[async]' suds-community   # and Debian's php-cli and php-soap
    python -m benchmarks.campaign                           # about 6 minutes; --quick takes 2 and is less exact

One server on loopback, on a core of its own, answers each send 60 ms after it arrived; it counts the recipients that
got two messages, and returns error 9 if more than 14 requests are in flight. Each client runs on the other core in a
process of its own: it warms up, and then it sends for some seconds. The rounds are interleaved; the table shows
medians.

"of the bound": 88 messages in flight (the 99 of the rule `bad_sends` less those left to other calls) divided by the
seconds of an answer, and 490 with that rule off.
"""

import argparse
import json
import statistics
import subprocess
import sys
import urllib.request
from collections import defaultdict
from typing import Final, NamedTuple

from .peers import ROOT, cores, ran

LATENCY: Final = 0.06
BOUNDS: Final = {
    "smsc_async": 88,
    "smsc_async, httpx": 88,
    "smsc_async, workers=1": 49,
    "smsc_async, 2 x 44": 88,
    "smsc_async, 4 x 22": 88,
    "smsc_async, 8 x 11": 88,
    "raw httpx, 2 x 44": 88,
    "raw aiohttp, 2 x 44": 88,
    "smsc_async, 10 x 49": 490,
    "smsc_async, 10 x 49, httpx": 490,
    "raw aiohttp, 10 x 49": 490,
    "zeep AsyncClient, gather of 14": 14,
    "zeep AsyncClient, gather of 50": 50,
    "zeep, in sequence": 1,
    "suds, in sequence": 1,
    "PHP SoapClient, in sequence": 1,
    "a request a message, in sequence": 1,
}
"""Each client, and how many messages it has in flight at most."""


class Sample(NamedTuple):
    """One measurement: messages a second, microseconds of CPU a message, and what the server counted."""

    rate: float
    cpu: float
    doubled: int
    error_9: int


def measured(names: list[str], rounds: int, warm: float, seconds: float) -> dict[str, Sample]:
    """Return the medians of each client, and the sums of what the server counted."""
    server_core, core = cores()
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    command = [sys.executable, "-m", "benchmarks.campaign_server", str(server_core), str(LATENCY)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own
        assert server.stdout is not None  # noqa: S101
        url = server.stdout.readline().strip()
        counts = url.replace("/sys/soap.php", "/counts")
        try:
            for number in range(1, rounds + 1):
                for name in names:
                    print(f"round {number} of {rounds}: {name}", file=sys.stderr)
                    said = json.loads(ran("campaign_clients", name, url, warm, seconds, core=core))
                    with urllib.request.urlopen(counts) as answer:  # noqa: S310 - our own server
                        counted = json.load(answer)
                    samples[name].append(Sample(said["rate"], said["cpu"], counted["doubled"], counted["error_9"]))
        finally:
            server.terminate()
    return {
        name: Sample(
            statistics.median(each.rate for each in some),
            statistics.median(each.cpu for each in some),
            sum(each.doubled for each in some),
            sum(each.error_9 for each in some),
        )
        for name, some in samples.items()
    }


def main() -> None:
    """Measure all clients and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=BOUNDS, help="only these clients")
    options = parser.parse_args()
    rounds, warm, seconds = (1, 1.0, 3.0) if options.quick else (options.rounds, 1.5, 5.0)
    print("| client | messages a second | of the bound | CPU us a message | doubled | error 9 |")
    print("|---|---|---|---|---|---|")
    for name, sample in measured(options.only or list(BOUNDS), rounds, warm, seconds).items():
        share = sample.rate / (BOUNDS[name] / LATENCY)
        print(f"| {name} | {sample.rate:.0f} | {share:.2f} | {sample.cpu:.0f} | {sample.doubled} | {sample.error_9} |")


if __name__ == "__main__":
    main()
