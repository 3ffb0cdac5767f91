"""``offramp case`` says where a customer stands with every service that can be asked."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import entry_points
from typing import Any

import pytest
from counting import DOMAIN, NOW
from typer.testing import CliRunner, Result

from services.exporter.link_command import state_of
from shared.commands import GROUP, build
from shared.decision import Fact
from shared.errors import OperatorError
from shared.events.platform import ExportRequested, NoticeReceived
from shared.operations.cases import app
from shared.postgres import PostgresProcess
from shared.settlement import Arrival


@pytest.fixture
async def offramp(postgres: str, pool: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the command; notice and exporter share the test's database, retention's is away."""
    monkeypatch.setenv("OFFRAMP_NOTICE_DSN", postgres)
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", postgres)
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", "postgresql://nobody:secret@127.0.0.1:1/nowhere")
    await _live(pool)

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


async def _live(pool: Any) -> None:
    """Let acme's notice wait and its request be counted, zoo be stuck, and acme have a task that failed."""
    process = PostgresProcess(DOMAIN, pool, 2)
    notice = NoticeReceived(customer_id="acme", contract_id="c1", notice_id="n1", channel="email", received_at=NOW)
    request = ExportRequested(customer_id="zoo", request_id="r1", requested_at=NOW)
    await process.arrivals(
        [Arrival(Fact("e-1", "/support", NOW, notice)), Arrival(Fact("e-2", "/support", NOW, request))], (), NOW
    )
    await pool.execute(
        "update cases set stuck = 'ValueError in decide, line 3', wakes_at = $1 where customer_id = 'zoo'", NOW
    )
    await pool.execute(
        "insert into tasks (id, customer_id, kind, body, attempts, failure)"
        " values (gen_random_uuid(), 'acme', 'Erase', '{}', 3, 'TimeoutError')"
    )


async def test_a_case_is_shown_with_all_that_matters(offramp: Any) -> None:
    """State, next wake-up, what waits and until when, and the tasks with their failures are told."""
    shown = await offramp("show", "acme", "--service", "notice")

    assert shown.exit_code == 0
    for told in (
        "next wake-up: 2026-03-08T12:00:00Z",
        "kind: known",
        "waits: NoticeReceived e-1 until 2026-03-08T12:00:00Z: no contract is known",
        "kind=Erase  attempts=3  failure=TimeoutError",
    ):
        assert told in shown.stdout


async def test_a_stuck_case_says_why(offramp: Any) -> None:
    """A case that failed when it was woken stands out, with its reason."""
    assert (
        "STUCK since it was last woken: ValueError in decide, line 3"
        in (await offramp("show", "zoo", "--service", "notice")).stdout
    )
    listed = json.loads((await offramp("list", "--stuck", "--service", "notice", "--json")).stdout)
    assert listed["services"]["notice"] == [
        {"customer": "zoo", "reason": "ValueError in decide, line 3", "next_try": "2026-03-01T12:00:00Z"}
    ]


async def test_what_waits_is_listed(offramp: Any) -> None:
    """The list of waiting events names customer, type, id, how long and why."""
    listed = (await offramp("list", "--waiting", "--service", "notice")).stdout

    assert "customer=acme  type=NoticeReceived  id=e-1  since=2026-03-01T12:00:00Z" in listed
    assert "reason=no contract is known" in listed


async def test_one_database_that_is_away_leaves_the_others(offramp: Any) -> None:
    """What can be asked is shown; what can't is named, without its password, and the exit code tells."""
    shown = await offramp("show", "acme")

    assert shown.exit_code == 3
    assert shown.stdout.count("kind: known") == 2
    assert "retention: its database can't be asked" in shown.stderr
    assert "secret" not in shown.output


async def test_a_customer_nobody_knows(offramp: Any) -> None:
    """Of an unknown customer each service says so, and the exit code is 1."""
    shown = await offramp("show", "nobody", "--service", "notice")

    assert (shown.exit_code, shown.stdout) == (1, "notice: never heard of nobody\n")


async def test_an_id_that_no_row_can_have(offramp: Any) -> None:
    """Bytes that are no UTF-8 can be nobody's id: that is said, with what to look at."""
    error = (await offramp("show", "\udcff", "--service", "notice")).exception

    assert isinstance(error, OperatorError)
    assert "Check the id" in str(error)
    assert str(error).isprintable()
    assert (await offramp("list", "--stuck", "--limit", "9" * 20)).exit_code == 2


async def test_a_case_of_another_release_is_said_to_be_one(offramp: Any, postgres: str) -> None:
    """Who needs to read a case that can't be read is told which, and what shows it all the same."""
    shown = await offramp("show", "acme", "--service", "notice")
    with pytest.raises(OperatorError, match="offramp case show acme --service exporter"):
        await state_of(postgres, "acme")
    explained = await asyncio.to_thread(
        CliRunner().invoke, build(tuple(entry_points(group=GROUP))), ["case", "explain", "acme"]
    )

    assert shown.exit_code == 0
    assert isinstance(explained.exception, OperatorError)
    assert "offramp case show acme --service notice" in str(explained.exception)


async def test_the_list_needs_to_know_which(offramp: Any) -> None:
    """A list of everything would be a million lines: one has to say of what."""
    assert isinstance((await offramp("list")).exception, OperatorError)
