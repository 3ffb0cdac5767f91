"""Two workers of the notice service share the work, hand it over, and end in time when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import monotonic

import pytest
import pytest_asyncio

from services.notice.domain import REACTIONS
from shared.decision import Fact
from shared.events.envelope import Record, read
from shared.events.notice import NoticeAccepted, NoticeRejected
from shared.events.platform import NoticeReceived
from shared.identity import inbox_key
from shared.settings import Settings
from tests.chaos.history import ENDS_AT, READ_AT, History, draw
from tests.chaos.storm import SERVICE, tell
from tests.chaos.verdict import TOPICS, all_read, carried_out, found_good
from tests.scenarios.scene import PARTITIONS, Scene, scene
from tests.scenarios.waits import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
# What the service reads, its own ContractTerminated among it.
ALL_PARTITIONS = len(REACTIONS) * PARTITIONS
ANSWERS = ("NoticeAccepted", "NoticeRejected")
# Of an orchestrator, between SIGTERM and SIGKILL.
GRACE = 10


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Start two workers; the tests of this module end them one after the other."""
    async with scene(settings, tmp_path_factory.mktemp("scene"), SERVICE) as one:
        one.ground.move_to(READ_AT)
        await asyncio.gather(*(worker.ready() for worker in [await one.start(SERVICE) for _ in range(2)]))
        yield one


async def test_shared_and_handed_over(made: Scene) -> None:
    """Each reads a part of the partitions; one is ended under load, the other takes over; none is lost or doubled."""
    first, second = made.started
    for worker in (first, second):
        await _reads(made, worker.port, ALL_PARTITIONS // 2)
    history = draw(31, 1000)
    telling = asyncio.create_task(tell(made, history, 3))
    await _answers_come(made)
    began = monotonic()

    assert await first.terminate() == 0
    assert monotonic() - began < GRACE
    await telling
    await _reads(made, second.port, ALL_PARTITIONS)
    await all_read(made)
    made.ground.move_to(ENDS_AT)
    await carried_out(made)
    await found_good(made, history)
    made.ground.move_to(READ_AT)


async def test_ended_under_load(made: Scene) -> None:
    """The last one ends under load in time; no offset is beyond its database, and all it owes is published or owed."""
    before, history = draw(31, 1000), draw(32, 3000)
    answered = sum((await made.ends(*ANSWERS)).values())
    telling = asyncio.create_task(tell(made, history, 3))
    await _answers_come(made, answered)
    began = monotonic()

    assert await made.started[1].terminate() == 0
    assert monotonic() - began < GRACE
    await telling
    known = set(await made.ask(SERVICE, "select array_agg(key) from inbox"))
    committed = await made.committed(SERVICE)
    said = await made.records(*TOPICS)
    assert sum(committed.values()) < len(said)
    beyond = [one for one in said if one.offset < committed.get((one.topic, one.partition), 0)]
    assert {inbox_key(read(one)) for one in beyond} <= known
    assert await _unanswered(made, (read(one) for one in said if inbox_key(read(one)) in known)) == []
    await (await made.start(SERVICE)).ready()
    await all_read(made)
    made.ground.move_to(ENDS_AT)
    await carried_out(made)
    await found_good(made, History((*before.sent, *history.sent), ()))


async def _reads(made: Scene, port: int, partitions: int) -> None:
    """Wait until the worker with its pages on *port* says that it has so many partitions, and Kafka says the same."""
    worker = next(one for one in made.started if one.port == port)
    await until("a share", lambda: worker.page("ready"), lambda page: page[1].get("partitions") == partitions)
    (described,) = await made.admin.describe_consumer_groups([made.group(SERVICE)])
    members = described.groups[0][5]
    assert len(members) == ALL_PARTITIONS // partitions


async def _answers_come(made: Scene, before: int = 0) -> None:
    async def answers() -> int:
        return sum((await made.ends(*ANSWERS)).values())

    await until("the first answers", answers, lambda count: count > before)


async def _unanswered(made: Scene, taken_in: Iterable[Fact]) -> list[str]:
    """Name the notices that were taken in, but neither answered, nor owed an answer, nor wait."""
    published = await made.records(*ANSWERS)
    owed = [Record(row["topic"], 0, 0, 0, None, row["payload"], ()) for row in await made.rows(SERVICE, OWED, ANSWERS)]
    waiting = await made.ask(SERVICE, WAITING)
    answers = [read(one).event for one in (*published, *owed)]
    answered = {(one.customer_id, one.notice_id) for one in answers if isinstance(one, NoticeAccepted | NoticeRejected)}
    return [
        fact.id
        for fact in taken_in
        if isinstance(fact.event, NoticeReceived)
        and (fact.event.customer_id, fact.event.notice_id) not in answered
        and f'{fact.id}\\"' not in waiting
    ]


# A structured CloudEvent says in its value all that its headers say.
OWED = "select aggregatetype as topic, payload from outbox where aggregatetype = any($1)"
WAITING = "select coalesce(string_agg(waiting::text, ' '), '') from cases"
