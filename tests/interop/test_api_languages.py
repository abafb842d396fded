"""The API of the sandbox from curl, from node and from PHP in another container's shape."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.parts import missing

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent
EXAMPLE: Final = ROOT / "examples" / "docker"
GUIDE: Final = (ROOT / "docs" / "reference" / "sandbox-api.md").read_text(encoding="utf-8")
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed")
    return found


def _run(*command: str, **environment: str) -> str:
    ran = subprocess.run(  # noqa: S603 - programs of the tests
        command, env={**ENVIRONMENT, **environment}, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def _serve(*arguments: str) -> "tuple[subprocess.Popen[str], str]":
    """Start the command `sandbox` in a process of its own, and return it with the address and port."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "smsc_async", "sandbox", "--quiet", *arguments, "--port", "0"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[4].split("/")[2].replace("0.0.0.0", "127.0.0.1")


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[str]:
    process, netloc = _serve(*getattr(request, "param", ()))
    yield netloc
    process.terminate()
    process.communicate(timeout=30)


def _send(netloc: str, text: str) -> None:
    fields = f"<apikey>demo</apikey><phones>+79991234567</phones><mes>{text}</mes>"
    soap = 'xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="https://smscentre.com/sys/soap.php"'
    body = f"<e:Envelope {soap}><e:Body><n:send>{fields}</n:send></e:Body></e:Envelope>"
    assert httpx.post(f"http://{netloc}/sys/soap.php", content=body).status_code == 200


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def test_curl_as_in_the_guide(served: str) -> None:
    _program("curl")
    _send(served, "Your code is 4821")
    answer: dict[str, Any] = json.loads(
        _run("sh", "-c", _block("sh").replace("curl", "curl -sS").replace("127.0.0.1:8025", served))
    )
    assert (answer["total"], answer["messages"][0]["codes"]) == (1, ["4821"])


@pytest.mark.parametrize("served", [["--token", "s3cret"]], indirect=True)
def test_curl_with_a_token(served: str) -> None:
    curl = _program("curl")
    url = f"http://{served}/_sandbox/api/faults"
    assert json.loads(_run(curl, "-sS", url)) == {
        "error": "this sandbox needs its token: Authorization: Bearer <token>"
    }
    bearer = ("-H", "Authorization: Bearer s3cret")
    fault = ("-H", "Content-Type: application/json", "-d", '{"kind": "http", "status": 502, "times": 1}')
    assert json.loads(_run(curl, "-sS", *bearer, *fault, url))["id"] == 1
    assert _run(curl, "-sS", *bearer, "-X", "DELETE", "-w", "%{http_code}", url) == "204"
    assert _run(curl, "-sS", f"http://{served}/readyz") == "ok"


def test_curl_finds_no_file(served: str) -> None:
    curl = _program("curl")
    for path in ("../../../etc/passwd", "messages/../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd"):
        url = f"http://{served}/_sandbox/api/{path}"
        status = _run(curl, "-sS", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", url)
        assert status in {"404", "422"}, path


def test_node_as_in_the_guide(served: str, tmp_path: Path) -> None:
    node = _program("node")
    _send(served, "Your code is 4821")
    api = f"http://{served}/_sandbox/api"
    script = tmp_path / "guide.mjs"
    script.write_text(_block("js").replace("127.0.0.1:8025", served).replace("await fetch(`${api}/reset`", "//"))
    assert _run(node, str(script)) == "4821\n"
    (message,) = httpx.get(f"{api}/messages").json()["messages"]
    assert (message["status"], message["err"]) == (20, 6)
    assert httpx.get(f"{api}/faults").json()["faults"][0]["kind"] == "http"
    script.write_text(_block("js").replace("127.0.0.1:8025", served))
    assert httpx.delete(f"{api}/faults").status_code == 204
    _send(served, "Another code: 1234")
    assert _run(node, str(script)) == "1234\n"
    assert httpx.get(f"{api}/messages").json()["total"] == 0


@pytest.mark.usefixtures("php")
def test_php_in_another_container_uses_the_service_and_the_api() -> None:
    compose = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))
    process, netloc = _serve("--host", "0.0.0.0", *compose["services"]["sandbox"]["command"])
    try:
        _run(sys.executable, "-m", "smsc_async", "sandbox", "--wait", f"http://{netloc}")
        answer = json.loads(_run("php", str(Path(__file__).parent / "container.php"), SANDBOX=netloc))
        refused = httpx.get(f"http://{netloc}/_sandbox/api/messages", headers={"Host": "evil.test"})
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert answer == {
        "location": "http://sandbox:8025/sys/soap.php",
        "codes": ["4821"],
        "status": "20",
        "err": "6",
    }
    assert refused.status_code == 403


@pytest.mark.usefixtures("php")
def test_the_php_program_of_the_example_reads_the_code_and_sees_its_message_delivered(served: str) -> None:
    shown = _run("php", str(EXAMPLE / "client.php"), SMSC_URL=f"http://{served}/sys/soap.php")
    assert re.fullmatch(r"sent as \d+\nthe code is 4821\nits status is 1\n", shown)
