"""The fixtures for the tests of tasks."""

from tests.tasks.taskiq_post import make_broker, make_post, post, server, short_leases  # noqa: F401 - fixtures
