"""The audit file has one line for each send, and never makes a send fail."""

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from smsc_async import InsufficientFunds, Message
from smsc_async.audit import AuditLog
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time

KEY = "canarykey of sixteen bytes and more"
PHONE, TEXT = "+79990001122", "canarytext in a message"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def content(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(path).splitlines() if line]


def rotated(path: Path, how: str) -> None:
    if how == "move":
        path.rename(path.with_suffix(".1"))
    elif how == "delete":
        path.unlink()
    else:
        os.truncate(path, 0)


async def send(log: AuditLog, *script: Any) -> None:
    await make_client(FakeService([*script]), observers=[log]).send(PHONE, TEXT, id="a1", cost=3)


@virtual_time
async def test_a_send_is_a_line_with_its_cost_and_nothing_private(path: Path) -> None:
    log = AuditLog(path, key=KEY)
    await send(log, answer("send_sms", cnt="1", cost="1.40", balance="5"))
    (line,) = lines(path)
    assert list(line) == ["time", "id", "to", "outcome", "error", "cost", "text"]
    assert line["time"].endswith("+00:00")
    assert (line["id"], line["to"], line["outcome"], line["error"]) == ("a1", ["***22"], "accepted", None)
    assert line["cost"] == "1.40"
    assert "canary" not in content(path)
    assert "9990001122" not in content(path)
    log.close()


@virtual_time
async def test_a_refused_send_and_a_batch_are_lines_and_other_calls_are_none(path: Path) -> None:
    log = AuditLog(path, key=KEY)
    client = make_client(FakeService([answer("send_sms", error="3")]), observers=[log])
    with pytest.raises(InsufficientFunds):
        await client.send(PHONE, TEXT)
    await client.balance()
    async for _ in client.send_batch([Message(PHONE, TEXT), Message("+79990003344", "Hi")]):
        pass
    refused, batch = lines(path)
    assert (refused["outcome"], refused["error"], refused["cost"]) == ("rejected", "InsufficientFunds", None)
    assert (batch["to"], len(batch["text"])) == (["***22", "***44"], 2)
    log.close()


@virtual_time
async def test_a_text_matches_its_line_with_the_same_key_in_another_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(path, key=SecretStr(KEY))
    await send(log)
    log.close()
    line = content(path)
    monkeypatch.setenv("SMSC_AUDIT_KEY", KEY)
    again, other = AuditLog(path), AuditLog(path, key=b"another key of an audit")
    assert again.matches(line, TEXT)
    assert not again.matches(line, "Hi")
    assert not other.matches(line, TEXT)
    for wrong in ("", "[]", "{}", '{"text": 5}'):
        with pytest.raises(ValueError, match="one line of an audit file"):
            again.matches(wrong, TEXT)
    again.close()
    again.close()
    other.close()


@pytest.mark.parametrize("key", [None, "", "short", "x" * 65, 5])
def test_a_key_is_needed_and_a_wrong_one_is_not_quoted(path: Path, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMSC_AUDIT_KEY", raising=False)
    with pytest.raises(ValueError, match="SMSC_AUDIT_KEY") as caught:
        AuditLog(path, key=key)
    assert "short" not in str(caught.value)
    assert not path.exists()


def test_on_error_is_a_plain_function(path: Path) -> None:
    async def later(_: OSError) -> None: ...

    wrong: Any = later
    with pytest.raises(ValueError, match="on_error"):
        AuditLog(path, key=KEY, on_error=wrong)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_is_its_owners_alone_and_no_pipe(path: Path, tmp_path: Path) -> None:
    AuditLog(path, key=KEY).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(OSError, match="not a regular file"):
        AuditLog("/dev/null", key=KEY)
    with pytest.raises(FileNotFoundError):
        AuditLog(tmp_path / "none" / "a", key=KEY)


@pytest.mark.parametrize("rotate", ["move", "delete", "truncate"])
@virtual_time
async def test_a_rotated_file_gets_the_next_line(path: Path, rotate: str) -> None:
    log = AuditLog(path, key=KEY, fsync=True)
    await send(log)
    rotated(path, rotate)
    await send(log)
    assert len(lines(path)) == 1
    log.close()
    await send(log)
    assert len(lines(path)) == 2
    log.close()


@virtual_time
async def test_a_full_disk_fails_no_send_and_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[OSError] = []
    log = AuditLog(path, key=KEY, on_error=errors.append)
    real = os.write

    def part(file: int, data: bytes) -> int:
        return real(file, data[:10])

    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    for write in (part, full):
        monkeypatch.setattr(os, "write", write)
        await send(log)
    assert [error.errno for error in errors] == [errno.ENOSPC] * 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    monkeypatch.setattr(os, "write", real)
    await send(log)
    torn, whole = content(path).splitlines()
    assert len(torn) == 10
    assert json.loads(whole)["id"] == "a1"
    monkeypatch.setattr(os, "write", full)
    silent = AuditLog(path, key=KEY)
    await send(silent)
    assert len(caplog.records) == 2
    silent.close()
    log.close()


def test_processes_share_a_file_and_no_line_is_torn(path: Path) -> None:
    code = (
        "import sys; from smsc_async.audit import AuditLog\n"
        f"log = AuditLog(sys.argv[1], key={KEY!r})\n"
        "for _ in range(500): log._append(sys.argv[2].encode() * 200 + b'\\n')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), mark]) for mark in "abc"]  # noqa: S603
    assert [process.wait(60) for process in running] == [0, 0, 0]
    found = content(path).splitlines()
    assert len(found) == 1500
    assert all(len(line) == 200 and len(set(line)) == 1 for line in found)
