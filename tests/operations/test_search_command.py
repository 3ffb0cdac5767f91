"""``offramp case search`` finds a customer's identifiers in whatever topic or log they stand, and shows none."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from typer.testing import CliRunner, Result

from services.retention.app import MIGRATIONS
from shared.errors import OperatorError
from shared.migrate import migrate
from shared.operations.search_command import search_command
from shared.worker import Place

DAY_MS = 86_400_000
MOMENT = 1_795_000_000_000


@pytest.fixture
async def crm(place: Place) -> AsyncIterator[str]:
    """Make a topic that keeps for a day, in segments of an hour."""
    name = f"{place.prefix}crm"
    config = {"retention.ms": str(DAY_MS), "segment.ms": str(DAY_MS // 24), "message.timestamp.type": "CreateTime"}
    admin = AIOKafkaAdminClient(bootstrap_servers=place.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=config)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


@pytest.fixture
async def own_retention(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Give the retention service a database of the test's own."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", postgres)
    connection = await asyncpg.connect(postgres)
    await migrate(connection, MIGRATIONS)
    yield connection
    await connection.close()


@pytest.fixture
def offramp(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give the command, pointed at the test's own topics."""
    monkeypatch.setenv("OFFRAMP_TOPIC_PREFIX", place.prefix)
    app = typer.Typer()
    app.command()(search_command)

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


async def test_events_of_the_customer_go_by_themselves(crm: str, producer: AIOKafkaProducer, offramp: Any) -> None:
    """They are counted, and it is said by when the topic has let the last one go."""
    for moment in (MOMENT, MOMENT - 5):
        await producer.send_and_wait(crm, b'{"customer_id":"acme"}', b"acme", timestamp_ms=moment)
    await producer.send_and_wait(crm, b'{"customer_id":"acme-east"}', b"acme-east")
    done = await offramp("acme", "--json")
    told = {one["place"]: one for one in json.loads(done.stdout)["topics"]}

    assert done.exit_code == 0
    assert (told[crm]["own"], told[crm]["naming"]) == (2, 0)
    assert told[crm]["gone_by"] == "2026-11-19T12:06:40+00:00"
    assert "2 events of the customer, the last gone by 2026-11-19 12:06 UTC" in (await offramp("acme")).stdout


async def test_what_a_topic_keeps_for_ever_does_not_go(place: Place, producer: AIOKafkaProducer, offramp: Any) -> None:
    """An event of the customer in a topic without an end is a copy."""
    await producer.send_and_wait(f"{place.prefix}ContractRegistered", b"{}", b"acme")

    assert (await offramp("acme")).exit_code == 1


async def test_a_record_of_somebody_else_that_names_it_is_found(
    crm: str, producer: AIOKafkaProducer, offramp: Any
) -> None:
    """In the value or in a header, under another key or none."""
    await producer.send_and_wait(crm, b'{"of": "Acme."}', b"other")
    await producer.send_and_wait(crm, None, b"x", headers=[("tenant", b"acme")])
    done = await offramp("acme", "--json")

    assert done.exit_code == 1
    assert [one["naming"] for one in json.loads(done.stdout)["topics"] if one["place"] == crm] == [2]


@pytest.mark.parametrize("written", ["Åsa Öberg", json.dumps("Åsa Öberg"), "dear åsa öberg!"])
async def test_a_name_may_stand_nowhere(place: Place, producer: AIOKafkaProducer, offramp: Any, written: str) -> None:
    """Not in a dead letter of the customer either, however it is written; it is counted and not shown."""
    await producer.send_and_wait(f"dlq.{place.prefix}ContractRegistered", written.encode(), b"acme")
    done = await offramp("acme", "--also", "Åsa Öberg")

    assert done.exit_code == 1
    assert "1 with another identifier" in done.stdout
    assert "berg" not in done.stdout


async def test_logs_are_read_too(tmp_path: Path, crm: str, offramp: Any) -> None:
    """Lines are counted, packed or not; the id may stand in them, nothing else of the customer's."""
    (tmp_path / "a.log").write_text('{"customer":"acme"}\n{"customer":"acme2"}\n')
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(b'{"customer":"acme"}\n{"to":"ann@acme.test"}\n'))
    logs = ("--log", str(tmp_path / "a.log"), "--log", str(tmp_path / "b.log.gz"))
    done = await offramp("acme", *logs, "--json")

    assert done.exit_code == 0
    assert [one["naming"] for one in json.loads(done.stdout)["logs"]] == [1, 1]
    assert (await offramp("acme", *logs, "--also", "ann@acme.test")).exit_code == 1


async def test_by_what_else_it_goes_is_looked_for_while_its_deletion_is_under_way(
    place: Place, producer: AIOKafkaProducer, offramp: Any, own_retention: asyncpg.Connection[asyncpg.Record]
) -> None:
    """As the retention service has read it; not when that is too short, and it isn't shown."""
    await own_retention.execute("insert into called values ('acme', 'd-1', 'shop', null, array['acme-school', 'abc'])")
    await producer.send_and_wait(f"dlq.{place.prefix}ContractRegistered", b"of Acme-School, abc", b"fjord")
    done, told = await offramp("acme"), json.loads((await offramp("acme", "--json")).stdout)
    another = await offramp("fjord", "--json")

    assert done.exit_code == 1
    assert "1 with another identifier" in done.stdout
    assert "for 2 ids" in done.stdout
    assert "school" not in done.stdout.lower()
    assert (told["identifiers"], told["others_unread"]) == (2, None)
    assert json.loads(another.stdout)["identifiers"] == 1


async def test_where_that_can_not_be_asked_it_is_said(crm: str, offramp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search goes on by the id alone."""
    monkeypatch.setenv("OFFRAMP_RETENTION_DSN", "postgresql://postgres@127.0.0.1:9/none")
    done = await offramp("acme")

    assert done.exit_code == 0
    assert "Not read by what else the customer goes: retention's database can't be asked" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"), [(("acme", "--also", ""), "at least one"), (("acme", "--log", "/no"), "--log")]
)
async def test_a_mistake_is_a_sentence(offramp: Any, arguments: tuple[str, ...], says: str) -> None:
    """An identifier that is everywhere, a log that is nowhere."""
    done = await offramp(*arguments)

    assert isinstance(done.exception, OperatorError)
    assert says in str(done.exception)
