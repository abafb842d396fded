"""The salt of a deployment: without it, a reader of Redis can guess what keys stand for."""

import logging
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import pytest
from pydantic import SecretBytes, SecretStr
from redis.asyncio import Redis

from smsc_async.guards import RedisStore
from tests.guards.redis_store import SECRET, refused, take
from tests.guards.redis_store import on as demand_on

URL = "redis://127.0.0.1:1"


async def test_without_a_salt_a_reader_of_redis_has_the_key_of_the_hashes_and_with_one_has_not(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMSC_GUARD_SALT", raising=False)
    without, given = stores(), stores(salt=SECRET)
    await without.open()
    await given.open()
    read = bytes.fromhex(str(await raw.hget(f"{{{prefix}}}:epoch", "salt")))
    found = blake2b(read, key=blake2b(b"").digest(), digest_size=32).digest()
    assert found == without.salt
    assert found != given.salt
    assert SECRET not in str(await raw.hgetall(f"{{{prefix}}}:epoch"))


@pytest.mark.parametrize("salt", [SECRET, SECRET.encode(), SecretStr(SECRET), SecretBytes(SECRET.encode())])
async def test_the_salt_of_the_environment_counts_together_with_the_same_one_as_an_argument(
    stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch, salt: Any
) -> None:
    given = stores(salt=salt)
    monkeypatch.setenv("SMSC_GUARD_SALT", SECRET)
    environment = stores()
    monkeypatch.setenv("SMSC_GUARD_SALT", "another")
    argument = stores(salt=salt)
    assert await given.open() == await environment.open() == await argument.open()
    await take(given, demand_on())
    await refused(environment, demand_on())


async def test_an_empty_variable_is_no_salt(stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_GUARD_SALT", "")
    empty = stores()
    monkeypatch.delenv("SMSC_GUARD_SALT")
    assert await empty.open() == await stores().open()


def test_text_that_is_not_unicode_is_a_salt_too() -> None:
    RedisStore.from_url(URL, salt="\udcff" + SECRET)


@pytest.mark.parametrize("salt", ["", b"", SecretStr(""), SecretBytes(b""), 123, 0, False, [SECRET], {SECRET: 1}])
@pytest.mark.parametrize(
    "make", [RedisStore.from_url, lambda url, **options: RedisStore(Redis.from_url(url), **options)]
)
def test_an_empty_or_odd_salt_is_refused_without_showing_it(make: Callable[..., RedisStore], salt: Any) -> None:
    with pytest.raises(ValueError, match="salt must be a secret text or bytes, not empty") as caught:
        make(URL, salt=salt)
    assert SECRET not in repr(caught.value)


def test_a_salt_is_in_no_repr_and_no_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SMSC_GUARD_SALT", SECRET)
    stores = [RedisStore.from_url(URL), *(RedisStore.from_url(URL, salt=each) for each in (SECRET, SecretStr(SECRET)))]
    for store in stores:
        assert SECRET not in f"{store!r} {vars(store)!r} {vars(store._link)!r}"
    assert SECRET not in caplog.text
