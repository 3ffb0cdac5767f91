"""An operator sees which deletions wait, for what, and what each would delete, per table and in all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from services.retention.app import app
from services.retention.states import Awaiting, InWindow, Keeping, State
from shared.statecodec import StateCodec
from tests.retention.exploration import explored

CODEC: StateCodec[object] = StateCodec(State)


async def test_what_waits(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion that waits for a decision is shown with its dry run; who only waits for time isn't."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", own_database)
    states = [state for state, _ in explored().states.values()]
    too_many = next(one for one in states if isinstance(one, Awaiting) and "blast_radius" in one.missing)
    in_window = next(one for one in states if isinstance(one, InWindow))
    connection = await asyncpg.connect(own_database)
    for name, state in (("acme", too_many), ("other", in_window)):
        insert = "insert into cases (customer_id, key_hash, state) values ($1, 1, $2::jsonb)"
        await connection.execute(insert, name, CODEC.dump(state))
    await connection.close()
    (shown,) = json.loads((await _run("waiting", "--json")).stdout)
    text = (await _run("waiting")).stdout

    assert (shown["customer"], shown["missing"], shown["customers_due"]) == ("acme", list(too_many.missing), 1000)
    assert shown["rows"] == sum(row["rows"] for row in shown["counts"]) == 20
    assert "acme: acme:" in text
    assert (await _run("waiting", "nobody")).exit_code == 1


async def test_what_is_kept(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that waits for a hold of a part is shown with what is kept, where, and for which holds."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", own_database)
    states = [state for state, _ in explored().states.values()]
    keeping = next(one for one in states if isinstance(one, Keeping) and any(row.kept for row in one.after))
    connection = await asyncpg.connect(own_database)
    insert = "insert into cases (customer_id, key_hash, state) values ($1, 1, $2::jsonb)"
    await connection.execute(insert, "acme", CODEC.dump(keeping))
    await connection.close()
    (shown,) = json.loads((await _run("waiting", "--json")).stdout)

    kept = [row for row in keeping.after if row.kept]
    assert (shown["missing"], shown["holders"]) == (["held"], [row.holder for row in kept])
    assert [one["rows"] for one in shown["counts"]] == [3] * len(kept)
    assert shown["holds"]


async def _run(*arguments: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
