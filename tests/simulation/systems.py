"""The learning platform around the services: whose rows are where, and the long work on them, with its misfortunes."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from services.retention import tasks
from services.retention.addendum import addendum_document
from services.retention.certificate import certificate_of, document
from services.retention.proving import NotProvenError
from shared.events.platform import Erased, ErasedInPart, NotErased
from shared.events.retention import Keep
from shared.events.vocabulary import TableCount, TableFingerprint
from shared.holder.domain import Holding
from shared.holder.heard import with_contracts
from shared.holder.held import kept_by
from shared.holder.right import MOST_DRIFT, RefusedError, Right, check_command, check_contracts
from shared.holder.tasks import Erase, EraseEnded
from shared.holds import Holds, held, in_force
from shared.performer import Attempt, Performance
from shared.statecodec import StateCodec

from .books import INVOICES, USERS, Books, Kept, kept_of
from .faults import PassingError
from .shelf import Shelf

if TYPE_CHECKING:
    from .worker import Worker
    from .world import World

DATABASE, MEDIA, ARCHIVES = "platform-database", "platform-media", "export-archives"
BUCKET = "offramp-exports"
TABLES = {DATABASE: (USERS, "courses", INVOICES), MEDIA: ("offramp-media",), ARCHIVES: (BUCKET,)}
_holding: StateCodec[Holding] = StateCodec(Holding)


@dataclass
class Platform:
    """Rows by table, each with its owner; *noted*: what was deleted under which command."""

    world: World
    rows: dict[str, dict[str, str]] = field(
        default_factory=lambda: {table: {} for tables in TABLES.values() for table in tables}
    )
    noted: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    books: Books = field(default_factory=Books)
    certificates: dict[str, str] = field(default_factory=dict)
    # What is in an archive, by its checksum, and which of them were sent to whom.
    contents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # What a delta says that its base has.
    taken: dict[str, tuple[str, ...]] = field(default_factory=dict)
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
        others = (row for row, owner in self.rows[table].items() if owner != customer_id)
        names = sorted(map(self.books.as_it_is, others))
        return len(names), sha256("\n".join(names).encode()).hexdigest()

    def kept(self, names: Iterable[str], customer_id: str, keep: Iterable[Keep] = ()) -> Kept:
        """Tell what has to stay of the customer's rows in some tables."""
        return kept_of(self.books, {name: self.own(name, customer_id) for name in names}, keep, self.world.now())

    def erase(self, names: Sequence[str], customer_id: str, kept: Kept | None = None) -> Counter[str]:
        """Delete the customer's rows of some tables, at one blow, but what is *kept*; count them."""
        gone: Counter[str] = Counter()
        for table in names:
            for row in self.own(table, customer_id):
                if kept is None or row not in kept.at(table):
                    del self.rows[table][row]
                    gone[table] += 1
                    self.world.checker.gone(row)
        if kept is not None:
            self.books.emptied |= kept.to_empty
        if BUCKET in names:
            for place in [*self.shelf.versions, *self.shelf.uploads]:
                if place.startswith(f"s3://{BUCKET}/{customer_id}/"):
                    self.shelf.clear(place)
        self.world.checker.erased(customer_id)
        return gone


async def survey(worker: Worker, task: tasks.Survey, _: Attempt) -> tasks.Surveyed | tasks.SurveyFailed:
    """Read all holders before the deletion."""
    step = {"customer_id": task.customer_id, "deletion_id": task.deletion_id, "attempt": task.attempt}
    await work(worker)
    if worker.world.unlucky(0.05):
        return tasks.SurveyFailed(**step, reason="not_declared")
    readings = _before(worker.world.platform, task.holders, task.customer_id)
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
    held = {one.holder: one.keep for one in task.held}
    platform = worker.world.platform
    readings = tuple(_after(platform, name, task.customer_id, held.get(name, ())) for name in task.holders)
    return tasks.Checked(**step, readings=readings)


async def certify(worker: Worker, task: tasks.Certify, _: Attempt) -> tasks.Certified | tasks.CertifyFailed:
    """Put a certificate on the shelf, as the product writes it."""
    await work(worker)
    place = f"s3://offramp-certificates/{task.customer_id}/{task.deletion_id.replace(':', '-')}.json"
    return _shelved(worker, task, place)


async def amend(worker: Worker, task: tasks.Amend, _: Attempt) -> tasks.Certified | tasks.CertifyFailed:
    """Put an addendum beside the certificate that it is to."""
    await work(worker)
    place = task.first.certificate.replace(".json", f"-addendum-{task.number}.json")
    first = worker.world.platform.certificates.get(task.first.certificate)
    worker.world.checker.must(first == task.first.certificate_sha256, f"{place}: to no certificate")
    return _shelved(worker, task, place)


def _shelved(worker: Worker, task: tasks.Certify | tasks.Amend, place: str) -> tasks.Certified:
    try:
        said = addendum_document(task) if isinstance(task, tasks.Amend) else document(certificate_of(task))
    except NotProvenError as error:
        worker.world.checker.must(truth=False, what=f"{place}: {error}")
        raise
    digest = sha256(said).hexdigest()
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


async def _erased(worker: Worker, task: Erase, attempt: Attempt) -> Erased | ErasedInPart | NotErased:
    world = worker.world
    _check(worker, task, attempt.clock())
    await work(worker)
    if world.unlucky(0.1):
        await asyncio.sleep(world.rng.uniform(0, 4) * 86400)
    if world.unlucky(0.05):
        return NotErased(reason="failed")
    # Looked at in each transaction that deletes, as the product does.
    _check(worker, task, attempt.clock())
    if world.goes_on(task.customer_id):
        raise RefusedError("contract_active", "the system's own guard objects")
    keep = (*task.keep, *kept_by(_holds(worker, task.customer_id, attempt.clock())))
    return _delete(world, task, keep if task.holder == DATABASE else ())


