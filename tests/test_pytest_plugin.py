"""The plugin of pytest, as users have it: in a process of its own, loaded by its entry point."""

import re

import pytest

from tests.parts import is_installed, missing
from tests.plugged import Plugged

pytest_plugins = ["pytester"]

MARKS = {
    "auto": "",
    "strict": "pytestmark = pytest.mark.asyncio",
    "anyio": "pytestmark = pytest.mark.anyio",
}
ASYNC_TESTS = """
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from smsc_async import Client, MessageStatus
from smsc_async.sandbox import DeliveryPlan, Sandbox
from smsc_async.testing import ServedSandbox, client

PHONE = "+79991234567"


async def test_a_client_sends_to_the_sandbox_on_its_clock(smsc_sandbox, smsc_client):
    await smsc_client.send(PHONE, "Your code is 4821")
    await smsc_sandbox.advance(62)
    sent = await smsc_client.send(PHONE, "Your code is 4821")
    await smsc_sandbox.advance(3600)
    assert (await smsc_client.wait_final(sent.ref)).is_final
    message = smsc_sandbox.assert_sent("8 (999) 123-45-67", contains="4821")
    assert message is smsc_sandbox.messages[-1]


async def test_each_test_has_a_sandbox_of_its_own(smsc_sandbox, smsc_client):
    assert smsc_sandbox.messages == ()
    async with smsc_client:
        assert (await smsc_client.balance()).amount == Decimal(10_000)


async def test_it_is_served_over_http(smsc_sandbox, smsc_client, smsc_sandbox_server):
    assert isinstance(smsc_sandbox_server, ServedSandbox)
    assert smsc_sandbox_server.sandbox is smsc_sandbox
    async with Client(apikey=smsc_sandbox_server.account.apikey, url=smsc_sandbox_server.url) as theirs:
        sent = await theirs.send(PHONE, "Hello")
    smsc_sandbox.assert_sent(PHONE, contains="Hello")
    await smsc_sandbox.advance(3600)
    assert (await smsc_client.status(sent.ref)).is_final


async def test_the_environment_is_enough_for_a_client(smsc_sandbox_server, monkeypatch):
    for name, value in smsc_sandbox_server.environment.items():
        monkeypatch.setenv(name, value)
    async with Client() as theirs:
        await theirs.send(PHONE, "Hello")
    assert smsc_sandbox_server.sandbox.messages[0].login == smsc_sandbox_server.account.login


async def test_the_demo_account_works_too(smsc_sandbox):
    async with Client(apikey="demo", transport=smsc_sandbox.transport()) as theirs:
        await theirs.send(PHONE, "Hello")
    assert smsc_sandbox.messages[0].login == "demo"


@pytest.mark.smsc(delivery="delivered")
async def test_everything_is_delivered(smsc_client):
    sent = await smsc_client.send(PHONE, "Hello")
    assert (await smsc_client.status(sent.ref)).status is MessageStatus.DELIVERED


@pytest.mark.smsc(delivery="undelivered")
class TestUndelivered:
    async def test_nothing_is_delivered(self, smsc_client):
        sent = await smsc_client.send(PHONE, "Hello")
        report = await smsc_client.status(sent.ref)
        assert (report.status, report.is_delivered) == (MessageStatus.UNDELIVERABLE, False)

    @pytest.mark.smsc(delivery=DeliveryPlan.instant(3, 6), balance=5)
    async def test_the_closest_mark_counts(self, smsc_client):
        sent = await smsc_client.send(PHONE, "Hello")
        assert (await smsc_client.status(sent.ref)).status is MessageStatus.EXPIRED
        assert (await smsc_client.balance()).amount == Decimal("0.50")

    @pytest.mark.smsc(balance=Decimal("4.00"))
    async def test_marks_add_up(self, smsc_sandbox, smsc_client):
        assert (await smsc_client.balance()).amount == 4
        async with Client(apikey="demo", transport=smsc_sandbox.transport()) as theirs:
            assert (await theirs.balance()).amount == 4


@pytest.mark.smsc(faults=["lose_answer operation=send times=1", {"kind": "error", "code": 7, "operation": "send"}])
async def test_faults_are_injected(smsc_sandbox, smsc_client):
    assert (await smsc_client.send(PHONE, "Hello")).reconciled
    with pytest.raises(Exception, match="error 7"):
        await smsc_client.send(PHONE, "Hello again")
    assert [entry.fault for entry in smsc_sandbox.script if entry.fault] == ["lose_answer", "error"]


@pytest.mark.smsc(at=datetime(2031, 5, 1, 10, tzinfo=UTC))
async def test_the_clock_starts_at_a_time_and_runs(smsc_sandbox, smsc_client):
    start = datetime(2031, 5, 1, 10, tzinfo=UTC).timestamp()
    assert start <= smsc_sandbox.now() < start + 60
    sent = await smsc_client.send(PHONE, "Hello")
    assert (await smsc_client.status(sent.ref)).changed_at.year == 2031
    assert smsc_sandbox.now() > start
"""


