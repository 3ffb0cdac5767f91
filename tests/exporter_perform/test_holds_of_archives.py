"""A hold that was published keeps archives, even if the exporter's own consumer hasn't read it yet (P8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import KafkaConnectionError

from services.exporter.app import build
from services.exporter.perform import Exporting
from services.exporter.states import Deleting, Known
from services.exporter.tasks import ArchivesDeleted, DeleteArchives, DeleteFailed
from shared.events.platform import OfTables
from shared.holder.heard import HoldTopics, KeptHoldTopics
from shared.holds import placed
from shared.objects import ObjectStore
from tests.exporter_perform.school import ATTEMPT
from tests.exporter_perform.test_archives import CLOSED, DELETE, deleting
from tests.holder.command_topics import Topics, command_topics
from tests.holder.test_hold_topics import back, hold, looked_at, over, release

if TYPE_CHECKING:
    from pathlib import Path

    from shared.settings import Settings
    from tests.exporter_perform.school import School


@pytest.fixture
async def topics() -> AsyncIterator[Topics]:
    """Make topics of which nobody reads anything."""
    async with command_topics() as found:
        yield found


@pytest.fixture
async def exporting(school: School, topics: Topics) -> Exporting:
    """Give an exporter that is ordered to delete one archive and looks at the topics."""
    await school.store.put(school.bucket, "acme/e-1.zip", b"archive")
    await school.is_at(deleting())
    return replace(school.exporting, published=looked_at(topics))


async def test_what_was_published_keeps_the_archives(exporting: Exporting, school: School, topics: Topics) -> None:
    """The order was made before; nothing goes, and the answer says why."""
    await topics.tell(hold())
    outcome = await exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, DeleteFailed)
    assert (outcome.reason, outcome.deleted) == ("held", ())
    assert await school.keys() == ["acme/e-1.zip"]


async def test_who_came_back_by_what_was_published_keeps_the_archives(
    exporting: Exporting, school: School, topics: Topics
) -> None:
    """While that contract goes on, and also when it has ended: that end has a window of its own."""
    await topics.tell(back())
    active = await exporting.delete(DELETE, ATTEMPT)
    await topics.tell(over(timedelta(0)))
    again = await exporting.delete(DELETE, ATTEMPT)

    assert [getattr(one, "reason", None) for one in (active, again)] == ["contract_active", "window_open"]
    assert await school.keys() == ["acme/e-1.zip"]


async def test_others_holds_and_released_ones_keep_nothing(
    exporting: Exporting, school: School, topics: Topics
) -> None:
    """Whoever else is held, and what is over."""
    for event in (hold("fjord"), hold(), release()):
        await topics.tell(event)

    assert isinstance(await exporting.delete(DELETE, ATTEMPT), ArchivesDeleted)
    assert await school.keys() == []


async def test_a_release_that_was_published_lets_what_is_known_go(
    exporting: Exporting, school: School, topics: Topics
) -> None:
    """What was read and what was published are one: a hold that is known may be over."""
    await school.run("delete from cases", service="exporter")
    await school.is_at(deleting(*placed((), hold())))
    held = await exporting.delete(DELETE, ATTEMPT)
    await topics.tell(release())

    assert isinstance(held, DeleteFailed)
    assert isinstance(await exporting.delete(DELETE, ATTEMPT), ArchivesDeleted)


async def test_a_hold_of_tables_elsewhere_keeps_no_archive(school: School, topics: Topics) -> None:
    """Whoever commands knows that it is of others' tables, as long as it isn't placed anew."""
    placing = hold(scope=OfTables(tables=("users",)))
    await school.is_at(Deleting(Known(customer_id="acme"), "d-1", CLOSED, ("h",), placing.placed_at))
    exporting = replace(school.exporting, published=looked_at(topics))
    async with command_topics() as again:
        await again.tell(placing.model_copy(update={"placed_at": placing.placed_at + timedelta(seconds=1)}))
        anew = await replace(exporting, published=looked_at(again)).delete(DELETE, ATTEMPT)
    await topics.tell(placing)

    assert isinstance(anew, DeleteFailed)
    assert isinstance(await exporting.delete(DELETE, ATTEMPT), ArchivesDeleted)


async def test_what_is_published_during_the_deletion_keeps_the_rest(
    exporting: Exporting, school: School, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again before each page, when the others' were listed already."""
    listed = ObjectStore.sweep

    async def meanwhile(store: ObjectStore, *given: Any) -> Any:
        await topics.tell(hold())
        return await listed(store, *given)

    monkeypatch.setattr(ObjectStore, "sweep", meanwhile)
    outcome = await exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, DeleteFailed)
    assert outcome.reason == "held"
    assert await school.keys() == ["acme/e-1.zip"]


@pytest.mark.parametrize("state", ["another deletion", "none"])
async def test_an_order_that_is_taken_back_meanwhile_is_not_carried_out(
    exporting: Exporting, school: School, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The case is looked at with the topics, each time."""
    listed = ObjectStore.sweep

    async def meanwhile(store: ObjectStore, *given: Any) -> Any:
        await school.run("delete from cases", service="exporter")
        if state == "another deletion":
            await school.is_at(deleting(deletion_id="d-2"))
        return await listed(store, *given)

    monkeypatch.setattr(ObjectStore, "sweep", meanwhile)

    assert isinstance(await exporting.delete(DELETE, ATTEMPT), DeleteFailed)
    assert await school.keys() == ["acme/e-1.zip"]


async def test_without_kafka_no_archive_goes(exporting: Exporting, school: School) -> None:
    """Nobody can tell whether there is a hold, so it waits for Kafka as it would for the store."""
    away = replace(exporting, published=HoldTopics("127.0.0.1:1", "t-nobody"))
    with pytest.raises(KafkaConnectionError):
        await away.delete(DELETE, ATTEMPT)

    assert await school.keys() == ["acme/e-1.zip"]


def test_the_service_looks_at_the_topics_of_its_own_group(settings: Settings, tmp_path: Path) -> None:
    """What it is put together with is what its consumer reads, and closes with it."""
    service = build(replace(settings, topic_prefix="t-", home=tmp_path))
    [delete] = [one.perform for one in service.performances if one.task is DeleteArchives]
    published = delete.__self__.published  # type: ignore[attr-defined]

    assert isinstance(published, KeptHoldTopics)
    assert service.kept == (published,)
    assert published.topics == HoldTopics(settings.kafka, f"t-offramp.{service.domain.name}", "t-")