def _check(worker: Worker, task: Erase, now: datetime) -> None:
    """Refuse without the right to delete, or where the database's clock is another one."""
    if abs(worker.world.now() - now) > MOST_DRIFT:
        raise RefusedError("clock", "the clocks disagree")
    # Also what its consumers have not read yet: it looks at the topics.
    check_contracts(with_contracts((), worker.world.checker.contracts(task.customer_id)), task.window_closed_at)
    check_command(Right(task.window_closed_at, held=_refuses(worker, task, now), respond_by=task.respond_by), now)


def _delete(world: World, task: Erase, keep: tuple[Keep, ...]) -> Erased | ErasedInPart:
    platform, names = world.platform, TABLES[task.holder]
    before = {name: platform.others(name, task.customer_id) for name in names}
    kept = platform.kept(names, task.customer_id, _by_name(keep))
    # Now and then a holder says that all is gone, and it isn't.
    lie = not platform.noted[task.noted_as] and world.unlucky(0.15)
    if lie:
        world.trace(task.holder, f"lies about {task.customer_id}")
        deleted = Counter({name: len(platform.own(name, task.customer_id)) - len(kept.at(name)) for name in names})
    else:
        platform.noted[task.noted_as] += platform.erase(names, task.customer_id, kept)
        deleted = platform.noted[task.noted_as]
    return _answer(platform, task, kept, deleted, before, lie=lie)


def _by_name(keep: tuple[Keep, ...]) -> tuple[Keep, ...]:
    """Take a hold once, though the command names it and the holder has heard of it."""
    return tuple({one.hold_id: one for one in reversed(keep)}.values())


def _answer(
    platform: Platform,
    task: Erase,
    kept: Kept,
    deleted: Counter[str],
    before: dict[str, tuple[int, str]],
    *,
    lie: bool,
) -> Erased | ErasedInPart:
    names = TABLES[task.holder]
    after = {name: platform.others(name, task.customer_id) for name in names}
    left = {name: len(platform.own(name, task.customer_id)) - len(kept.at(name)) for name in names}
    gone = tuple(TableCount(table=name, rows=deleted[name]) for name in names)
    remaining = tuple(TableCount(table=name, rows=0 if lie else left[name]) for name in names)
    bystanders = tuple(
        TableFingerprint(
            table=name,
            rows_before=before[name][0],
            rows_after=after[name][0],
            before=before[name][1],
            after=after[name][1],
        )
        for name in names
    )
    if not any(kept.at(name) for name in names):
        return Erased(deleted=gone, remaining=remaining, bystanders=bystanders)
    return ErasedInPart(
        deleted=gone, kept=kept.counts(kept.law | kept.held | kept.needed), held=kept.by_hold(),
        needed=kept.counts(kept.needed), remaining=remaining, bystanders=bystanders, retained=kept.by_law(),
        minimised=kept.counts(kept.to_empty),
    )  # fmt: skip


def _refuses(worker: Worker, task: Erase, now: datetime) -> bool:
    """Tell whether a hold lets nothing go: the database keeps tables for one, the media's holder can't."""
    holds = _holds(worker, task.customer_id, now)
    return any(hold.holds_everything for hold in holds) if task.holder == DATABASE else held(holds, now)


def _holds(worker: Worker, customer_id: str, now: datetime) -> Holds:
    row = worker.service.database.cases.get(customer_id)
    return () if row is None or row["state"] is None else in_force(_holding.load(row["state"]).holds, now)


async def work(worker: Worker) -> None:
    """Take some time, in which anything may happen; or fail, to be begun again."""
    world = worker.world
    await asyncio.sleep(world.rng.choice([0.1, 10.0, 600.0, 7200.0]) * world.rng.random())
    await worker.gate("kafka or store")
    if world.unlucky(0.1):
        raise PassingError


def _before(platform: Platform, holders: Sequence[str], customer_id: str) -> tuple[tasks.HolderReading, ...]:
    return tuple(
        tasks.HolderReading(
            holder=holder, tables=tuple(_reading(platform, name, customer_id) for name in TABLES[holder])
        )
        for holder in holders
    )


def _after(platform: Platform, holder: str, customer_id: str, keep: tuple[Keep, ...]) -> tasks.HolderReading:
    """Read what is left; what should have been emptied is left, too."""
    kept = platform.kept(TABLES[holder], customer_id, keep)
    full = kept.to_empty - platform.books.emptied
    tables = (_reading(platform, name, customer_id) for name in TABLES[holder])
    emptied = (tasks.EmptiedColumns(table=INVOICES, columns=("contact",)),)
    return tasks.HolderReading(
        holder=holder,
        tables=tuple(
            one.model_copy(
                update={
                    "own": one.own - len(kept.at(one.table)) + len(kept.at(one.table) & full),
                    "kept": len(kept.at(one.table)),
                }
            )
            for one in tables
        ),
        retained=kept.by_law(),
        emptied=emptied if holder == DATABASE and not keep else (),
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
        Performance(tasks.Amend, lambda task, attempt: amend(worker, task, attempt)),
        Performance(tasks.Upgrade, lambda task, attempt: upgrade(worker, task, attempt)),
    ]


def holder_work(worker: Worker) -> list[Performance]:
    """Give a holder's work."""
    return [Performance(Erase, lambda task, attempt: erase(worker, task, attempt))]
