"""The learning platform around the services: whose rows are where, and the long work on them, with its misfortunes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from services.retention import tasks
from shared.events.platform import Erased, NotErased
from shared.events.vocabulary import TableCount, TableFingerprint
from shared.holder.domain import Holding
from shared.holder.right import MOST_DRIFT, RefusedError, Right, check_command
from shared.holder.tasks import Erase, EraseEnded
from shared.holds import held
from shared.performer import Attempt, Performance
from shared.statecodec import StateCodec

from .faults import PassingError
from .shelf import Shelf

if TYPE_CHECKING:
    from .worker import Worker
    from .world import World

DATABASE, MEDIA, ARCHIVES = "platform-database", "platform-media", "export-archives"
BUCKET = "offramp-exports"
TABLES = {DATABASE: ("users", "courses"), MEDIA: ("offramp-media",), ARCHIVES: (BUCKET,)}
_holding: StateCodec[Holding] = StateCodec(Holding)


@dataclass
class Platform:
    """Rows by table, each with its owner; *noted*: what was deleted under which command."""

    world: World
    rows: dict[str, dict[str, str]] = field(
        default_factory=lambda: {table: {} for tables in TABLES.values() for table in tables}
    )
    noted: dict[str, dict[str, int]] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    # What is in an archive, by its checksum, and which of them were sent to whom.
    contents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sent: dict[tuple[str, str], str] = field(default_factory=dict)
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self._shelved)

    def _shelved(self, place: str) -> None:
        """Keep the books of the bucket: an archive is a row of its customer's there."""
        customer_id = place.removeprefix(f"s3://{BUCKET}/").partition("/")[0]
        if self.shelf.of(place):
            self.rows[BUCKET][place] = customer_id
        else:
            self.rows[BUCKET].pop(place, None)
        self.world.checker.stored(place)

    def add(self, table: str, customer_id: str) -> str:
        """Add a row of *customer_id*'s."""
        name = f"{table}-{len(self.world.touched)}-{len(self.rows[table])}-{customer_id}"
        self.rows[table][name] = customer_id
        return name

    def own(self, table: str, customer_id: str) -> list[str]:
        """Give the customer's rows."""
        return [row for row, owner in self.rows[table].items() if owner == customer_id]

    def others(self, table: str, customer_id: str) -> tuple[int, str]:
        """Count and fingerprint everybody else's rows."""
        names = sorted(row for row, owner in self.rows[table].items() if owner != customer_id)
        return len(names), sha256("\n".join(names).encode()).hexdigest()

    def erase(self, names: Sequence[str], customer_id: str) -> None:
        """Delete the customer's rows of some tables, at one blow."""
        for table in names:
            for row in self.own(table, customer_id):
                del self.rows[table][row]
        if BUCKET in names:
            for place in [*self.shelf.versions, *self.shelf.uploads]:
                if place.startswith(f"s3://{BUCKET}/{customer_id}/"):
                    self.shelf.clear(place)
        self.world.checker.erased(customer_id)


async def survey(worker: Worker, task: tasks.Survey, _: Attempt) -> tasks.Surveyed | tasks.SurveyFailed:
    """Read all holders before the deletion."""
    step = {"customer_id": task.customer_id, "deletion_id": task.deletion_id, "attempt": task.attempt}
    await work(worker)
    if worker.world.unlucky(0.05):
        return tasks.SurveyFailed(**step, reason="not_declared")
    readings = _readings(worker.world.platform, task.holders, task.customer_id)
    # Now and then a mass of customers is due, or seems to be.
    due = 1000 if sha256(f"{task.deletion_id}/{task.attempt}".encode()).digest()[0] < 25 else 1
    worker.world.checker.surveyed(task, due)
    return tasks.Surveyed(**step, readings=readings, due=due, customers=10_000, usual_rows=None)


async def check(worker: Worker, task: tasks.Check, _: Attempt) -> tasks.Checked | tasks.CheckFailed:
    """Read all holders after the deletion."""
    step = {"customer_id": task.customer_id, "deletion_id": task.deletion_id, "attempt": task.attempt}
    await work(worker)
    if worker.world.unlucky(0.05):
        return tasks.CheckFailed(**step, reason="not_declared")
    return tasks.Checked(**step, readings=_readings(worker.world.platform, task.holders, task.customer_id))


async def certify(worker: Worker, task: tasks.Certify, _: Attempt) -> tasks.Certified | tasks.CertifyFailed:
    """Put a certificate on the shelf."""
    await work(worker)
    place = f"s3://offramp-certificates/{task.customer_id}/{task.deletion_id.replace(':', '-')}.json"
    digest = sha256(task.model_dump_json().encode()).hexdigest()
    worker.world.platform.certificates[place] = digest
    return tasks.Certified(
        customer_id=task.customer_id, deletion_id=task.deletion_id, attempt=task.attempt, certificate=place,
        certificate_sha256=digest,
    )  # fmt: skip


