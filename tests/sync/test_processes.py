"""Programs that end, fork or are interrupted: no thread is left, nothing hangs, and nothing is printed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from smsc_async.sandbox import Sandbox
from tests.interrupts import interruptible

__all__ = ["interruptible"]

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent
HEAD: Final = """
import os, signal, sys, threading, warnings
from smsc_async import Message
from smsc_async.sync import Client, Journal

url, folder = sys.argv[1:]
client = Client(apikey="demo", url=url, on_unresolved=lambda send: print("unresolved", send.id, flush=True))
"""
Run = Callable[..., str]


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Return a sandbox; the parameter is its latency."""
    return Sandbox(latency=getattr(request, "param", 0.0))


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with sandbox.serve() as url:
        yield url.replace("127.0.0.1", "localhost")  # its address is looked up on a thread


@pytest.fixture
def program(url: str, tmp_path: Path) -> Callable[[str], "subprocess.Popen[str]"]:
    """Return a function that starts a program in which each warning is an error."""

    def start(code: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-X", "dev", "-W", "error", "-c", HEAD + code, url, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, a minute at most."""
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.001)


def ended(process: "subprocess.Popen[str]", code: int = 0) -> str:
    """Return what a program printed until it ended; it printed no error."""
    out, errors = process.communicate(timeout=60)
    noise = [line for line in errors.splitlines() if "took" not in line]  # asyncio's remark about a slow machine
    assert (process.returncode, noise) == (code, [])
    return out.strip()


Program = Callable[[str], "subprocess.Popen[str]"]


@pytest.mark.parametrize(
    "code",
    [
        "client.balance()",
        "print(next(client.send_batch([Message('+79990000001', 'Hello'), Message('+79990000002', 'Hello')])).ref.id)",
        "outcomes = client.send_batch([Message('+79990000001', 'a'), Message('+79990000001', 'b')]); next(outcomes)",
        "watch = client.watch(client.send('+79990000001', 'Hello')).__enter__(); next(watch)",
        "journal = Journal(f'{folder}/job.db').__enter__(); journal.plan([Message('+79990000001', 'Hello')])",
        "client = Client(apikey='demo', url=url, transport='aiohttp'); client.balance()",
        "client.balance(); client.me = client; del client",
        "client.balance(); client.close(); assert threading.active_count() == 1",
        "threading.Thread(target=lambda: [threading.main_thread().join(), client.balance()]).start()",
        "threading.Thread(target=client.wait_final, args=(client.send('+79990000001', 'Hello'),), daemon=True).start()",
    ],
)
def test_a_program_that_closes_nothing_ends_quietly(program: Program, code: str) -> None:
    ended(program(code))


@pytest.mark.parametrize("sandbox", [30.0], indirect=True)
def test_a_send_that_is_interrupted_is_unresolved(program: Program, sandbox: Sandbox) -> None:
    process = program("""
try:
    client.send('+79990000001', 'Hello', id='a1')
except KeyboardInterrupt as error:
    names, trace = set(), error.__traceback__
    while trace:
        names |= {str(value) for value in trace.tb_frame.f_locals.values()} if trace.tb_next else set()
        trace = trace.tb_next
    print('interrupted', 'Hello' in names)
""")
    wait_for(lambda: bool(sandbox.messages))
    process.send_signal(signal.SIGINT)
    assert ended(process) == "unresolved a1\ninterrupted False"


@pytest.mark.parametrize("sandbox", [30.0], indirect=True)
def test_a_batch_that_is_interrupted_reports_what_was_in_flight(program: Program, sandbox: Sandbox) -> None:
    process = program("""
try:
    for outcome in client.send_batch([Message('+79990000001', 'Hello')]):
        pass
except KeyboardInterrupt:
    print('interrupted')
""")
    wait_for(lambda: bool(sandbox.messages))
    process.send_signal(signal.SIGINT)
    first, second = ended(process).splitlines()
    assert (first.split()[0], second) == ("unresolved", "interrupted")


