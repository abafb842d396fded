"""Importing an integration without its extra names the extra."""

import subprocess
import sys
from pathlib import Path

import pytest

import smsc_async

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["fastapi", "aiohttp"])
def test_a_missing_package_is_reported_with_the_extra(name: str) -> None:
    code = (
        f"import sys; sys.modules[{name!r}] = None\n"
        "try:\n"
        f"    import smsc_async.{name}\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout == f"smsc_async.{name} needs an extra package: pip install 'smsc-async[{name}]'\n"


@pytest.mark.parametrize(("name", "part"), [("fastapi", "starlette.requests"), ("aiohttp", "aiohttp.web")])
def test_other_missing_modules_are_reported_unchanged(monkeypatch: pytest.MonkeyPatch, name: str, part: str) -> None:
    monkeypatch.delitem(sys.modules, f"smsc_async.{name}", raising=False)
    monkeypatch.delattr(smsc_async, name, raising=False)
    if name == "aiohttp":
        monkeypatch.delattr("aiohttp.web", raising=False)
    monkeypatch.setitem(sys.modules, part, None)
    with pytest.raises((ModuleNotFoundError, ImportError)) as caught:
        __import__(f"smsc_async.{name}")
    assert "extra package" not in str(caught.value)
