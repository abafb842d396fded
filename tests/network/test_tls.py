"""The trusted certificates: by default those of certifi, else those of the environment or the caller."""

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from smsc_async import ConnectError, Outcome, Timeout
from smsc_async._network import HttpxTransport
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.tls import no_tls, tls_context
from tests.doubles import RawRequest, http_bytes, raw_server

CERTIFICATE = Path(__file__).parent / "localhost.pem"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_one_context_serves_all_that_verify_alike() -> None:
    context = tls_context(True)
    assert tls_context(True) is context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) > 50


def test_callers_own_context_is_used() -> None:
    mine = ssl.create_default_context()
    assert tls_context(mine) is mine


def test_nothing_is_verified_on_demand_only() -> None:
    context = tls_context(False)
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


@pytest.mark.parametrize(("name", "value", "count"), [("FILE", CERTIFICATE, 1), ("DIR", CERTIFICATE.parent, 0)])
def test_environment_names_the_certificates(
    name: str, value: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SSL_CERT_{name}", str(value))
    assert len(tls_context(True).get_ca_certs()) == count


def _junk(path: Path) -> Path:
    path.write_text("junk")
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


BROKEN: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "file is gone": ("SSL_CERT_FILE", lambda path: path),
    "file is junk": ("SSL_CERT_FILE", _junk),
    "file is empty": ("SSL_CERT_FILE", _empty),
    "file is a folder": ("SSL_CERT_FILE", _folder),
    "folder is gone": ("SSL_CERT_DIR", lambda path: path),
    "folder is a file": ("SSL_CERT_DIR", _junk),
}


@pytest.mark.parametrize("what", BROKEN)
def test_certificates_that_can_not_be_read_send_nothing_and_are_read_once_they_are_mended(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, make = BROKEN[what]
    path = make(tmp_path / "certificates")
    monkeypatch.setenv(name, str(path))
    for _ in range(2):
        with pytest.raises(ConnectError, match=f"{name}.*nothing was sent") as caught:
            tls_context(True)
        assert (caught.value.outcome, caught.value.__context__) == (Outcome.NOT_SENT, None)
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    if name == "SSL_CERT_FILE":
        path.write_bytes(CERTIFICATE.read_bytes())
    else:
        path.mkdir()
    assert tls_context(True).verify_mode is ssl.CERT_REQUIRED


def test_a_file_or_folder_that_must_not_be_read_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(ssl, "create_default_context", refuse)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "forbidden"))
    with pytest.raises(ConnectError, match=r"SSL_CERT_FILE can't be read \(PermissionError\)"):
        tls_context(True)
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConnectError, match="SSL_CERT_DIR"):
        tls_context(True)


def test_one_good_folder_of_several_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"/gone{os.pathsep}{tmp_path}")
    assert tls_context(True).verify_mode is ssl.CERT_REQUIRED


def test_a_changed_environment_is_seen_by_the_next_context(monkeypatch: pytest.MonkeyPatch) -> None:
    before = tls_context(True)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert tls_context(True) is not before


@pytest.mark.parametrize("make", [HttpxTransport, AiohttpTransport])
async def test_certificates_are_read_for_https_only(
    make: type[HttpxTransport | AiohttpTransport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone"))
    requests: list[RawRequest] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        requests.append(request)
        writer.write(http_bytes(b"<a/>"))
        return True

    async with raw_server(serve) as url:
        transport = make()
        assert (await transport.post(url, {}, b"", Timeout(5))).body == b"<a/>"
        with pytest.raises(ConnectError, match="SSL_CERT_FILE can't be read"):
            await transport.post(url.replace("http:", "https:"), {}, b"", Timeout(5))
        await transport.aclose()
    assert len(requests) == 1


def test_the_context_without_tls_trusts_no_certificate() -> None:
    context = no_tls()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs() == []
