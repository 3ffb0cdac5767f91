"""An operator sees which deletions wait, for what, and what each would delete, per table and in all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from services.retention.app import app
from services.retention.states import Awaiting, InWindow, Keeping, Retaining, Stalled, State
from shared.clock import MovedClock, system_clock
from shared.errors import OperatorError
from shared.statecodec import StateCodec
from tests.retention.exploration import explored
from tests.retention.language import CLOSES, DAY, casework
from tests.retention.test_early_deletion import EARLY, asked, confirmed, found, in_the_window, ready

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


async def test_a_case_that_cannot_be_read_hides_no_other(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of another release is named, with what shows it; the others are told, and the exit code says: not all."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", own_database)
    states = [state for state, _ in explored().states.values()]
    too_many = CODEC.dump(next(one for one in states if isinstance(one, Awaiting)))
    strange = {**json.loads(too_many), "missing": [{"later": 1}]}
    connection = await asyncpg.connect(own_database)
    for name, state in (("acme", json.dumps(strange)), ("other", too_many)):
        insert = "insert into cases (customer_id, key_hash, state) values ($1, 1, $2::jsonb)"
        await connection.execute(insert, name, state)
    await connection.close()
    shown, alone = await _run("waiting", "--json"), await _run("waiting", "acme")

    assert [one["customer"] for one in json.loads(shown.stdout)] == ["other"]
    assert shown.exit_code == alone.exit_code == 3
    assert "offramp case show acme --service retention" in shown.stderr
    assert "Nothing waits" not in alone.output


@pytest.mark.parametrize("what", [("--limit", "9" * 20), ("\udcff",)], ids=["too many", "no text"])
async def test_what_no_database_can_be_asked(
    own_database: str, monkeypatch: pytest.MonkeyPatch, what: tuple[str, ...]
) -> None:
    """What no row can have is no trace: it is said, or not understood."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", own_database)
    asked_for = await _run("waiting", *what)

    assert asked_for.exit_code == 2 or isinstance(asked_for.exception, OperatorError)


async def test_what_is_kept(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that waits for a hold of a part is shown with what is kept, where, and for which holds."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", own_database)
    states = [state for state, _ in explored().states.values()]
    # One in which nothing is kept for a law besides: that waits for no hold.
    keeping = next(
        one
        for one in states
        if isinstance(one, Keeping)
        and any(row.kept for row in one.after)
        and not any(holder.status == "retained" for holder in one.deletion.holders)
    )
    connection = await asyncpg.connect(own_database)
    insert = "insert into cases (customer_id, key_hash, state) values ($1, 1, $2::jsonb)"
    await connection.execute(insert, "acme", CODEC.dump(keeping))
    await connection.close()
    (shown,) = json.loads((await _run("waiting", "--json")).stdout)

    kept = [row for row in keeping.after if row.kept]
    assert (shown["missing"], shown["holders"]) == (["held"], [row.holder for row in kept])
    assert [one["rows"] for one in shown["counts"]] == [3] * len(kept)
    assert shown["holds"]


async def test_what_a_holder_says_and_the_check_does_not_find(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would be asked again by a second person's word is told apart from who said to have deleted less."""
    states = [state for state, _ in explored().states.values()]
    state = next(one for one in states if isinstance(one, Stalled) and one.disputed)
    shown = await _shown(own_database, monkeypatch, state)

    assert (shown["missing"], shown["disputed"]) == (["counts"], list(state.disputed))


async def test_what_only_a_law_keeps(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed account of which laws keep something is shown, with the first day on which that may go."""
    state = next(one for one, _ in explored().states.values() if isinstance(one, Retaining) and one.known.retained)
    rows = state.known.retained.rows
    shown = await _shown(own_database, monkeypatch, state)

    assert (shown["missing"], shown["until"]) == (["retained"], min(row.until for row in rows).isoformat())
    assert [(one["holder"], one["table"], one["rows"]) for one in shown["counts"]] == [
        (row.holder, row.table, row.rows) for row in rows
    ]


async def test_what_the_exporter_owes(own_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An early end that waits for the second comparison is shown; when that has come, or isn't needed, it isn't."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())
    work.until(EARLY + 2 * DAY)
    clock = tmp_path / "clock"
    monkeypatch.setenv("OFFRAMP_MOVED_CLOCK", str(clock))
    MovedClock.move(clock, work.now - system_clock())
    shown = await _shown(own_database, monkeypatch, work.state)
    assert (shown["missing"], shown["holders"]) == (["not_compared"], ["exporter"])
    MovedClock.move(clock, CLOSES - system_clock())

    assert (await _run("waiting")).exit_code == 1


async def _shown(own_database: str, monkeypatch: pytest.MonkeyPatch, state: object) -> Any:
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", own_database)
    connection = await asyncpg.connect(own_database)
    insert = "insert into cases (customer_id, key_hash, state) values ($1, 1, $2::jsonb)"
    await connection.execute(insert, "acme", CODEC.dump(state))
    await connection.close()
    (shown,) = json.loads((await _run("waiting", "--json")).stdout)
    return shown


async def _run(*arguments: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
