"""The end of a customer's data when a holder is silent, and when the law stops it at the last moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from deploy.demo import ground, proof
from deploy.demo.watch import Watch
from deploy.platform.generate import BUCKET
from shared.datamap.model import load
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    DeletionAcknowledged,
    Erased,
    ErasedInPart,
    LegalHoldPlaced,
    LegalHoldReleased,
    OfTables,
)
from shared.events.retention import AccountClosed, DeletionRequested, DeletionStalled, RetentionExpired
from shared.objects import ObjectStore
from shared.settings import Settings
from shared.signing.sshsig import ARCHIVE, CERTIFICATE
from tests.scenarios.phrases import contract
from tests.scenarios.scene import Scene, scene
from tests.scenarios.waits import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
OWNERS = ("retention", "exporter", "holder", "mailer", "platform")
READ = ("LegalHoldPlaced", "LegalHoldReleased", "DeletionRequested", "DeletionAcknowledged", "RetentionExpired")
MAP = load(ground.DEPLOY / "platform" / "map.yaml")
WINDOW = timedelta(days=91)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Fill a platform and start every service but the one that deletes; three contracts are known."""
    async with scene(settings, tmp_path_factory.mktemp("scene"), *OWNERS) as one:
        ground.make_sure_of_keys(one.ground.keys, CERTIFICATE)
        ground.make_sure_of_keys(one.ground.exporter_keys, ARCHIVE)
        await ground.fill(one.ground)
        try:
            workers = [await one.start(name) for name in ("retention", "exporter", "mailer")]
            await asyncio.gather(*(worker.ready() for worker in workers))
            await one.publish(*map(contract, one.ground.customers.all()))
            yield one
        finally:
            await _sweep(one)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watch(made: Scene) -> AsyncIterator[Watch]:
    """Hear what becomes of the deletions."""
    kinds = (RetentionExpired, DeletionRequested, DeletionAcknowledged, DeletionStalled, AccountClosed)
    async with made.hearing(*kinds) as one:
        yield one


async def test_silent_holder(made: Scene, watch: Watch) -> None:
    """A holder that doesn't answer is told to an operator, and no account is closed; when it answers, it is.

    What it was commanded while it was away is out of date by then: it deletes nothing before it is commanded anew.
    """
    customer, ended_at = made.ground.customers.leaves, datetime(2027, 6, 30, 22, tzinfo=UTC)
    await _end(made, customer, ended_at)
    await _warned(made, customer, ended_at + WINDOW)
    made.ground.move_to(ended_at + WINDOW)
    await watch.expect(DeletionRequested, customer, 3)
    await watch.expect(DeletionAcknowledged, customer)
    await _quiet(made, ended_at + WINDOW, "retention", "exporter")
    made.ground.move_to(ended_at + WINDOW + timedelta(days=2))

    stalled = await watch.expect(DeletionStalled, customer)
    assert (stalled.reason, set(stalled.holders)) == ("unanswered", {"platform-database", "platform-media"})
    assert not watch.all(AccountClosed, customer)
    before = await proof.holdings(made.ground, MAP, customer)
    assert before.rows > 0
    await made.ready("holder")
    await _quiet(made, ended_at + WINDOW + timedelta(days=2), "retention", "exporter", "holder")
    assert await proof.holdings(made.ground, MAP, customer) == before
    made.ground.move_to(ended_at + WINDOW + timedelta(days=4))
    closed = await watch.expect(AccountClosed, customer)
    assert closed.rows_deleted > 0
    left = await proof.holdings(made.ground, MAP, customer)
    assert (left.rows, left.objects) == (0, ())


async def test_hold_at_the_last_moment(made: Scene, watch: Watch) -> None:
    """A hold that comes when the window closes keeps everything; when it ends all goes, and nobody else is touched."""
    customer, ended_at = made.ground.customers.held, datetime(2027, 7, 14, 22, tzinfo=UTC)
    others = (made.ground.customers.late, made.ground.customers.stays)
    await _end(made, customer, ended_at)
    before = {name: await proof.holdings(made.ground, MAP, name) for name in (customer, *others)}
    closes_at = ended_at + WINDOW
    await _warned(made, customer, closes_at)
    await made.publish(
        LegalHoldPlaced(customer_id=customer, hold_id="h-1", basis="RB 38:2", placed_by="legal:3", placed_at=closes_at)
    )
    made.ground.move_to(closes_at)
    await watch.expect(RetentionExpired, customer)
    await _quiet(made, closes_at, "retention", "exporter", "holder")

    assert not watch.all(AccountClosed, customer)
    answers = (answer for answer in watch.all(DeletionAcknowledged, customer) if answer.holder != "export-archives")
    assert not any(isinstance(answer.outcome, Erased) for answer in answers)
    assert await proof.holdings(made.ground, MAP, customer) == before[customer]
    await made.publish(
        LegalHoldReleased(customer_id=customer, hold_id="h-1", released_by="legal:3", released_at=closes_at)
    )
    # The hold took back what was announced; the customer is told anew, and has until then.
    await _told(made, customer, ":moved-")
    made.ground.move_to(closes_at + timedelta(days=3))
    await watch.expect(AccountClosed, customer)
    assert (await proof.holdings(made.ground, MAP, customer)).rows == 0
    assert {name: await proof.holdings(made.ground, MAP, name) for name in others} == {
        name: before[name] for name in others
    }


