"""A callback over HTTP reaches the loop of a watch."""

import anyio
import httpx

from smsc_async import MessageStatus, Update
from smsc_async.callbacks import Callbacks, InvalidCallbackSignature, StatusPush
from tests.callbacks.samples import SECRET, signed
from tests.doubles import FakeService, RawRequest, http_bytes, make_client, raw_server
from tests.watching.life import ONE


async def test_a_callback_by_get_or_post_is_an_update_and_a_forged_one_is_answered_403() -> None:
    callbacks, client = Callbacks(secrets=[SECRET]), make_client(FakeService(latency=9999))
    statuses: list[int] = []

    async def receive(request: RawRequest, writer: object) -> bool:
        query = request.line.split()[1].partition("?")[2].encode()
        try:
            push = callbacks.unwrap(query, request.body, request.headers.get("content-type", ""))
        except InvalidCallbackSignature:
            writer.write(http_bytes(b"", status="403 Forbidden"))  # type: ignore[attr-defined]
            return True
        assert isinstance(push, StatusPush)
        client.notify(push)
        writer.write(http_bytes(b"OK", content_type="text/plain"))  # type: ignore[attr-defined]
        return True

    async def call(url: str) -> None:
        fields = {"id": ONE.id, "phone": ONE.phone.removeprefix("+")}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with httpx.AsyncClient() as service:
            for status, secret in (("1", "guessed"), ("0", SECRET), ("20", SECRET)):
                body = signed({**fields, "status": status}, secret)
                if status == "0":
                    answer = await service.get(f"{url}?{body.decode()}")
                else:
                    answer = await service.post(url, content=body, headers=form)
                statuses.append(answer.status_code)

    taken: list[Update] = []
    async with raw_server(receive) as url, client.watch([ONE]) as updates, anyio.create_task_group() as group:
        while not updates.total:
            await anyio.lowlevel.checkpoint()
        group.start_soon(call, url)
        with anyio.fail_after(10):
            async for update in updates:
                taken.append(update)  # noqa: PERF401 - as users write it
    assert statuses == [403, 200, 200]
    assert [(update.status, update.source) for update in taken] == [
        (MessageStatus.SENT, "push"),
        (MessageStatus.UNDELIVERABLE, "push"),
    ]
