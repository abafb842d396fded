"""A failed cell in a few lines, and the bar of `progress=True`, without a notebook."""

import io
import sys
from collections.abc import Callable
from functools import singledispatch
from pathlib import Path
from typing import Any

import pytest

from smsc_async import (
    AuthenticationFailed,
    DuplicateSend,
    Message,
    MessageRef,
    Outcome,
    ReadTimeout,
    Reports,
    SmscError,
    SoapFault,
)
from smsc_async._notebook import Progress, failed_cell
from tests.doubles import FakeService, answer, make_client
from tests.parts import need_libraries
from tests.virtual import virtual_time

PHONE = "+79991234567"
REFS = [MessageRef(PHONE, number) for number in range(1, 4)]
MISSING = r"^progress=True needs an extra package: pip install 'smsc-async\[notebook\]', or only tqdm$"


def _shown(error: SmscError) -> list[str]:
    return error._render_traceback_()  # as IPython calls it


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (DuplicateSend("twice", retry_after=61.2), "Nothing was sent. It may succeed in 62 s."),
        (AuthenticationFailed("wrong"), "Nothing was executed. Further requests would fail too."),
        (SoapFault("broken", fault_code="Client"), "Nothing was executed."),
        (ReadTimeout("late"), "The request may have been executed."),
    ],
)
def test_a_failed_cell_shows_the_error_and_what_to_do(error: SmscError, advice: str) -> None:
    assert _shown(error) == [f"\x1b[31m{type(error).__name__}\x1b[0m: {error}", advice, ""]


async def test_a_failed_cell_shows_the_lines_of_the_user_and_no_frame_of_the_package() -> None:
    client = make_client(FakeService([answer("send_sms", error="2")]))
    with pytest.raises(AuthenticationFailed) as caught:
        await client.send(PHONE, "Hello")  # the line of the user
    *_, empty, line = _shown(caught.value)
    assert empty == ""
    assert line.startswith(f"{__file__}, line ")
    assert line.endswith(': await client.send(PHONE, "Hello")  # the line of the user')


async def test_a_failed_cell_says_how_to_resolve_a_send_that_may_have_left() -> None:
    client = make_client(FakeService([ReadTimeout("late")]), on_unknown="raise")
    with pytest.raises(ReadTimeout) as caught:
        await client.send(PHONE, "Hello")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert "await client.resolve(sys.last_value)" in _shown(caught.value)[1]


def test_a_failed_cell_shows_notes_and_escapes_what_would_control_the_terminal() -> None:
    error = SmscError("\x1b[2Jwiped")
    error.add_note("a\x07note")
    assert failed_cell(error, "") == ["\x1b[31mSmscError\x1b[0m: \\x1b[2Jwiped", "a\\x07note", ""]


@singledispatch
def _fail(_: object) -> None:
    raise SmscError("x")


def test_a_failed_cell_shows_no_line_of_a_library() -> None:
    with pytest.raises(SmscError) as caught:
        _fail(1)  # through a frame of functools
    assert [line.partition(": ")[2] for line in _shown(caught.value)[3:]] == [
        "_fail(1)  # through a frame of functools",
        'raise SmscError("x")',
    ]


def test_a_line_of_a_cell_has_the_name_that_ipython_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        compile = type("Compile", (), {"format_code_name": staticmethod(lambda _: ("Cell", "In[3]"))})

    monkeypatch.setitem(sys.modules, "IPython", type("IPython", (), {"get_ipython": Shell}))
    with pytest.raises(SmscError) as caught:
        raise SmscError("x")
    assert _shown(caught.value)[-1].startswith("Cell In[3], line ")


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return what has been written to stderr since the last time."""
    need_libraries("tqdm", extra="test-all")
    return lambda: capsys.readouterr().err


@virtual_time
async def test_statuses_watch_and_batches_show_their_progress(stderr: Callable[[], str]) -> None:
    client = make_client(FakeService())
    heard: list[tuple[int, int]] = []
    reports = await client.statuses(REFS, progress=True, on_progress=lambda *numbers: heard.append(numbers))
    assert isinstance(reports, Reports)
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert "3/3" in stderr()
    async with client.watch(REFS[:2], progress=True, on_progress=lambda *numbers: heard.append(numbers)) as updates:
        assert [update.is_last async for update in updates] == [True, True]
    assert heard[3:] == [(1, 2), (2, 2)]
    assert "2/2" in stderr()
    batch = [Message(f"{PHONE},+79991234568", "Hi"), Message("+79991234569", "Hello")]
    assert len([outcome async for outcome in client.send_batch(batch, progress=True)]) == 3
    assert "3/3" in stderr()
    assert len([outcome async for outcome in client.send_batch(iter(batch), progress=True)]) == 3
    assert "3message" in stderr()  # how many there will be is unknown


@virtual_time
async def test_a_batch_with_a_wrong_item_fails_as_without_a_bar(stderr: Callable[[], str]) -> None:
    wrong: Any = [Message(PHONE, "Hi"), "no message"]
    with pytest.raises(ValueError, match="Message"):
        _ = [outcome async for outcome in make_client(FakeService()).send_batch(wrong, progress=True)]
    assert "0message" in stderr()


@pytest.mark.usefixtures("stderr")
def test_a_notebook_gets_the_bar_on_stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})())
    with Progress("message", 2) as bar:
        bar(2)
    assert "2/2" in capsys.readouterr().out


async def test_progress_without_tqdm_says_what_to_install_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.delitem(sys.modules, "tqdm.auto", raising=False)
    client = make_client(service := FakeService())
    with pytest.raises(ValueError, match=MISSING):
        client.send_batch([Message(PHONE, "Hi")], progress=True)
    with pytest.raises(ValueError, match=MISSING):
        client.watch(REFS, progress=True)
    with pytest.raises(ValueError, match=MISSING) as caught:
        await client.statuses(REFS, progress=True)
    assert not hasattr(caught.value, "__notes__")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert service.requests == []


def test_a_broken_tqdm_is_the_cause(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "tqdm"
    package.mkdir()
    (package / "__init__.py").write_text("import not_there_either", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match=MISSING) as caught:
        Progress("message")
    assert "not_there_either" in str(caught.value.__cause__)