@pytest.fixture
def plugged(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Plugged:
    return Plugged(pytester, monkeypatch)


@pytest.mark.parametrize(
    "mode", ["anyio", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("auto", "strict"))]
)
def test_the_fixtures_work_with_each_way_to_run_async_tests(plugged: Plugged, mode: str) -> None:
    plugged.write(ASYNC_TESTS.replace("\nPHONE", f"\n{MARKS[mode]}\nPHONE"))
    tests = ASYNC_TESTS.count("async def test_")
    plugged.passes(tests * 2 if mode == "anyio" else tests, f"--asyncio-mode={mode.replace('anyio', 'strict')}")


@pytest.mark.slow
def test_an_unused_plugin_imports_nothing_and_registers_its_marker_and_fixtures(plugged: Plugged) -> None:
    plugged.write(
        """
import sys

def test_what_is_imported():
    heavy = {"pydantic", "lxml", "starlette", "uvicorn"}
    assert {name for name in sys.modules if name.startswith("smsc_async")} == {
        "smsc_async", "smsc_async._version", "smsc_async.pytest_plugin"
    }
    assert heavy & {*sys.modules} == set()
"""
    )
    plugged.passes(1)
    marker = r"@pytest.mark.smsc\(\*, delivery, faults, balance, at, allow_unused_faults\): "
    assert re.search(marker, plugged.run("--markers").stdout.str())
    shown = plugged.run("--fixtures").stdout.str()
    for name in ("smsc_sandbox", "smsc_client", "smsc_sandbox_server"):
        assert re.search(rf"^{name} -- .*\n    \S", shown, re.MULTILINE)
    assert "_smsc_server" not in shown


@pytest.mark.slow
def test_coverage_counts_what_the_application_imports(plugged: Plugged) -> None:
    if not is_installed("coverage"):
        missing("coverage is not installed: pip install '.[test-all]'")
    plugged.write("from smsc_async import Message\n\nHELLO = Message('+79991234567', 'Hello')\n", "shop")
    plugged.write(
        """
import pytest

@pytest.mark.anyio
async def test_hello(smsc_sandbox, smsc_client):
    from shop import HELLO
    await smsc_client.send(HELLO.phone, HELLO.text)
    smsc_sandbox.assert_sent(HELLO.phone)
"""
    )
    coverage = ("-m", "coverage")
    ran = plugged.python(*coverage, "run", "--data-file=shop.data", "--source=.,smsc_async", "-m", "pytest")
    assert ran.parseoutcomes() == {"passed": 2}
    shown = plugged.python(*coverage, "report", "--data-file=shop.data").stdout.str()
    assert re.search(r"^shop\.py +2 +0 +100%$", shown, re.MULTILINE)
    assert re.search(r"\bsmsc_async/_model/messages\.py +[0-9]+ +[0-9]+ +[1-9][0-9]*%$", shown, re.MULTILINE)


@pytest.mark.slow
def test_tests_that_are_not_async_use_the_sandbox_over_http(plugged: Plugged) -> None:
    plugged.write(
        """
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

import pytest

URLS = []

@pytest.mark.parametrize("number", [1, 2])
def test_another_program_sends(smsc_sandbox_server, number):
    code = "import anyio; from smsc_async import Client; anyio.run(Client().send, '+79991234567', 'Hello')"
    subprocess.run([sys.executable, "-c", code], env=smsc_sandbox_server.environment, check=True)
    message = smsc_sandbox_server.sandbox.assert_sent("+79991234567", contains="Hello")
    assert message.login == smsc_sandbox_server.account.login
    URLS.append((smsc_sandbox_server.url, message.login))
    assert len(smsc_sandbox_server.sandbox.messages) == 1

def test_each_test_has_a_url_and_an_account_of_its_own_on_the_same_server():
    (first, login), (second, other) = URLS
    assert first != second and login != other
    assert first.split("/")[:3] == second.split("/")[:3]
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(first + "?wsdl")
    caught.value.close()

@pytest.mark.usefixtures("smsc_sandbox")
class TestShop(unittest.TestCase):
    def test_a_method(self):
        pass
"""
    )
    plugged.passes(4)


