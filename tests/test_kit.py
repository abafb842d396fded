"""What a contributor is told exists, and the workflows have no more rights than they need."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.parts import LibraryFinder, need
from tests.test_architecture import ARROWS, LEAVES

ROOT: Final = Path(__file__).parent.parent
GUIDE: Final = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP: Final = GUIDE.partition("## The map")[2].partition("\n## ")[0]
QUOTED: Final = sorted(set(re.findall(r"`([^`\s]+)`", GUIDE)))
TESTS: Final = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES: Final = [
    *WORKFLOWS,
    *sorted((ROOT / ".github").glob("*.md")),
    *sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")),
    *(
        ROOT / name
        for name in (".ci/run", ".pre-commit-config.yaml", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml")
    ),
]
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _steps(workflow: Any) -> list[Any]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_map_names_every_room_and_no_other_from_the_top_down() -> None:
    rooms = re.findall(r"^\| `(\w+)` \|", MAP, re.MULTILINE)
    assert sorted(rooms) == sorted(ARROWS)
    for number, room in enumerate(rooms):
        assert set(ARROWS[room].split()) <= set(rooms[number + 1 :]), f"{room} imports a room above it"


def test_the_map_names_every_leaf() -> None:
    leaves = next(line for line in MAP.splitlines() if line.startswith("Every room may import the leaves"))
    assert set(re.findall(r"`(\w+)`", leaves)) == LEAVES


@pytest.mark.parametrize("path", [name for name in QUOTED if "/" in name or name.endswith(".md")])
def test_a_file_that_the_guide_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", [name for name in QUOTED if name.startswith("test_")])
def test_a_test_that_the_guide_names_exists(name: str) -> None:
    assert re.search(rf"def {name}\(", TESTS)


@each_workflow
def test_a_workflow_has_no_permission_that_a_job_does_not_name(path: Path) -> None:
    workflow = _yaml(path)
    assert workflow["permissions"] == {}
    rights = {right for job in workflow["jobs"].values() for right in job["permissions"].items()}
    assert rights <= {("contents", "read"), ("id-token", "write"), ("pages", "write")}


@each_workflow
def test_an_action_is_pinned_by_its_hash_and_keeps_no_credentials(path: Path) -> None:
    uses = [step for step in _steps(_yaml(path)) if "uses" in step]
    assert uses
    for step in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"])
        assert not step["uses"].startswith("actions/checkout@") or step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", ["release.yml", "docs.yml"])
def test_only_the_job_that_publishes_may_identify_itself_or_write(workflow: str) -> None:
    jobs = _yaml(ROOT / ".github" / "workflows" / workflow)["jobs"]
    able = [name for name, job in jobs.items() if "write" in job["permissions"].values()]
    assert able == ["publish"]
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]


def test_ci_runs_what_a_contributor_runs() -> None:
    runs = [step.get("run") for step in _steps(_yaml(ROOT / ".github" / "workflows" / "ci.yml"))]
    assert ".ci/run" in runs
    assert "pip install '.[cli,sandbox,test]' && python -m pytest -n auto" in runs


def test_ci_measures_the_slow_tests_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["pytest"]["ini_options"]["addopts"][-2:] == ["-m", "not slow"]
    assert re.search(r'coverage" run -m pytest .*-m "" ', (ROOT / ".ci" / "run").read_text(encoding="utf-8"))


def test_a_hook_runs_what_the_lint_group_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    group = {re.split(r"[\[>=<]", name)[0] for name in project["dependency-groups"]["lint"]}
    (local,) = _yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in local["hooks"]} <= group
    assert "test" in project["project"]["optional-dependencies"]


@pytest.mark.parametrize(("ci", "ends"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_what_needs_a_missing_library_is_skipped_with_a_reason_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, ends: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("tests.parts.is_installed", lambda _: False)
    words = r"zeep is not installed: pip install '.\[test-all\]'"
    with pytest.raises(ends, match=words):
        LibraryFinder().find_spec("zeep", None)
    with pytest.raises(ends, match=words):
        need("import zeep")
    need("import smsc_async")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_of_the_kit_names_the_host_of_a_registry(path: Path) -> None:
    assert re.search(r"https?://\S*(?:pypi|pythonhosted|index)|index-url", path.read_text(encoding="utf-8")) is None


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_an_issue_form_can_be_filled_in(path: Path) -> None:
    form = _yaml(path)
    assert form["name"]
    assert form["description"]
    assert any(field["type"] != "markdown" for field in form["body"])
