"""Rows of results become tables of pandas and polars, with their types."""

from datetime import timedelta
from decimal import Decimal

import pytest

from smsc_async import Message, MessageNotFound, MessageRef, Reports, testing
from smsc_async.sandbox import Sandbox
from tests.parts import need_libraries

need_libraries("pandas", "polars")
import pandas as pd  # noqa: E402 - after the check that it is there
import polars as pl  # noqa: E402

pytestmark = pytest.mark.slow  # CI installs both on the Python of the slow tests


async def _reports() -> "Reports[object]":
    """Return reports, most of them without what the last one has."""
    sandbox = Sandbox()
    async with testing.client(sandbox) as client:
        messages = [Message(f"+7916{number:07}", f"Order {number}") for number in range(150)]
        refs = [outcome.ref async for outcome in client.send_batch(messages) if outcome.ref]
        await sandbox.advance(3600)
        early = await client.statuses([MessageRef("+79991234567", "none"), *refs[:120]])
        late = await client.statuses(refs[120:], detail=2)
    return Reports([*early, *late])


async def test_rows_become_a_pandas_table() -> None:
    table = pd.DataFrame((await _reports()).to_rows())
    assert len(table) == 151
    assert str(table["changed_at"].dtype).endswith(", UTC]")
    assert table["status"].dropna().isin([1, 3, 20, 22, 23, 25]).all()
    assert isinstance(table["cost"].dropna().iloc[0], Decimal)
    assert table["cost"].dropna().sum() == Decimal("4.5") * 30
    assert list(table["failure"].dropna()) == [MessageNotFound.__name__]
    assert (table["changed_at"] - table["sent_at"]).dropna().min() > timedelta(0)


async def test_rows_become_a_polars_table() -> None:
    table = pl.DataFrame((await _reports()).to_rows(), infer_schema_length=None)
    assert table.shape[0] == 151
    assert table.schema["changed_at"] == pl.Datetime("us", "UTC")
    assert table.schema["status"] == pl.Int64
    assert isinstance(table.schema["cost"], pl.Decimal)
    assert table["cost"].sum() == Decimal("4.5") * 30
    assert table["operator"].null_count() == 121


async def test_the_messages_of_a_sandbox_and_the_state_of_the_guards_become_tables() -> None:
    sandbox = Sandbox()
    async with testing.client(sandbox) as client:
        sent = await client.send(["+79991234567", "+79991234568"], "Hello", cost=3)
        rules = pl.DataFrame((await client.guards.snapshot()).to_rows(), infer_schema_length=None, strict=False)
        for rows in (sandbox.to_rows(), sent.to_rows()):
            assert len(pd.DataFrame(rows)) == pl.DataFrame(rows).shape[0] == 2
    assert rules.filter(pl.col("rule") == "identical_send")["full"].to_list() == [1]
