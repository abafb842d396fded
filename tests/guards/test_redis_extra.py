"""The Redis store comes with its extra, and the package works without it."""

import subprocess
import sys
from pathlib import Path

import pytest

import smsc_async.guards

ROOT = Path(__file__).parent.parent.parent


def test_store_comes_with_its_extra_and_the_package_without() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "import smsc_async.guards\n"
        "try:\n"
        "    from smsc_async.guards import RedisStore\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout == "the Redis store needs an extra package: pip install 'smsc-async[redis]'\n"


@pytest.mark.parametrize(
    ("missing", "message"), [("redis.asyncio", "pip install"), ("smsc_async.guards._redis.link", r"_redis\.link")]
)
def test_only_a_missing_extra_is_reported_as_one(missing: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("smsc_async.guards._redis.store")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=message):
        getattr(smsc_async.guards, "RedisStore")  # noqa: B009 - it is made on demand


def test_guards_export_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'FileStore'"):
        getattr(smsc_async.guards, "FileStore")  # noqa: B009 - mypy knows as well
