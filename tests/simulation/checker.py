"""What must be true after every step, and at the end: judged from outside, by what was said and what is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from services.exporter.tasks import CompareExport
from services.retention.tasks import Survey
from shared.advance import MOST_WAITING
from shared.caserows import unpack_headers
from shared.decision import Fact
from shared.events.envelope import Record, Unreadable, read
from shared.events.event import Event
from shared.events.exporter import (
    ConfirmationAccepted,
    ConfirmationRejected,
    ConfirmationVoided,
    DeliveryFailed,
    DeltaReady,
    ExportDelivered,
    ExportFailed,
    ExportReady,
    ExportRefused,
    LinkRevocationFailed,
    LinksRevoked,
)
from shared.events.notice import (
    CompletionAccepted,
    CompletionRejected,
    ContractTerminated,
    DeadlineApproaching,
    NoticeAccepted,
    NoticeRejected,
    ProlongationAccepted,
    ProlongationRejected,
    WithdrawalAccepted,
    WithdrawalRejected,
)
from shared.events.platform import (
    ContractRegistered,
    CustomerInformed,
    DeletionApproved,
    DeliveryRequested,
    EarlyDeletionRequested,
    ExportConfirmed,
    ExportRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
    LinkRevocationRequested,
    NoticeReceived,
    SwitchCompleted,
    TransferAgreed,
    TransitionProlonged,
)
from shared.events.retention import AccountClosed, DeletionRequested
from shared.identity import inbox_key

from .ending import Ending
from .stories import Story

if TYPE_CHECKING:
    from .memory import MemoryDatabase
    from .world import World

_SKEW = timedelta(minutes=1)
WINDOW_DAYS = 90
_UNDER_WAY = timedelta(hours=12)
# Of a switch: the notice of every contract here, and with the transition after it.
_NOTICE, _SWITCHING = 30, 60
# What a revocation may fail of: nothing that the exporter itself has done to the archive.
_NOT_REVOKED = ("unknown_export", "deletion_requested")


class ViolationError(AssertionError):
    """Something is true that must never be."""


def ensure(truth: object, what: str) -> None:
    """Stop the simulation unless *truth*."""
    if not truth:
        raise ViolationError(what)


@dataclass
class Checker:
    """Hears of every record, every commit, every deletion."""

    world: World
    published: dict[type[Event], dict[bytes, Fact]] = field(default_factory=lambda: defaultdict(dict))
    garbage: set[tuple[str, int, int]] = field(default_factory=set)
    buried: set[tuple[str, str, int, int]] = field(default_factory=set)
    letters: set[tuple[bytes | None, ...]] = field(default_factory=set)
    # By source, topic and customer: the ids owed, in order, and how many of them were seen on the topic.
    owed_ids: dict[tuple[str, str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    snapshots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # What was announced: by place its digest, by export its places.
    ready: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    announced: set[tuple[str, str]] = field(default_factory=set)
    approved: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    due: dict[str, tuple[int, int]] = field(default_factory=dict)
    # By place: the versions to which links were given.
    links: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    # By export: the rows that it was made of; and whether each comparison, by its moment, found the same.
    of_export: dict[str, tuple[str, ...]] = field(default_factory=dict)
    same: dict[tuple[str, datetime], bool] = field(default_factory=dict)
    # What each delta that was announced needs.
    bases: dict[str, str] = field(default_factory=dict)
    confirmations: Counter[str] = field(default_factory=Counter)
    violation: ViolationError | None = None
    ending: Ending = field(init=False)

    def __post_init__(self) -> None:
        self.ending = Ending(self.world)

    # -- what happens

    def appended(self, record: Record) -> None:
        """A record is on a topic."""
        if record.topic.startswith("dlq."):
            headers = dict(record.headers)
            place = [headers[f"__dlq.errors.{name}"].decode() for name in ("group", "topic", "partition", "offset")]
            self.buried.add((place[0], place[1], int(place[2]), int(place[3])))
            self.must((place[1], int(place[2]), int(place[3])) in self.garbage, f"{place} was buried: {headers}")
            return
        try:
            fact = read(record)
        except Unreadable:
            self.garbage.add((record.topic, record.partition, record.offset))
            return
        self.published[type(fact.event)].setdefault(inbox_key(fact), fact)
        if isinstance(fact.event, ContractRegistered):
            self.ending.came_back(fact.event.customer_id)
        self._in_order(fact)

    def owed(self, service: str, database: MemoryDatabase, rows: list[dict[str, Any]]) -> None:
        """A transaction that owes *rows* was committed."""
        for row in rows:
            if row["aggregatetype"].startswith("dlq."):
                self._buried_once(row)
                continue
            headers = tuple(unpack_headers(row["headers"], row["payload"]))
            fact = read(Record(row["aggregatetype"], 0, 0, 0, None, row["payload"], headers))
            key = (fact.source, fact.event.type(), fact.event.customer_id)
            self.must(fact.id not in self.owed_ids[key], f"{fact.event} is owed twice")
            self.owed_ids[key].append(fact.id)
            self.world.trace(service, f"owes {fact.event!r}")
            self._judge(fact.event, database)

    def _buried_once(self, row: dict[str, Any]) -> None:
        headers = dict(unpack_headers(row["headers"], row["payload"]))
        place = tuple(headers[f"__dlq.errors.{name}"] for name in ("group", "topic", "partition", "offset"))
        self.must(place not in self.letters, f"{place}: buried twice")
        self.letters.add(place)

    def erased(self, customer_id: str) -> None:
        """Rows of a customer were deleted."""
        story = self.world.stories[customer_id]
        self.must(story.fate != "untouched", f"{customer_id}: deleted, though it stays")
        closes_at = self._closes_at(customer_id)
        self.must(closes_at is not None and self.world.now() >= closes_at - _SKEW, f"{customer_id}: deleted early")
        self.untouched()

    def gone(self, row: str) -> None:
        """One of them."""
        self.ending.gone(row)

    def stored(self, place: str) -> None:
        """An archive was written, or a version removed: what was announced is there, and nothing but that."""
        there = self.world.platform.shelf.of(place).values()
        if place in self.ready:
            self.must({*there} == {self.ready[place]}, f"{place}: not the archive announced any more")

    def linked(self, place: str, version: str) -> None:
        """A link to this version was given."""
        self.links[place].add(version)

    def compared(self, task: CompareExport, compared_at: datetime) -> None:
        """All of the customer's rows were compared with those that an export was made of."""
        # By our own books, but for what was deleted since: an archive of that is void too.
        there = _all(self.world.platform.rows)
        rows = [row for row in self.rows_of(task.customer_id) if row in there]
        self.same[task.export_id, compared_at] = sorted(rows) == sorted(self.of_export[task.export_id])

    def sent(self, customer_id: str) -> None:
        """An archive arrived at somebody else's."""
        database = self.world.services["exporter"].database
        agreed = [one.event for key, one in self.published[TransferAgreed].items() if key in database.inbox]
        self.must(any(one.customer_id == customer_id for one in agreed), f"{customer_id}: sent without an agreement")
        again = self.world.stories[customer_id].again
        self.must(customer_id not in self.closed or again, f"{customer_id}: sent, though the account is closed")

    def rows_of(self, customer_id: str) -> tuple[str, ...]:
        """Give all of a customer's rows, by our own books."""
        return tuple(row for row, owner in self.world.touched.items() if owner == customer_id)

    def rows_left_of(self, customer_id: str) -> tuple[str, ...]:
        """Give those of a customer's rows that no command has deleted, by our own books."""
        return tuple(row for row in self.rows_of(customer_id) if row not in self.ending.deleted)

    # -- what must be true

    def untouched(self) -> None:
        """Whoever stays has every row that it ever had."""
        there = _all(self.world.platform.rows)
        for row, owner in self.world.touched.items():
            if self.world.stories[owner].fate == "untouched":
                self.must(row in there, f"{owner}: lost {row}")

    def waiting(self, database: MemoryDatabase) -> None:
        """What waits is bounded."""
        for row in database.cases.values():
            if row["waiting"] is not None:
                self.must(row["waiting"].count('"until"') <= MOST_WAITING, "too many wait")

    def _judge(self, event: Event, database: MemoryDatabase) -> None:
        now = self.world.now()
        match event:
            case NoticeAccepted(notice_id=asked) | NoticeRejected(notice_id=asked):
                self.answered(asked)
                self.must(any(one.event.notice_id == asked for one in self.published[NoticeReceived].values()), asked)  # type: ignore[attr-defined]
                if isinstance(event, NoticeAccepted):
                    self.accepted.add(event.customer_id)
                elif event.reason == "unknown_contract":
                    heard = [
                        one.event for key, one in self.published[ContractRegistered].items() if key in database.inbox
                    ]
                    known = [one for one in heard if one.contract_id == event.contract_id]  # type: ignore[attr-defined]
                    self.must(not known, f"{asked}: the contract is known")
            case ContractTerminated(period_end=day, terminated_at=at, time_zone=zone):
                self.must(
                    now >= _midnight_after(day, zone) - _SKEW,
                    f"{event.customer_id}: terminated before its period's end",
                )
                self.must(at <= now + _SKEW, f"{event.customer_id}: terminated in the future")
                self._whole_transition(event)
                self._evidence(event)
            case DeadlineApproaching():
                self._announced(event)
            case WithdrawalAccepted(notice_id=asked) | WithdrawalRejected(notice_id=asked):
                self.answered(f"withdrawal of {asked}")
            case ProlongationAccepted(prolongation_id=asked) | ProlongationRejected(prolongation_id=asked):
                self.answered(asked)
            case CompletionAccepted(notice_id=asked) | CompletionRejected(notice_id=asked):
                self.answered(f"completion of {asked}")
            case DeletionRequested():
                self._command(event, database)
            case AccountClosed():
                self._closing(event)
            case _:
                self._judge_exporter(event)
        self.ending.judge(event, database)

    def _judge_exporter(self, event: Event) -> None:
        match event:
            case ExportReady(request_id=asked) | ExportRefused(request_id=asked) | ExportFailed(request_id=asked):
                self.answered(asked)
                if isinstance(event, ExportReady):
                    self._archive(event)
            case DeltaReady(request_id=asked):
                self.answered(asked)
                self._delta(event)
            case ConfirmationAccepted() | ConfirmationVoided() | ConfirmationRejected():
                self._confirmed(event)
            case LinksRevoked() | LinkRevocationFailed():
                self._revoked(event)
            case ExportDelivered(request_id=asked) | DeliveryFailed(request_id=asked):
                self.answered(asked)
                self._delivered(event)

    def _whole_transition(self, event: ContractTerminated) -> None:
        """Whoever switches has notice and transition, sixty days, unless it was reported complete then."""
        if event.basis not in ("switch", "on_premises"):
            return
        zone, who = ZoneInfo(event.time_zone), event.customer_id
        heard = [one.event for one in self.published[NoticeReceived].values() if one.event.customer_id == who]
        told = [one.event for one in self.published[SwitchCompleted].values() if one.event.customer_id == who]
        begun = min(one.received_at.astimezone(zone).date() for one in heard)  # type: ignore[attr-defined]
        done = {one.completed_at.astimezone(zone).date() for one in told}  # type: ignore[attr-defined]
        lasted = (event.period_end - begun).days
        self.must(lasted >= _SWITCHING or (event.period_end in done and lasted > _NOTICE), f"{who}: {lasted} days")

    def answered(self, asked: str) -> None:
        """Somebody is answered, for the first time."""
        self.answers[asked] += 1
        self.must(self.answers[asked] == 1, f"{asked}: answered twice")

    def _announced(self, event: DeadlineApproaching) -> None:
        name = (event.customer_id, event.announcement_id)
        self.must(name not in self.announced, f"{name}: announced twice")
        self.announced.add(name)
        # A change is told by whoever hears of it, and so by the clock of that worker.
        planned = event.change is None
        self.must(not planned or self.world.now() < event.due_at + _SKEW, f"{name}: announced when it had passed")

    def _evidence(self, event: ContractTerminated) -> None:
        for one in event.announced:
            name = (event.customer_id, one.announcement_id)
            self.must(name in self.announced, f"{name}: offered as evidence, and never announced")

    def _delta(self, event: DeltaReady) -> None:
        """With its base, as that lies there now, it is all that there was."""
        platform, who = self.world.platform, f"{event.customer_id}: {event.export_id}"
        base = event.base.export_id
        self.must(base in self.of_export, f"{who}: {base} was never announced as an archive")
        places = self.volumes.get(base, ())
        self.must(all(event.customer_id == place.split("/")[3] for place in places), f"{who}: {base} is another's")
        # While its links are taken back it lies there twice.
        lying = [{*platform.shelf.of(place).values()} for place in places]
        self.must(lying == [{self.ready[place]} for place in places], f"{who}: {base} doesn't lie there")
        self.must(lying and lying[-1] == {event.base.sha256}, f"{who}: {base} isn't {event.base.sha256}")
        self._lies_there(event)
        own, taken = platform.contents[event.sha256], platform.taken[event.sha256]
        there = platform.contents[event.base.sha256]
        self.must({*taken} <= {*there}, f"{who}: {base} hasn't got {[one for one in taken if one not in there]}")
        self.must(sorted((*own, *taken)) == sorted(self.snapshots[event.sha256]), f"{who}: not all the rows")
        counted = sum(one.rows for one in (*event.tables, event.media))
        self.must(counted == len(own) + len(taken), f"{who}: {counted} rows said")
        self.bases[event.export_id] = base

    def _archive(self, event: ExportReady) -> None:
        self._lies_there(event)
        contents, stem = self.world.platform.contents[event.sha256], event.export_id
        self.must(sorted(contents) == sorted(self.snapshots[event.sha256]), f"{stem}: not all the rows")
        counted = sum(one.rows for one in (*event.tables, event.media))
        self.must(counted == len(contents), f"{stem}: {counted} rows said, {len(contents)} there")
        self.of_export[event.export_id] = tuple(self.snapshots[event.sha256])

    def _lies_there(self, event: ExportReady | DeltaReady) -> None:
        platform = self.world.platform
        for one in event.volumes:
            there = platform.shelf.of(one.place)
            self.must(there == {one.object_version: one.sha256}, f"{one.place}: {there} lies there")
            self.ready[one.place] = one.sha256
        stem, named = event.volumes[-1].place.partition(".")[0], {one.place for one in event.volumes}
        lying = {one for one in platform.shelf.versions if one.startswith(f"{stem}.") and platform.shelf.of(one)}
        self.must(lying == named, f"{stem}: {lying - named} lies beside it")
        self.volumes[event.export_id] = tuple(one.place for one in event.volumes)

    def _confirmed(self, event: ConfirmationAccepted | ConfirmationVoided | ConfirmationRejected) -> None:
        self.confirmations[event.export_id] += 1
        if isinstance(event, ConfirmationRejected):
            return
        self.must(event.export_id not in self.bases, f"{event.export_id}: a delta was looked at as if it were all")
        same = self.same.get((event.export_id, event.compared_at))
        self.must(same is not None, f"{event.export_id}: confirmed or void, and nobody compared it")
        if isinstance(event, ConfirmationAccepted):
            self.must(same, f"{event.export_id}: accepted, though there are other rows now")
        else:
            self.must(not same, f"{event.export_id}: void, though nothing changed")

    def _revoked(self, event: LinksRevoked | LinkRevocationFailed) -> None:
        if event.request_id is not None:
            self.answered(event.request_id)
        if isinstance(event, LinkRevocationFailed):
            self.must(event.reason in _NOT_REVOKED, f"{event.export_id}: links not revoked, {event.reason}")
            return
        places = self.volumes[event.export_id]
        for place, version in zip(places, (*event.before, event.object_version), strict=True):
            there = self.world.platform.shelf.of(place)
            self.must(there == {version: self.ready[place]}, f"{place}: {there} lies there")
            self.must(self.links[place].isdisjoint(there), f"{place}: a link given before leads to it still")

    def _delivered(self, event: ExportDelivered | DeliveryFailed) -> None:
        if isinstance(event, DeliveryFailed):
            self.must(event.reason != "missing", f"{event.export_id}: not there to be sent")
            self.must(event.reason != "not_all", f"{event.export_id}: not all of it was sent, and no release is older")
            return
        base = self.bases.get(event.export_id)
        self.must(event.with_base == base, f"{event.export_id}: delivered with {event.with_base}, it needs {base}")
        places = self.volumes[event.export_id]
        if base is not None:
            sent = self.world.platform.sent.get((event.destination, base))
            self.must(sent == self.ready[self.volumes[base][-1]], f"{event.export_id}: its base was not delivered")
            places = (*self.volumes[base], *places)
        found = self.world.platform.sent.get((event.destination, event.export_id))
        self.must(found == event.sha256 == self.ready[places[-1]], f"{event.export_id}: something else was delivered")
        self.must(event.volumes == len(places), f"{event.export_id}: not all of its volumes were delivered")

    def _command(self, event: DeletionRequested, database: MemoryDatabase) -> None:
        who = event.customer_id
        closes_at = self._closes_at(who)
        self.must(closes_at is not None and self.world.now() >= closes_at - _SKEW, f"{who}: commanded early")
        self.must(event.window_closed_at == closes_at, f"{who}: the command names {event.window_closed_at}")
        self.must(not self._held(who, database), f"{who}: commanded under a hold")
        self.must(not self._goes_on(who, database), f"{who}: commanded, though a contract goes on")
        whole = self.whole_closes_at(who)
        if whole is not None:
            self.ending.command(event, whole, database)
        # Of what laws keep it was told, or decided, before the deletion of the rest.
        approved = {name for key, names in self.approved.items() if key.startswith(f"{who}:") for name in names}
        self.must(
            self._told(who, database) or "not_informed" in approved,
            f"{who}: commanded, but nobody told the customer, and nobody decided to go on",
        )
        self.must(
            self.due[who][1] == 1 or "blast_radius" in self.approved[event.deletion_id],
            f"{who}: commanded with a thousand others, and nobody looked",
        )

    def surveyed(self, task: Survey, due: int) -> None:
        """So many are due; the survey that was ordered last is the one that counts."""
        attempt, _ = self.due.get(task.customer_id, (0, 0))
        if task.attempt >= attempt:
            self.due[task.customer_id] = task.attempt, due

    def approve(self, event: DeletionApproved) -> None:
        """A second person lets a deletion go on."""
        self.approved[event.deletion_id] |= set(event.in_spite_of)

    def _told(self, customer_id: str, database: MemoryDatabase) -> bool:
        """Tell whether a warning of the deletion had reached the customer, as far as the service has heard."""
        return any(
            fact.event.outcome == "delivered" and ":deletion:" in fact.event.announcement_id  # type: ignore[attr-defined]
            for key, fact in self.published[CustomerInformed].items()
            if key in database.inbox and fact.event.customer_id == customer_id
        )

    def _held(self, customer_id: str, database: MemoryDatabase) -> bool:
        placed, released = (
            {
                fact.event.hold_id: fact.event  # type: ignore[attr-defined]
                for key, fact in self.published[kind].items()
                if key in database.inbox and fact.event.customer_id == customer_id
            }
            for kind in (LegalHoldPlaced, LegalHoldReleased)
        )
        return any(
            (name not in released or released[name].released_at < one.placed_at)
            and one.scope.kind == "all"
            and (one.ends_at is None or self.world.now() < one.ends_at - _SKEW)
            for name, one in placed.items()
        )

    def _goes_on(self, customer_id: str, database: MemoryDatabase) -> bool:
        """Tell whether a contract goes on, as far as the service has heard."""
        known, over = (
            {
                one.event.contract_id  # type: ignore[attr-defined]
                for key, one in self.published[kind].items()
                if key in database.inbox and one.event.customer_id == customer_id
            }
            for kind in (ContractRegistered, ContractTerminated)
        )
        return bool(known - over)

    def _closing(self, event: AccountClosed) -> None:
        who = event.customer_id
        found = self.world.platform.certificates.get(event.certificate)
        self.must(found == event.certificate_sha256, f"{who}: no such certificate")
        self.closed.add(who)
        self.untouched()

    def contracts(self, customer_id: str) -> list[ContractRegistered | ContractTerminated]:
        """Give what was published of a customer's contracts."""
        said = (one.event for kind in (ContractRegistered, ContractTerminated) for one in self.published[kind].values())
        return [one for one in said if one.customer_id == customer_id]  # type: ignore[misc]

    def _ends(self, customer_id: str) -> list[ContractTerminated]:
        known = self.world.services["retention"].database.inbox
        heard = [fact.event for key, fact in self.published[ContractTerminated].items() if key in known]
        return [one for one in heard if one.customer_id == customer_id and isinstance(one, ContractTerminated)]

    def whole_closes_at(self, customer_id: str) -> datetime | None:
        """Tell when the window would close if nobody asked for less, as far as the service has heard."""
        return max((_window_end(one.terminated_at, one.time_zone) for one in self._ends(customer_id)), default=None)

    def _closes_at(self, customer_id: str) -> datetime | None:
        ends = {_window_end(one.terminated_at, one.time_zone): one for one in self._ends(customer_id)}
        whole = max(ends, default=None)
        return None if whole is None else self.ending.closes_at(customer_id, ends[whole].terminated_at, whole)

    def _in_order(self, fact: Fact) -> None:
        key = (fact.source, fact.event.type(), fact.event.customer_id)
        owed = self.owed_ids.get(key)
        if owed is None:
            self.must(not fact.source.startswith("/offramp/"), f"{fact.event} has no cause")
            return
        if fact.id not in owed:
            self.must(truth=False, what=f"{fact.event!r} was never owed")
            return
        place = owed.index(fact.id)
        if place > self.seen[key]:
            self.must(truth=False, what=f"{fact.event} overtook {owed[self.seen[key]]}")
        self.seen[key] = max(self.seen[key], place + 1)

    def must(self, truth: object, what: str) -> None:
        """Remember the first violation; it may be found inside the product's code, which would take it for its own."""
        if not truth and self.violation is None:
            self.violation = ViolationError(f"{self.world.now():%Y-%m-%d %H:%M:%S} {what}")
            self.world.stop()

    # -- what must be true at the end

    def at_end(self) -> None:
        """Everything was carried out, answered, published, and everybody's fate is as it has to be."""
        for name, service in self.world.services.items():
            database = service.database
            ensure(not database.outbox, f"{name}: {len(database.outbox)} events are still owed")
            # A command that is given again each week may have been so an hour ago; its work takes up to two.
            late = [row for row in database.tasks.values() if self.world.now() - row["ordered_at"] > _UNDER_WAY]
            ensure(not late, f"{name}: {[row['kind'] for row in late]} not done")
            stuck = {row["customer_id"]: row["stuck"] for row in database.cases.values() if row["stuck"]}
            ensure(not stuck, f"{name}: stuck {stuck}")
            waits = [row["customer_id"] for row in database.cases.values() if row["waiting"]]
            ensure(not waits, f"{name}: {waits} wait")
            self._nothing_lost(name)
        for key, owed in self.owed_ids.items():
            ensure(self.seen[key] == len(owed), f"{key}: {len(owed) - self.seen[key]} were never published")
        self._answered_all()
        self._counted()
        for story in self.world.stories.values():
            self._fate(story)
        self.untouched()

    def _nothing_lost(self, name: str) -> None:
        service = self.world.services[name]
        for kind in service.domain.consumes:
            for key, fact in self.published[kind].items():
                ensure(key in service.database.inbox, f"{name}: never took in {fact.event}")
        expected = {(name, *place) for place in self.garbage if place[0] in service.group.topics}
        found = {place for place in self.buried if place[0] == name}
        ensure(found == expected, f"{name}: buried {sorted(found)}, not {sorted(expected)}")

    def _answered_all(self) -> None:
        kinds = (
            (NoticeReceived, "notice_id"),
            (ExportRequested, "request_id"),
            (TransitionProlonged, "prolongation_id"),
            (LinkRevocationRequested, "request_id"),
            (DeliveryRequested, "request_id"),
            (EarlyDeletionRequested, "request_id"),
        )
        for kind, name in kinds:
            for fact in self.published[kind].values():
                asked = getattr(fact.event, name)
                ensure(self.answers[asked] == 1, f"{asked}: {self.answers[asked]} answers")
        for fact in self.published[ExportConfirmed].values():
            export_id = fact.event.export_id  # type: ignore[attr-defined]
            ensure(self.confirmations[export_id], f"{export_id}: confirmed, and nobody answered")
        for fact in self.published[SwitchCompleted].values():
            asked = f"completion of {fact.event.notice_id}"  # type: ignore[attr-defined]
            ensure(self.answers[asked] == 1, f"{asked}: {self.answers[asked]} answers")

    def _counted(self) -> None:
        expected = Counter(
            (fact.event.customer_id, kind.type()) for kind, facts in self.published.items() for fact in facts.values()
        )
        found: Counter[tuple[str, str]] = Counter()
        for customer_id, case in self.world.states("tally").items():
            found.update({(customer_id, name): number for name, number in case.by_type.items()})
        ensure(found == expected, f"counted {found - expected} too often, {expected - found} too rarely")

    def _fate(self, story: Story) -> None:
        who = story.customer_id
        if story.fate == "closed":
            state = self.world.states("retention").get(who)
            ensure(who in self.closed, f"{who}: not closed but {state}")
            self.ending.at_end(who)
        elif story.fate == "untouched":
            ensure(who not in self.closed, f"{who}: closed, though it stays")
        elif story.kind == "leaves_renewing":
            ensure((who in self.closed) == (who in self.accepted), f"{who}: accepted is not closed")


def _all(rows: dict[str, dict[str, str]]) -> set[str]:
    return {row for table in rows.values() for row in table}


def _midnight_after(day: Any, zone: str) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(zone))


def _window_end(terminated_at: datetime, zone: str) -> datetime:
    day = terminated_at.astimezone(ZoneInfo(zone)).date() + timedelta(days=WINDOW_DAYS)
    return _midnight_after(day, zone)