async def upgrade(worker: Worker, task: tasks.Upgrade, _: Attempt) -> tasks.Upgraded:
    """Put the second certificate on the shelf."""
    await work(worker)
    place = task.certificate.replace(".json", "-upgrade.json")
    return tasks.Upgraded(
        customer_id=task.customer_id, deletion_id=task.deletion_id, attempt=task.attempt, certificate=place,
        certificate_sha256=sha256(task.model_dump_json().encode()).hexdigest(),
    )  # fmt: skip


async def erase(worker: Worker, task: Erase, attempt: Attempt) -> EraseEnded:
    """Carry out a command as the product's holder does, or fail, or lie."""
    try:
        answer = await _erased(worker, task, attempt)
    except RefusedError as refused:
        answer = NotErased(reason=refused.reason)
    return EraseEnded(
        customer_id=task.customer_id, deletion_id=task.deletion_id, holder=task.holder, respond_by=task.respond_by,
        answer=answer,
    )  # fmt: skip


async def _erased(worker: Worker, task: Erase, attempt: Attempt) -> Erased | NotErased:
    world, now = worker.world, attempt.clock()
    if abs(world.now() - now) > MOST_DRIFT:
        raise RefusedError("clock", "the clocks disagree")
    check_command(Right(task.window_closed_at, held=_held(worker, task.customer_id, now)), now)
    await work(worker)
    if world.unlucky(0.1):
        await asyncio.sleep(world.rng.uniform(0, 4) * 86400)
    if world.unlucky(0.05):
        return NotErased(reason="failed")
    if _held(worker, task.customer_id, attempt.clock()):
        raise RefusedError("held", "a hold came meanwhile")
    return _delete(world, task)


def _delete(world: World, task: Erase) -> Erased:
    platform, names = world.platform, TABLES[task.holder]
    before = {name: platform.others(name, task.customer_id) for name in names}
    if task.noted_as not in platform.noted:
        deleted = {name: len(platform.own(name, task.customer_id)) for name in names}
        # Now and then a holder says that all is gone, and it isn't.
        if world.unlucky(0.15):
            world.trace(task.holder, f"lies about {task.customer_id}")
            return _answer(platform, task, deleted, before, lie=True)
        platform.erase(names, task.customer_id)
        platform.noted[task.noted_as] = deleted
    return _answer(platform, task, platform.noted[task.noted_as], before)


def _answer(
    platform: Platform, task: Erase, deleted: dict[str, int], before: dict[str, tuple[int, str]], *, lie: bool = False
) -> Erased:
    names = TABLES[task.holder]
    after = {name: platform.others(name, task.customer_id) for name in names}
    left = {name: 0 if lie else len(platform.own(name, task.customer_id)) for name in names}
    return Erased(
        deleted=tuple(TableCount(table=name, rows=deleted[name]) for name in names),
        remaining=tuple(TableCount(table=name, rows=left[name]) for name in names),
        bystanders=tuple(
            TableFingerprint(
                table=name,
                rows_before=before[name][0],
                rows_after=after[name][0],
                before=before[name][1],
                after=after[name][1],
            )
            for name in names
        ),
    )


def _held(worker: Worker, customer_id: str, now: datetime) -> bool:
    row = worker.service.database.cases.get(customer_id)
    return row is not None and row["state"] is not None and held(_holding.load(row["state"]).holds, now)


async def work(worker: Worker) -> None:
    """Take some time, in which anything may happen; or fail, to be begun again."""
    world = worker.world
    await asyncio.sleep(world.rng.choice([0.1, 10.0, 600.0, 7200.0]) * world.rng.random())
    await worker.gate("kafka or store")
    if world.unlucky(0.1):
        raise PassingError


def _readings(platform: Platform, holders: Sequence[str], customer_id: str) -> tuple[tasks.HolderReading, ...]:
    return tuple(
        tasks.HolderReading(
            holder=holder, tables=tuple(_reading(platform, name, customer_id) for name in TABLES[holder])
        )
        for holder in holders
    )


def _reading(platform: Platform, name: str, customer_id: str) -> tasks.TableReading:
    others, fingerprint = platform.others(name, customer_id)
    own = len(platform.own(name, customer_id))
    return tasks.TableReading(table=name, own=own, others=others, fingerprint=fingerprint)


def retention_work(worker: Worker) -> list[Performance]:
    """Give the retention service's work."""
    return [
        Performance(tasks.Survey, lambda task, attempt: survey(worker, task, attempt)),
        Performance(tasks.Check, lambda task, attempt: check(worker, task, attempt)),
        Performance(tasks.Certify, lambda task, attempt: certify(worker, task, attempt)),
        Performance(tasks.Upgrade, lambda task, attempt: upgrade(worker, task, attempt)),
    ]


def holder_work(worker: Worker) -> list[Performance]:
    """Give a holder's work."""
    return [Performance(Erase, lambda task, attempt: erase(worker, task, attempt))]
