"""What all tests share: in CI the examples of Hypothesis are the same each time."""

import os

from hypothesis import settings

from tests.machine import machine

__all__ = ["machine"]

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")
