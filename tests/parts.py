"""Parts of the environment that some tests need: without one they are skipped and say so; in CI its absence fails."""

import os
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from typing import Final, NoReturn

import pytest

__all__ = ["LIBRARIES", "LibraryFinder", "is_installed", "missing", "need", "need_libraries"]

LIBRARIES: Final = {
    "celery",
    "django",
    "gunicorn",
    "jsonschema_rs",
    "opentelemetry.instrumentation",
    "openpyxl",
    "opentelemetry.sdk",
    "phonenumbers",
    "playwright",
    "pytest_aiohttp",
    "redis",
    "requests",
    "schemathesis",
    "sentry_sdk",
    "taskiq",
    "taskiq_redis",
    "zeep",
}
"""Libraries of the extra `test-all` that the extra `test` does not install."""


def missing(reason: str) -> NoReturn:
    """Skip the test or the test file; in CI, where everything has to be there, fail."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def is_installed(library: str) -> bool:
    """Return whether a library can be imported, or the package that it is in."""
    return PathFinder.find_spec(library.partition(".")[0]) is not None


def need(program: str) -> None:
    """Skip the test if the program names a library that is not installed."""
    for library in sorted(LIBRARIES):
        if library in program and not is_installed(library):
            missing(_words(library))


def need_libraries(*libraries: str, extra: str = "notebook") -> None:
    """Skip the test file if one of these libraries, which others import if they are there, is not installed."""
    for library in libraries:
        if not is_installed(library):
            missing(f"{library} is not installed: pip install '.[{extra}]' polars")


class LibraryFinder(MetaPathFinder):
    """Skips the test or the test file that imports such a library, if no other finder has found it."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002 - as importlib calls it
        """Skip the test if this is one of the libraries."""
        if fullname in LIBRARIES:
            missing(_words(fullname))


def _words(library: str) -> str:
    return f"{library} is not installed: pip install '.[test-all]'"
