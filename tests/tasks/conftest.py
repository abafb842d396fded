"""The fixtures for the tests of tasks."""

from tests.parts import is_installed

if is_installed("taskiq_redis"):
    from tests.tasks.taskiq_post import make_broker, make_post, post, server, short_leases  # noqa: F401 - fixtures
