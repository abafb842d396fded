"""Pages that are made from the code when the site is built, so that they can't say something else."""

import ast
import dataclasses
import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
from typer.main import get_command
from typer.testing import CliRunner

import smsc_async
from smsc_async import ApiError, DeliveryError, MessageStatus
from smsc_async._cli import commands
from smsc_async.guards import Rule, Rules
from smsc_async.sandbox import Sandbox

__all__ = ["MODULES", "pages"]

MODULES: Final = (
    "smsc_async",
    "smsc_async.sync",
    "smsc_async.guards",
    "smsc_async.callbacks",
    "smsc_async.fastapi",
    "smsc_async.aiohttp",
    "smsc_async.taskiq",
    "smsc_async.otel",
    "smsc_async.audit",
    "smsc_async.sandbox",
    "smsc_async.testing",
    "smsc_async.pytest_plugin",
)
"""The public modules; each has a page with all its names."""
_FOREIGN_BASES: Final = (
    "BaseModel, BaseException, Enum, int, str, tuple, dict, Protocol, Generic, ABC, BaseInstrumentor"
)


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page."""
    for module in MODULES:
        yield module, "".join(_module(module))
    yield "codes", "".join(_codes())
    yield "rules", "".join(_rules())
    yield "commands", "".join(_commands())
    yield "openapi", "".join(_openapi())


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    yield f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :no-members:\n"
    for public in module.__all__:
        value = getattr(module, public)
        if name != "smsc_async" and getattr(smsc_async, public, None) is value:
            yield f"\n.. py:class:: {public}\n   :module: {name}\n\n   The same as :class:`smsc_async.{public}`.\n"
        elif inspect.isclass(value):
            yield f"\n.. autoclass:: {name}.{public}\n   :members:\n   :inherited-members: {_FOREIGN_BASES}\n"
        elif inspect.isroutine(value):
            yield f"\n.. autofunction:: {name}.{public}\n"
        else:
            yield f"\n.. py:data:: {public}\n   :module: {name}\n\n   {_said_of(public)}\n"
    yield "```\n"


def _said_of(name: str) -> str:
    """Return the text below the assignment of a name."""
    for file in sorted(Path(smsc_async.__file__).parent.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        bodies = [getattr(node, part, []) for node in [tree, *tree.body] for part in ("body", "orelse")]
        for node, following in itertools.chain.from_iterable(map(itertools.pairwise, bodies)):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = {each.id for each in targets if isinstance(each, ast.Name)}
            if name in names and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return " ".join(str(following.value.value).split())
    raise LookupError(f"{name} has no text below its assignment")


def _codes() -> Iterator[str]:
    yield "# Codes\n\n## Errors of the service\n\n| error | exception | what to do |\n|---|---|---|\n"
    values = [getattr(smsc_async, name) for name in smsc_async.__all__]
    errors = [each for each in values if inspect.isclass(each) and issubclass(each, ApiError) and each is not ApiError]
    for error in sorted(errors, key=lambda error: str(inspect.getdoc(error))):
        number, _, _ = str(inspect.getdoc(error)).removeprefix("Error ").partition(":")
        yield f"| {number} | `{error.__name__}` | {error.advice} |\n"
    for kind, title in ((MessageStatus, "Statuses of a message"), (DeliveryError, "Why a message was not delivered")):
        yield f"\n## {title}\n\n`{kind.__name__}`; other numbers are kept as they are.\n\n"
        yield "| code | name | meaning |\n|---|---|---|\n"
        yield from (f"| {code.value} | `{code.name}` | {code.phrase} |\n" for code in kind)


def _rules() -> Iterator[str]:
    yield "# The numbers of the rules\n\n"
    yield "[Limits](../reference/limits.md) says what each rule means and where it comes from.\n\n"
    yield "| rule | requests | seconds | over the limit | what it counts |\n|---|---|---|---|---|\n"
    described = dict(
        re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", inspect.getdoc(Rules) or "", re.DOTALL | re.MULTILINE)
    )
    for field in dataclasses.fields(Rules):
        rule = getattr(Rules(), field.name)
        meaning = " ".join(described[field.name].split())
        if isinstance(rule, Rule):
            seconds = f"{rule.seconds:g}" if rule.seconds else "at once"
            yield f"| `{field.name}` | {rule.count} | {seconds} | {rule.policy} | {meaning} |\n"
        else:
            yield f"| `{field.name}` | | | off | {meaning} |\n"


def _commands() -> Iterator[str]:
    group: Any = get_command(commands)
    yield "# The commands\n\nThe help of each command, as `smsc-async COMMAND --help` shows it.\n"
    for name in sorted(group.commands):
        shown = CliRunner().invoke(commands, [name, "--help"], prog_name="smsc-async", env={"COLUMNS": "100"}).output
        yield f"\n## {name}\n\n```text\n{shown.strip()}\n```\n"


def _openapi() -> Iterator[str]:
    yield "# The sandbox's API, in full\n\n"
    yield "[The sandbox from any language](../reference/sandbox-api.md) shows how to use it.\n"
    document = _document(Sandbox())
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            yield f"\n## {method.upper()} {path}\n\n{operation.get('description') or operation.get('summary', '')}\n\n"
            parameters = operation.get("parameters", [])
            if parameters:
                yield "| parameter | meaning |\n|---|---|\n"
                yield from (f"| `{each['name']}` | {each.get('description', '')} |\n" for each in parameters)
            if "requestBody" in operation:
                yield f"\nBody: {_body(operation['requestBody'])}.\n"
            answers = (f"{status} {_body(answer)}".strip() for status, answer in operation["responses"].items())
            yield "\nAnswers: " + ", ".join(answers) + ".\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f"\n## {name}\n\n{schema.get('description', '')}\n\n"
        if "properties" not in schema:
            yield f"{_type(schema)}\n"
            continue
        yield "| field | type | meaning |\n|---|---|---|\n"
        for field, kind in schema["properties"].items():
            required = "" if field in schema.get("required", []) else ", may be left out"
            yield f"| `{field}` | {_type(kind)}{required} | {' '.join(kind.get('description', '').split())} |\n"


def _body(part: dict[str, Any]) -> str:
    content = part.get("content", {}).get("application/json")
    return _type(content["schema"]) if content else ""


def _type(schema: dict[str, Any]) -> str:
    """Return a type of a JSON schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"a list of {_type(schema['items'])}"
    return str(schema.get("format", schema.get("type", "any")))


def _document(sandbox: Sandbox) -> dict[str, Any]:
    with sandbox.serve() as url:
        found: dict[str, Any] = httpx.get(url.replace("/sys/soap.php", "/_sandbox/api/openapi.json")).json()
    return found
