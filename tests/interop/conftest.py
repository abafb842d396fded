"""Fixtures of the tests against other SOAP programs."""

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from smsc_async import Client
from tests.interop.judges import AppServer, PhpClient, PhpServer, missing_part
from tests.parts import missing


@pytest.fixture(scope="session")
def php() -> None:
    """Ask for PHP with its soap extension; where CI says that it must be here, its absence is a failure."""
    if reason := missing_part():
        missing(reason)


@pytest.fixture(scope="session")
def _php_process(php: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpServer]:  # noqa: ARG001 - the part
    with PhpServer(tmp_path_factory.mktemp("php")) as server:
        yield server


@pytest.fixture
def php_server(_php_process: PhpServer) -> Iterator[PhpServer]:
    """PHP's SoapServer with our WSDL, before any request."""
    _php_process.reset()
    yield _php_process
    sys.stdout.write(_php_process.take_output())  # pytest shows it where a test failed


@pytest.fixture
async def client(php_server: PhpServer) -> AsyncIterator[Client]:
    """Our client of PHP's SoapServer."""
    # Other tests cover the reconciliation of a failed send; these check the answer itself.
    who = {"login": "alex", "password": "secret", "url": php_server.url, "on_unknown": "raise"}
    async with Client(**who, timeout=10, deadline=20) as client:  # type: ignore[arg-type]
        yield client


@pytest.fixture
def sandbox() -> Any:
    """A new sandbox."""
    # Here and not above, so that our client is judged where the sandbox can't be imported.
    return importlib.import_module("smsc_async.sandbox").Sandbox()


@pytest.fixture(scope="session")
def _app_server() -> Iterator[AppServer]:
    with AppServer() as server:
        yield server


@pytest.fixture
def sandbox_server(_app_server: AppServer, sandbox: Any) -> AppServer:
    """The sandbox as a server."""
    _app_server.app = sandbox.app
    return _app_server


@pytest.fixture
def php_client(php: None, sandbox_server: AppServer) -> PhpClient:  # noqa: ARG001 - the part
    """PHP's SoapClient on the sandbox's own WSDL."""
    return PhpClient(f"{sandbox_server.url}?wsdl")