@pytest.mark.slow
def test_a_fault_that_is_never_used_fails_the_test_unless_it_is_allowed(plugged: Plugged) -> None:
    plugged.write(
        """
import pytest

from smsc_async.sandbox import Limits, Sandbox

FAULTS = pytest.mark.smsc(faults=["error code=7 operation=send phone=+79991234567", "empty operation=cost"])

@FAULTS
def test_unused(smsc_client):
    pass

def test_unused_of_its_own(smsc_sandbox):
    smsc_sandbox.faults.add("http", status=502, after=3)

@FAULTS
@pytest.mark.smsc(allow_unused_faults=True)
def test_allowed(smsc_client):
    pass

def test_removed(smsc_sandbox):
    smsc_sandbox.faults.add("http")
    smsc_sandbox.faults.clear()

@FAULTS
def test_failed(smsc_sandbox):
    assert smsc_sandbox.messages, "the first failure"

@FAULTS
@pytest.mark.xfail
def test_expected(smsc_sandbox):
    pass

class TestOwnFixture:
    @pytest.fixture
    def smsc_sandbox(self):
        return Sandbox(limits=Limits.off(), faults=["http"])

    def test_unused_in_the_fixture_of_a_user(self, smsc_client):
        pass

    @pytest.mark.smsc(misspelled=1)
    def test_misspelled(self, smsc_client):
        pass

class TestOther:
    @pytest.fixture
    def smsc_sandbox(self):
        return "no sandbox"

    def test_is_left_alone(self, smsc_sandbox):
        pass
"""
    )
    ran = plugged.run()
    assert ran.parseoutcomes() == {"passed": 3, "failed": 5, "xfailed": 1}
    shown = ran.stdout.str()
    words = "these faults were never used; if that is right, use @pytest.mark.smsc(allow_unused_faults=True):"
    assert shown.count(f"\n{words}\n") == 3
    assert "\n  error operation=send phone=+79991234567 code=7 (0 requests matched it)\n" in shown
    assert "FAILED test_shop.py::test_failed - AssertionError: the first failure" in shown
    assert "keyword arguments delivery, faults, balance, at, allow_unused_faults, and not misspelled" in shown


@pytest.mark.slow
def test_a_marker_without_effect_on_a_fixture_of_the_users_own_fails_the_test(plugged: Plugged) -> None:
    plugged.write(
        """
import pytest

from smsc_async.sandbox import Limits, Sandbox

pytestmark = pytest.mark.smsc(faults=["empty operation=cost"], balance=4, allow_unused_faults=True)

class TestOwn:
    @pytest.fixture
    def smsc_sandbox(self):
        return Sandbox(limits=Limits.off())

    def test_own(self, smsc_client):
        raise AssertionError("it has begun")

    def test_neither(self):
        pass

class TestExtended:
    @pytest.fixture
    def smsc_sandbox(self, smsc_sandbox):
        return smsc_sandbox

    def test_extended(self, smsc_sandbox):
        assert smsc_sandbox.accounts[0].balance == 4
"""
    )
    ran = plugged.run()
    assert ran.parseoutcomes() == {"passed": 2, "failed": 1}
    words = "@pytest.mark.smsc: faults, balance has no effect on a fixture smsc_sandbox of your own: pass it there"
    assert words in ran.stdout.str()
    assert "it has begun" not in ran.stdout.str()


WRONG = {
    "'undelivered'": "@pytest.mark.smsc has the keyword arguments delivery, faults, balance, at, allow_unused_faults, "
    "and not 'undelivered'",
    "fault=['empty']": "@pytest.mark.smsc has the keyword arguments delivery, faults, balance, at, "
    "allow_unused_faults, and not fault",
    "delivery='all'": "@pytest.mark.smsc: delivery must be 'delivered', 'undelivered' or a DeliveryPlan, not 'all'",
    "delivery=1": "@pytest.mark.smsc: delivery must be 'delivered', 'undelivered' or a DeliveryPlan, not 1",
    "delivery=None": "@pytest.mark.smsc: delivery must be 'delivered', 'undelivered' or a DeliveryPlan, not None",
    "faults='empty'": "@pytest.mark.smsc: faults must be a list such as ['lose_answer operation=send times=1'], "
    "not str",
    "faults=['lose']": "@pytest.mark.smsc: ",
    "balance=0.5": "@pytest.mark.smsc: balance must be a Decimal or a whole number, not 0.5",
    "balance=True": "@pytest.mark.smsc: balance must be a Decimal or a whole number, not True",
    "balance=Decimal('nan')": "@pytest.mark.smsc: balance must be a Decimal or a whole number, not Decimal('NaN')",
    "at=datetime(2031, 5, 1)": "@pytest.mark.smsc: at must be an aware datetime, such as "
    "datetime(2031, 5, 1, 10, tzinfo=UTC), not datetime.datetime(2031, 5, 1, 0, 0)",
    "at='10:00'": "@pytest.mark.smsc: at must be an aware datetime, such as datetime(2031, 5, 1, 10, tzinfo=UTC), "
    "not '10:00'",
    "allow_unused_faults=1": "@pytest.mark.smsc: allow_unused_faults must be True or False, not 1",
}


