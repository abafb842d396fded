"""`smsc-async send-file` with a large file: how quickly it plans, its memory, and how soon it continues when half done.

    pip install '.[cli]'
    python -m benchmarks.send_file --rows 1000000           # about ten minutes

A server on loopback answers at once. The time is taken from the start to the line that says how many messages are
planned; by then all rows have been read, checked and written to the disk. The command is killed after the server has
accepted half of the messages, and the time from the next start to its first request is taken. The texts are Cyrillic
and each is different.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .campaign_clients import TEXT
from .peers import ROOT

STEP: Final = 0.02


def write(path: Path, rows: int) -> None:
    """Write a file of messages."""
    with path.open("w", encoding="utf-8") as file:
        file.write("phone,text\n")
        file.writelines(f'+{79_000_000_000 + number},"{TEXT.format(number)}"\n' for number in range(rows))


def start(messages: Path, journal: Path, url: str) -> subprocess.Popen[str]:
    """Start the command."""
    command = [sys.executable, "-m", "smsc_async", "send-file", str(messages), "--journal", str(journal)]
    return subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--url", url, "--no-follow"],
        cwd=ROOT,
        env={**os.environ, "SMSC_APIKEY": "key"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def peak(process: subprocess.Popen[str]) -> int:
    """Return the peak of the memory of a running process in megabytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))


@contextmanager
def server() -> Iterator[str]:
    """Run the server of the campaigns, which answers at once here; yields its URL."""
    command = [sys.executable, "-m", "benchmarks.campaign_server", "", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None  # noqa: S101
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def counted(url: str, what: str) -> int:
    """Return what the server has counted since it was asked last."""
    with urllib.request.urlopen(url.replace("/sys/soap.php", "/counts")) as answer:  # noqa: S310 - our own server
        return int(json.load(answer)[what])


def to_the_first_request(messages: Path, journal: Path, url: str) -> float:
    """Start the command again; return when its first request arrived."""
    counted(url, "requests")
    began = time.perf_counter()
    with start(messages, journal, url) as process:
        while not counted(url, "requests"):
            time.sleep(STEP)
        took = time.perf_counter() - began
        process.kill()
    return took


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--plan-only", action="store_true", help="leave out what needs half of the messages sent")
    options = parser.parse_args()
    rows: int = options.rows
    with tempfile.TemporaryDirectory() as folder:
        messages, journal = Path(folder) / "messages.csv", Path(folder) / "job.journal"
        write(messages, rows)
        with server() as url:
            began = time.perf_counter()
            with start(messages, journal, url) as process:
                assert process.stderr is not None  # noqa: S101
                while "planned" not in process.stderr.readline() and process.poll() is None:
                    pass
                took, memory = time.perf_counter() - began, peak(process)
                print(f"| {rows:,} rows | |\n|---|---|")
                print(f"| read, checked and planned | {took:.1f} s: {rows / took:,.0f} rows/s |")
                print(f"| peak of the memory until then | {memory:,} MB |")
                sizes = [path.stat().st_size >> 20 for path in (messages, journal)]
                print(f"| the file; its journal | {sizes[0]}; {sizes[1]} MB |", flush=True)
                accepted = 0
                while not options.plan_only and accepted < rows // 2 and process.poll() is None:
                    time.sleep(10 * STEP)
                    accepted += counted(url, "accepted")
                if accepted:
                    print(f"| half of them sent | {time.perf_counter() - began - took:.0f} s |", flush=True)
                process.kill()
            if not options.plan_only:
                print(
                    f"| the next start: to the first request | {to_the_first_request(messages, journal, url):.1f} s |"
                )


if __name__ == "__main__":
    main()