async def test_hold_of_a_part(made: Scene, watch: Watch) -> None:
    """All but the held rows goes on time, and that is checked; the account is closed when they have gone too."""
    customer, ended_at = made.ground.customers.late, datetime(2027, 12, 31, 23, tzinfo=UTC)
    await _end(made, customer, ended_at)
    closes_at = ended_at + WINDOW
    await _warned(made, customer, closes_at)
    part = OfTables(tables=("reports",))
    await made.publish(
        LegalHoldPlaced(
            customer_id=customer, hold_id="h-2", basis="BFL 7:2", placed_by="legal:3", placed_at=closes_at, scope=part
        )
    )
    made.ground.move_to(closes_at)
    await watch.expect(DeletionAcknowledged, customer, 3)
    answers = {one.holder: one.outcome for one in watch.all(DeletionAcknowledged, customer)}
    in_part = answers["platform-database"]
    kind = "select state ->> 'kind' from cases where customer_id = $1"
    await until("it was looked at", lambda: made.ask("retention", kind, customer), lambda found: found == "keeping")

    assert isinstance(in_part, ErasedInPart)
    assert {one.table for one in in_part.held} == {"reports"}
    assert isinstance(answers["platform-media"], Erased)
    assert isinstance(answers["export-archives"], Erased)
    left = await proof.holdings(made.ground, MAP, customer)
    assert (left.rows, left.objects) == (sum(one.rows for one in in_part.kept), ())
    assert not watch.all(AccountClosed, customer)
    await made.publish(
        LegalHoldReleased(customer_id=customer, hold_id="h-2", released_by="legal:3", released_at=closes_at)
    )
    closed = await watch.expect(AccountClosed, customer)
    assert closed.rows_deleted > sum(one.rows for one in in_part.kept)
    assert (await proof.holdings(made.ground, MAP, customer)).rows == 0


async def _end(made: Scene, customer: str, ended_at: datetime) -> None:
    """Let *customer*'s contract be over, and wait until the platform has marked it so."""
    made.ground.move_to(ended_at + timedelta(hours=8))
    await made.publish(
        ContractTerminated(
            customer_id=customer,
            contract_id=f"{customer}-1",
            basis="breach",
            period_end=ended_at.date(),
            terminated_at=ended_at,
            time_zone="Europe/Stockholm",
        )
    )
    status = "select status from customers where id = $1"
    await until("marked as ended", lambda: made.ask("platform", status, customer), lambda found: found == "ended")
    known = "select exists (select from cases where customer_id = $1 and state ->> 'kind' = 'window')"
    await until("the window is open", lambda: made.ask("retention", known, customer))


async def _warned(made: Scene, customer: str, closes_at: datetime) -> None:
    """Let the last warning of the deletion reach *customer*."""
    made.ground.move_to(closes_at - timedelta(hours=12))
    await _told(made, customer, ":1$")


async def _told(made: Scene, customer: str, announcement: str) -> None:
    told = f'$.known.informed[*] ? (@.announcement_id like_regex "deletion.*{announcement}")'
    known = "select exists (select from cases where customer_id = $1 and jsonb_path_exists(state, $2::text::jsonpath))"
    await until("the customer was told", lambda: made.ask("retention", known, customer, told))


async def _quiet(made: Scene, now: datetime, *services: str) -> None:
    """Wait until *services* have read all there is and have nothing left to do or to say."""
    left = """
        select (select count(*) from tasks) + (select count(*) from outbox)
             + (select count(*) from cases where wakes_at <= $1)
    """

    async def behind() -> list[str]:
        ends, busy = await made.ends(*READ), []
        for service in services:
            committed = await made.committed(service)
            lags = any(at < ends[where] for where, at in committed.items() if where in ends)
            if lags or await made.ask(service, left, now):
                busy.append(service)
        return busy

    await until("all is quiet", behind, lambda busy: not busy)


async def _sweep(made: Scene) -> None:
    """Remove what is left of the customers in buckets that others use too."""
    async with ObjectStore(made.ground.settings.s3) as store:
        for customer in made.ground.customers.all():
            for bucket in (BUCKET, made.ground.settings.exports_bucket):
                await store.delete_all_versions(bucket, f"{customer}/")
