"""Kill a bulk job at random moments and restart it until it is done; then count the messages that the service accepted.

    python -m benchmarks.kill_send_file --kills 200 --service-kills 20
    python -m benchmarks.kill_send_file --kills 100 --service-kills 0 --damage

The service is a sandbox on loopback with its state in a file; the job is the real program; each runs in a separate
process. Each job sends some messages in small requests. It is killed a few times with SIGKILL, at any point from its
start to the last status request, and then runs to its end. The service is also killed occasionally, and continues with
its state. With `--damage`, the files of a killed job are damaged: an older copy is put back, or its -journal or .lock
file is removed, emptied or cut; a damaged journal that is refused is replaced by the intact one. The expected result:
lost 0, doubled 0, error 9: 0, and a final result in every row.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import anyio.abc

from smsc_async._cli.demo import PATH, listen, serve_while
from smsc_async.sandbox import Account, DeliveryPlan, Sandbox

PROGRAM = (sys.executable, "-m", "smsc_async", "send-file")
ROWS = 30
IN_ONE_REQUEST = 3
LATENCY = 0.2
KILLS_OF_ONE_JOB = 4
SENDING = 0.3, 2.2
"""When to kill a new job, in seconds after its start."""
CONTINUING = 0.3, 16.0
"""When to kill a job that was planned earlier: it first asks the service what it has."""
TOO_OFTEN = 9
GOOD_ENDS = {"delivered", "not delivered"}


@dataclass
class Figures:
    """The counts of a measurement."""

    jobs: int = 0
    messages: int = 0
    kills: int = 0
    mid_request: int = 0
    service_kills: int = 0
    refused: int = 0
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    too_often: int = 0
    rows_without_result: int = 0
    wrong_exits: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def are_right(self) -> bool:
        """Whether each message was sent exactly once and has a final result."""
        wrong = self.lost, self.doubled, self.too_often, self.rows_without_result, len(self.wrong_exits)
        return not any(wrong) and self.accepted == self.messages


def make_sandbox(state: Path) -> Sandbox:
    """Return a sandbox with the state in a file, if there is one."""
    return Sandbox(
        accounts=[Account(login="demo", password="demo", apikey="demo", balance=Decimal(10**9))],  # noqa: S106 - opens nothing
        latency=LATENCY,
        delivery=DeliveryPlan(to_operator=0.2, to_decision=0.8, spread=0.3),
        state=state,
    )


async def serve(state: Path, port: int) -> None:
    """Serve the sandbox until this process is killed."""
    await serve_while(make_sandbox(state).app, listen("127.0.0.1", port), lambda _: anyio.sleep_forever())


class Service:
    """The service in a separate process, which may be killed.

    Args:
        state: The file of its state.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self._process: anyio.abc.Process | None = None
        self.url = f"http://127.0.0.1:{self._port}{PATH}"

    async def start(self) -> None:
        """Start the process, and wait until it listens."""
        command = (sys.executable, __file__, "--serve", str(self.state), str(self._port))
        self._process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stdout=None, stderr=None)
        with anyio.fail_after(30):
            while True:
                try:
                    await (await anyio.connect_tcp("127.0.0.1", self._port)).aclose()
                except OSError:
                    await anyio.sleep(0.05)
                else:
                    return

    async def kill(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with anyio.CancelScope(shield=True):
                await process.wait()


class Track:
    """One service, and a series of jobs, one at a time, that are killed and restarted.

    Args:
        number: The number of this track; it makes the phones unique.
        kills: The total number of kills of jobs.
        service_kills: The number of kills of the service.
        folder: The folder for all files.
        figures: The counts to update.
        damage: Whether to damage the files of killed jobs.
    """

    def __init__(  # noqa: PLR0917 - see the docstring
        self, number: int, kills: int, service_kills: int, folder: Path, figures: Figures, damage: bool
    ) -> None:
        self._number = number
        self._kills = kills
        self._service_kills = service_kills
        self._jobs = 0
        self._folder = folder
        self._figures = figures
        self._damage = damage
        self._random = random.Random(number)
        self._service = Service(folder / f"service-{number}")

    async def run(self) -> None:
        """Run jobs until all kills are done."""
        try:
            await self._service.start()
            async with anyio.create_task_group() as group:
                group.start_soon(self._kill_service)
                while self._kills:
                    await self._job(self._jobs, self._service.url)
                    self._jobs += 1
                group.cancel_scope.cancel()
        finally:
            await self._service.kill()
        self._count_messages()

    async def _kill_service(self) -> None:
        for _ in range(self._service_kills):
            await anyio.sleep(self._random.uniform(2, 8))
            await self._service.kill()
            self._figures.service_kills += 1
            await self._service.start()

    async def _job(self, job: int, url: str) -> None:
        name = f"{self._number}-{job}"
        messages, journal, report = (self._folder / f"{name}.{kind}" for kind in ("csv", "db", "out.csv"))
        with messages.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["phone", "text"])
            rows.writerows([self._phone(job, row), f"Order {row} of {name}"] for row in range(ROWS))
        files = (str(messages), "--journal", str(journal), "--report", str(report))
        command = (*PROGRAM, *files, "--json", "--batch-size", str(IN_ONE_REQUEST), "--delay-per-request", "0.5")
        environment = {**os.environ, "SMSC_URL": url, "SMSC_APIKEY": "demo"}
        copy = journal.with_suffix(".copy")
        for number in range(min(KILLS_OF_ONE_JOB, self._kills)):
            if not await self._kill(command, environment, journal, CONTINUING if number else SENDING):
                break
            self._kills -= 1
            if self._damage:
                self._spoil(journal, copy)
        ended = await anyio.run_process(command, env=environment, check=False)
        if self._damage and b"is damaged" in ended.stderr:
            self._figures.refused += 1
            for intact in copy.glob("true.*"):
                shutil.copy(intact, journal.with_name(intact.name.replace("true", journal.stem, 1)))
            ended = await anyio.run_process(command, env=environment, check=False)
        self._figures.jobs += 1
        self._figures.messages += ROWS
        if ended.returncode:
            self._figures.wrong_exits.append(ended.stderr.decode().strip())
        self._check_report(report)

    def _spoil(self, journal: Path, copy: Path) -> None:
        """Keep a copy of the intact files, and damage one of them, or put an older copy back."""
        copy.mkdir(exist_ok=True)
        files = [file for file in journal.parent.glob(f"{journal.name}*") if file.is_file()]
        older = {file.name: file.read_bytes() for file in copy.iterdir()}
        for file in files:
            shutil.copy(file, copy / file.name.replace(journal.stem, "true", 1))
        if older and self._random.random() < 0.5:
            kept = [file for file in files if self._random.random() < 0.3]
            for file in files:
                content = older.get(file.name.replace(journal.stem, "true", 1))
                if file not in kept and content is not None:
                    file.write_bytes(content)
            return
        if len(files) < 2:  # killed before it made them
            return
        target = self._random.choice([file for file in files if file != journal])
        content = target.read_bytes()
        target.unlink()
        if self._random.random() < 0.7:
            target.write_bytes(content[: self._random.choice([0, self._random.randrange(len(content) + 1)])])

    async def _kill(
        self,
        command: tuple[str, ...],
        environment: dict[str, str],
        journal: Path,
        within: tuple[float, float],
    ) -> bool:
        """Start the program and kill it within some seconds; return False if it ended before that."""
        process = await anyio.open_process(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with process:
            with anyio.move_on_after(self._random.uniform(*within)):
                await process.wait()
            if process.returncode is not None:
                return False
            process.send_signal(signal.SIGKILL)
            await process.wait()
        self._figures.kills += 1
        self._figures.mid_request += _attempted(journal) > 0
        return True

    def _phone(self, job: int, row: int) -> str:
        return f"+791{self._number}{job:04}{row:03}"

    def _check_report(self, report: Path) -> None:
        with report.open(encoding="utf-8", newline="") as file:
            results = [row["result"] for row in csv.DictReader(file)]
        self._figures.rows_without_result += ROWS - sum(result in GOOD_ENDS for result in results)

    def _count_messages(self) -> None:
        sandbox = make_sandbox(self._service.state)
        self._figures.too_often += sum(number for (_, error), number in sandbox.counts.items() if error == TOO_OFTEN)
        accepted = Counter((message.phone, message.text) for message in sandbox.messages)
        self._figures.accepted += accepted.total()
        self._figures.doubled += sum(number - 1 for number in accepted.values())
        self._figures.lost += self._jobs * ROWS - len(accepted)


def _attempted(journal: Path) -> int:
    """Return how many requests a killed process left without an answer; read from a copy of the journal."""
    with tempfile.TemporaryDirectory() as folder:
        for file in journal.parent.glob(f"{journal.name}*"):
            shutil.copy(file, folder)
        connection = sqlite3.connect(Path(folder, journal.name))
        try:
            ((count,),) = connection.execute("SELECT count(*) FROM chunk WHERE state = 'attempted'")
        except sqlite3.OperationalError:  # killed before it created the tables
            return 0
        finally:
            connection.close()
    return int(count)


async def measure(kills: int, service_kills: int, jobs: int, *, damage: bool = False) -> Figures:
    """Run `jobs` tracks at once, with `kills` kills of jobs and `service_kills` kills of services in total."""
    figures = Figures()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with anyio.create_task_group() as group:
            for number in range(jobs):
                share, service_share = (each // jobs + (number < each % jobs) for each in (kills, service_kills))
                group.start_soon(Track(number, share, service_share, Path(folder), figures, damage).run)
    figures.seconds = time.monotonic() - start
    return figures


def main() -> None:
    """Measure, print the counts, and fail if a message was lost or doubled."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--service-kills", type=int, default=20)
    parser.add_argument("--serve", nargs=2, metavar=("STATE", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--damage", action="store_true", help="damage the files of killed jobs")
    parser.add_argument("--jobs", type=int, default=8, help="the number of concurrent jobs and services")
    arguments = parser.parse_args()
    if arguments.serve:
        anyio.run(serve, Path(arguments.serve[0]), int(arguments.serve[1]))
    work = partial(measure, arguments.kills, arguments.service_kills, arguments.jobs, damage=arguments.damage)
    figures = anyio.run(work)
    print(
        f"{figures.kills} kills ({figures.mid_request} with requests in flight), {figures.service_kills} kills of the "
        f"service, {figures.jobs} jobs, {figures.refused} damaged journals refused, {figures.messages} messages, "
        f"{figures.seconds:.0f} s"
    )
    print(
        f"accepted {figures.accepted}, lost {figures.lost}, doubled {figures.doubled}, error 9: {figures.too_often}, "
        f"rows without a result {figures.rows_without_result}"
    )
    for message in figures.wrong_exits:
        print(f"a job failed: {message}")
    sys.exit(not figures.are_right)


if __name__ == "__main__":
    main()