@pytest.mark.slow
def test_a_wrong_argument_of_the_marker_is_named(plugged: Plugged) -> None:
    head = "import pytest\nfrom datetime import datetime\nfrom decimal import Decimal\n"
    tests = [
        f"@pytest.mark.smsc({wrong})\ndef test_{number}(smsc_client):\n    pass\n" for number, wrong in enumerate(WRONG)
    ]
    plugged.write("\n".join([head, *tests]))
    ran = plugged.run("--tb=short")
    assert ran.parseoutcomes() == {"errors": len(WRONG)}
    parts = re.split(r"\n_+ ERROR at setup of test_[0-9]+ _+\n", ran.stdout.str())[1:]
    for part, words in zip(parts, WRONG.values(), strict=True):
        assert part.startswith(words)
    assert "'lose_answer'" in parts[list(WRONG).index("faults=['lose']")]
    assert "Traceback" not in ran.stdout.str()


@pytest.mark.slow
def test_a_failed_assertion_shows_the_line_of_the_test_and_what_was_sent_instead(plugged: Plugged) -> None:
    plugged.write(
        """
import pytest

@pytest.mark.anyio
async def test_the_code_is_sent(smsc_sandbox, smsc_client):
    await smsc_client.send("+79991234567", "Hello")
    smsc_sandbox.assert_sent("+79991234567", contains="code")
"""
    )
    shown = plugged.run("-k", "asyncio").stdout.str()
    assert '>       smsc_sandbox.assert_sent("+79991234567", contains="code")' in shown
    assert "E       AssertionError: no message to +79991234567 contains 'code'" in shown
    assert "E         to 79991234567: 'Hello'" in shown
    assert "_sent.py" not in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "fixture", "words"),
    [
        ("starlette", "smsc_client", "the sandbox needs an extra package: pip install 'smsc-async[sandbox]'"),
        ("starlette", "smsc_sandbox_server", "the sandbox needs an extra package: pip install 'smsc-async[sandbox]'"),
        (
            "uvicorn",
            "smsc_sandbox_server",
            "serving a sandbox needs an extra package: pip install 'smsc-async[sandbox]'",
        ),
    ],
)
def test_a_missing_extra_is_reported_in_one_sentence(plugged: Plugged, library: str, fixture: str, words: str) -> None:
    plugged.write(
        f"""
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname == {library!r}:
            raise ModuleNotFoundError("No module named {library}", name={library!r})

sys.meta_path.insert(0, Missing())
""",
        "conftest",
    )
    plugged.write(f"def test_it({fixture}): ...")
    ran = plugged.run()
    assert ran.parseoutcomes() == {"errors": 1}
    assert re.search(rf"\n_+ ERROR at setup of test_it _+\n{re.escape(words)}\n=", ran.stdout.str())
    plugged.write("def test_it(smsc_client): ...")
    if library == "uvicorn":
        plugged.passes(1)


@pytest.mark.slow
def test_a_test_without_an_event_loop_has_a_synchronous_client(plugged: Plugged) -> None:
    plugged.write(
        """
def test_one(smsc_sandbox, smsc_sync_client):
    smsc_sync_client.send("+79991234567", "Hello")
    smsc_sandbox.advance(62)
    smsc_sync_client.send("+79991234567", "Hello")
    assert len(smsc_sandbox.messages) == 2
"""
    )
    plugged.passes(1)


@pytest.mark.slow
def test_the_workers_of_xdist_have_sandboxes_of_their_own(plugged: Plugged) -> None:
    plugged.write(
        """
import pytest

from smsc_async.testing import client

@pytest.mark.anyio
@pytest.mark.parametrize("number", range(20))
@pytest.mark.smsc(faults=["lose_answer operation=send times=1"])
async def test_one(smsc_sandbox, smsc_sandbox_server, number, anyio_backend):
    async with client(smsc_sandbox, url=smsc_sandbox_server.url) as theirs:
        sent = await theirs.send("+79991234567", f"Hello {number}")
        assert sent.reconciled
    assert [message.text for message in smsc_sandbox.messages] == [f"Hello {number}"]
"""
    )
    plugged.passes(20, "-n", "4", "-k", "asyncio")
