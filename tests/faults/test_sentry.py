"""The real Sentry SDK with its default settings, which record all variables, receives nothing private."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration

from tests.faults.fault_frames import CALLS, CANARY, PASSWORD, PHONE, TEXT
from tests.faults.test_frames import FAILURES, _options, each_transport


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    received: list[dict[str, Any]] = []

    class Memory(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            received.extend(item.payload.json for item in envelope.items if item.payload.json is not None)

    with sentry_sdk.isolation_scope():
        # The other integrations patch libraries, which later tests of this process would notice.
        breadcrumbs = LoggingIntegration(level=logging.DEBUG)
        dsn = "https://key@sentry.test/1"
        sentry_sdk.init(dsn, transport=Memory, default_integrations=False, integrations=[breadcrumbs])
        yield received
        sentry_sdk.init()


def _frames(event: dict[str, Any]) -> list[dict[str, Any]]:
    values = event["exception"]["values"]
    return [frame for value in values for frame in value.get("stacktrace", {}).get("frames", ())]


def test_sentry_records_the_variables_of_a_frame(events: list[dict[str, Any]]) -> None:
    try:
        secret = PASSWORD
        int(secret[0])
    except ValueError as error:
        sentry_sdk.capture_exception(error)
    assert CANARY.search(json.dumps(events[0]["exception"]))


@each_transport
@pytest.mark.parametrize("name", ["refused", "no TLS", "proxy refuses", "silence", "cut", "stalled", "page", "fault"])
async def test_sentry_receives_nothing_private(
    name: str, transport: Any, events: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for label, call in CALLS.items():
        async with FAILURES[name][0](_options(transport=transport)) as client:
            try:
                if name == "stalled":
                    await client.send(PHONE, TEXT, extra={"x": TEXT * 400_000})
                await call(client)
            except Exception as error:  # noqa: BLE001 - any is reported
                sentry_sdk.capture_exception(error)
        if name == "stalled" and label == "send":
            break
    assert events
    for event in events:
        assert _frames(event)
        for frame in _frames(event):
            if frame["module"].startswith("tests."):  # the caller's own
                frame["vars"], frame["pre_context"], frame["post_context"] = {}, [], []
        assert event["breadcrumbs"]["values"] or name == "stalled"
        assert not CANARY.search(json.dumps(event)), event