@pytest.mark.parametrize("sandbox", [30.0], indirect=True)
def test_closing_that_is_interrupted_closes_at_once(program: Program, sandbox: Sandbox) -> None:
    process = program("""
import time
from smsc_async.sync._call import PortalCall
threading.Thread(target=client.send, args=('+79990000001', 'Hello'), daemon=True).start()
threading.excepthook = lambda failed: print(failed.exc_type.__name__)
main, code = threading.main_thread().ident, PortalCall.run.__code__
def interrupt():
    names = set()
    while code not in names:
        frame, names = sys._current_frames()[main], set()
        while frame:
            names.add(frame.f_code)
            frame = frame.f_back
    signal.pthread_kill(main, signal.SIGINT)
sys.stdin.readline()
threading.Thread(target=interrupt).start()
try:
    client.close(30)
except KeyboardInterrupt:
    print('interrupted')
try:
    client.balance()
except RuntimeError as error:
    print(type(error).__name__)
""")
    assert process.stdin is not None
    wait_for(lambda: bool(sandbox.messages))
    process.stdin.write("close\n")
    process.stdin.flush()
    out = ended(process)
    assert {"interrupted", "ClientClosed"} < set(out.splitlines())
    assert "unresolved" in out


def test_an_interrupt_that_nobody_handles_ends_the_program(program: Program) -> None:
    process = program("""
sent = client.send('+79990000001', 'Hello')
print('sent', flush=True)
with client.watch(sent) as updates:
    for update in updates:
        pass
""")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1


FORK: Final = """
client.balance()
derived = client.with_options(deadline=5)
{before}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    child = os.fork()
    if not child:
        {child}
        print(os.getpid() != {parent}, client.balance().amount, [each.category.__name__ for each in caught
              if each.category is not DeprecationWarning], flush=True)
        derived.balance()
        assert len([each for each in caught if each.category is RuntimeWarning]) <= 1
        sys.exit()
assert os.waitpid(child, 0)[1] == 0
client.balance()
print("parent", len([1 for each in threading.enumerate() if each.name == "smsc_async.sync"]))
""".replace("{parent}", "os.getppid()")


SHARING: Final = "before = client.guards; other = Client(apikey='demo', url=url, guards=before)"

SHARED: Final = "assert client.guards is other.guards is not before"


def forked(before: str = "", child: str = "") -> str:
    return FORK.replace("{before}", before).replace("{child}", child or "pass")


def test_a_child_makes_connections_and_guards_of_its_own_and_warns_once(program: Program, sandbox: Sandbox) -> None:
    out = ended(program(forked(SHARING, f"client.balance(); other.balance(); {SHARED}")))
    assert out.splitlines() == ["True 10000 ['RuntimeWarning']", "parent 1"]
    assert sandbox.counts["get_balance", 0] == 6


@pytest.mark.parametrize("transport", ["None", "'aiohttp'"])
def test_a_child_does_not_disturb_the_connections_of_its_parent(program: Program, transport: str) -> None:
    before = f"""
import gc
client = Client(apikey="demo", url=url, transport={transport}, guards=None)
client.balance()
other = Client(apikey="demo", url=url, transport={transport}, guards=None)
other.balance()
"""
    out = ended(program(forked(before, "client.balance(); other.close(); del other; gc.collect()")))
    assert out.splitlines() == ["True 10000 []", "parent 1"]


def test_a_child_of_a_call_in_flight_has_guards_that_count_nothing(program: Program) -> None:
    before = """
sent = client.send('+79990000001', 'Hello')
for _ in range(5):
    client.status(sent)
waiter = threading.Thread(target=client.status, args=(sent,), daemon=True)
waiter.start()
while not client.guards_snapshot().waiting:
    pass
"""
    out = ended(program(forked(before, "assert not client.guards_snapshot().waiting")))
    assert out.splitlines() == ["True 9995.5 ['RuntimeWarning']", "parent 1"]


def test_what_a_parent_process_began_cannot_go_on_in_a_child(program: Program) -> None:
    before = """
from smsc_async import ClientClosed, JournalError
outcomes = client.send_batch([Message('+79990000001', 'a'), Message('+79990000001', 'b')])
next(outcomes)
watch = client.watch(client.send('+79990000002', 'Hello')).__enter__()
journal = Journal(f'{folder}/job.db').__enter__()
"""
    child = """
        for call, error in ((outcomes.__next__, ClientClosed), (watch.__next__, ClientClosed),
                            (journal.rows, JournalError)):
            try:
                call()
            except error:
                print("refused", flush=True)
        watch.__exit__(None, None, None)
        journal.__exit__(None, None, None)
        """.strip()
    out = ended(program(forked(before, child)))
    assert out.splitlines()[:3] == ["refused"] * 3
    assert out.splitlines()[-1] == "parent 1"


def test_a_child_that_makes_no_call_ends_quietly(program: Program) -> None:
    code = """
client.balance()
child = os.fork()
if not child:
    client.close()
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
client.balance()
"""
    ended(program("warnings.simplefilter('ignore', DeprecationWarning)" + code))
