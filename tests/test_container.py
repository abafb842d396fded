"""The container of the example: what its files say, and its steps executed without a container engine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from typer.testing import CliRunner

from smsc_async._cli import commands
from tests.parts import missing

ROOT: Final = Path(__file__).parent.parent
EXAMPLE: Final = ROOT / "examples" / "docker"
CONTAINERFILE: Final = (EXAMPLE / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))


def _last_stage(instruction: str) -> list[str]:
    stage = CONTAINERFILE.rpartition("\nFROM ")[2]
    return re.findall(rf"^{instruction} (.*)$", stage, re.MULTILINE)


def test_the_image_is_slim_without_root_with_a_health_check_and_one_volume() -> None:
    assert CONTAINERFILE.rpartition("\nFROM ")[2].startswith("docker.io/library/python:${PYTHON}-slim\n")
    (user,) = _last_stage("USER")
    assert int(user.split(":")[0]) > 0
    (volume,) = _last_stage("VOLUME")
    (entrypoint,) = map(json.loads, _last_stage("ENTRYPOINT"))
    assert entrypoint[entrypoint.index("--state") + 1].startswith(f"{volume}/")
    (health,) = _last_stage("HEALTHCHECK")
    assert json.loads(health.partition("CMD ")[2])[-2:] == ["--wait", "http://127.0.0.1:8025"]
    assert "--no-token" not in CONTAINERFILE.rpartition("ENTRYPOINT")[2]


def test_the_files_that_are_copied_exist_and_are_those_that_the_build_needs() -> None:
    lines = re.findall(r"^COPY (?!--from)(.*) /src/", CONTAINERFILE, re.MULTILINE)
    copied = " ".join(lines).split()
    assert copied == ["pyproject.toml", "README.md", "LICENSE", "smsc_async"]
    assert all((ROOT / each).exists() for each in copied)


def test_only_this_machine_and_the_services_of_the_file_reach_the_sandbox() -> None:
    sandbox, php = COMPOSE["services"]["sandbox"], COMPOSE["services"]["php"]
    assert all(port.startswith("127.0.0.1:") for port in sandbox["ports"])
    assert sandbox["command"][-2:] == ["--allowed-host", "sandbox"]
    assert php["environment"]["SMSC_URL"] == "http://sandbox:8025/sys/soap.php"
    assert php["depends_on"]["sandbox"]["condition"] == "service_healthy"
    context = EXAMPLE / sandbox["build"]["context"]
    assert (context / sandbox["build"]["dockerfile"]).resolve() == EXAMPLE / "Containerfile"
    assert [volume.split(":")[1] for volume in sandbox["volumes"]] == _last_stage("VOLUME")
    assert [volume.split(":")[0] for volume in sandbox["volumes"]] == list(COMPOSE["volumes"])


def test_the_compose_file_of_the_page_starts_the_sandbox_with_options_that_it_has() -> None:
    page = (ROOT / "docs" / "howto" / "docker.md").read_text(encoding="utf-8")
    services = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["services"]
    assert all(port.startswith("127.0.0.1:") for port in services["sandbox"]["ports"])
    assert services["app"]["depends_on"]["sandbox"]["condition"] == "service_healthy"
    shown = CliRunner().invoke(commands, ["sandbox", "--help"], env={"COLUMNS": "200"}).output
    used = re.findall(r"--[a-z-]+", f"{services['sandbox']['command']} {services['sandbox']['healthcheck']['test']}")
    assert len(used) > 4
    assert [option for option in used if option not in shown] == []


def _python() -> str:
    """Return a Python that another user can run too, if there is one, so that the user of the image can be checked."""
    system = "/usr/bin/python3"
    code = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    if not Path(system).exists():
        return sys.executable
    asked = subprocess.run([system, "-c", code], check=False, capture_output=True)  # noqa: S603 - our own words
    return sys.executable if asked.returncode else system


@pytest.mark.slow
def test_the_steps_make_a_healthy_sandbox_that_keeps_its_state_in_the_volume() -> None:
    if not Path("/proc/self").exists():
        missing("the script looks into /proc, which only Linux has")
    ran = subprocess.run(  # noqa: S603 - our own program
        [_python(), str(EXAMPLE / "without_engine.py")],
        env={name: value for name, value in os.environ.items() if not name.startswith(("SMSC_", "PYTHON"))},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("\nhealthy\n") == 2
    assert ran.stderr.splitlines()[-1].startswith("built, healthy, and kept its state")
