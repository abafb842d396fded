"""Several sandboxes on one port do not see each other's requests."""

import sys
from importlib.abc import MetaPathFinder

import httpx
import pytest

from smsc_async import HTTPStatusError, Outcome, testing
from smsc_async.sandbox import Account, Sandbox, SandboxServer

PHONE = "+79991234567"


async def test_each_sandbox_has_its_own_url_and_gets_only_its_own_requests() -> None:
    first, second = Sandbox(), Sandbox(accounts=[Account(login="ann", password="p", apikey="k")])
    with SandboxServer() as server, server.serve(first) as url, server.serve(second) as other:
        assert url != other
        async with testing.client(first, url=url) as client:
            await client.send(PHONE, "For the first")
        async with testing.client(second, url=other) as client:
            second.faults.add("lose_answer", operation="send", times=1)
            assert (await client.send(PHONE, "For the second")).reconciled
    assert [message.text for message in first.messages] == ["For the first"]
    assert [message.text for message in second.messages] == ["For the second"]


async def test_all_paths_of_a_sandbox_are_below_its_own() -> None:
    with SandboxServer() as server, server.serve(Sandbox()) as url:
        base = url.removesuffix("/sys/soap.php")
        async with httpx.AsyncClient() as http:
            wsdl = await http.get(f"{url}?wsdl")
            ready = await http.get(f"{base}/readyz")
            other = await http.get(f"{base}2/readyz")
            root = await http.get(base.rpartition("/")[0])
    assert f'location="{url}"' in wsdl.text
    assert (ready.status_code, ready.text) == (200, "ok")
    assert (other.status_code, root.status_code) == (404, 404)


async def test_a_request_to_a_sandbox_of_an_earlier_test_is_rejected() -> None:
    sandbox = Sandbox()
    with SandboxServer() as server:
        with server.serve(sandbox) as url:
            pass
        async with testing.client(sandbox, url=url) as client:
            with pytest.raises(HTTPStatusError, match="404") as caught:
                await client.send(PHONE, "Too late")
    assert caught.value.outcome is Outcome.REJECTED
    assert sandbox.messages == ()


def test_a_server_that_does_not_run_serves_nothing() -> None:
    server = SandboxServer()
    with pytest.raises(ValueError, match="the server must be running: with SandboxServer"), server.serve(Sandbox()):
        pass
    with server:
        pass
    with pytest.raises(ValueError, match="the server must be running"), server.serve(Sandbox()):
        pass


class _Missing(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002 - as importlib calls it
        if fullname == self._name:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("uvicorn", r"^serving a sandbox needs an extra package: pip install 'smsc-async\[sandbox\]'$"),
        ("h11", "No module named 'h11'"),
    ],
)
def test_a_missing_extra_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch, missing: str, words: str) -> None:
    again = {"uvicorn", "h11"}
    for name in [name for name in sys.modules if name.partition(".")[0] in again or name.endswith("sandbox._server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(missing), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=words):
        Sandbox().serve()
    with pytest.raises(ModuleNotFoundError, match=words):
        SandboxServer()
