"""What must be true of how a customer's data ends: early only if it was asked for and compared, kept as laws say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from services.retention.states import Closed, Retaining
from shared.events.event import Event
from shared.events.exporter import ConfirmationAccepted, ConfirmationVoided, ExportReady
from shared.events.platform import EarlyDeletionRequested, ExportConfirmed
from shared.events.retention import (
    AccountClosed,
    CertificateAmended,
    DeletionRequested,
    EarlyDeletionAccepted,
    EarlyDeletionRefused,
    EarlyDeletionWithdrawn,
    HolderRetained,
)

from .books import over

if TYPE_CHECKING:
    from .memory import MemoryDatabase
    from .world import World

_SKEW = timedelta(minutes=1)
# The first warning of a deletion comes so long before it.
_WARNED = timedelta(days=7)
# What laws keep goes at noon of the day after, and within some days of that, whatever has to be done again.
_GOES_WITHIN = timedelta(days=10)


@dataclass
class Ending:
    """Hears what the retention service says of ends, and of every row that is deleted."""

    world: World
    # By customer and end of the contracts: what cuts the window after it short now.
    early: dict[tuple[str, datetime], EarlyDeletionAccepted] = field(default_factory=dict)
    closings: Counter[str] = field(default_factory=Counter)
    amended: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    # By customer: the first of the days to which laws keep what was certified; not of one that came back.
    first_day: dict[str, date] = field(default_factory=dict)

    def came_back(self, customer_id: str) -> None:
        """A contract goes on again: what laws keep can't be told from what comes now."""
        self.first_day.pop(customer_id, None)

    def judge(self, event: Event, database: MemoryDatabase) -> None:
        """Judge what the service says."""
        match event:
            case EarlyDeletionAccepted():
                self._accepted(event, database)
            case EarlyDeletionRefused():
                self._asked(event)
            case EarlyDeletionWithdrawn():
                self.early.pop((event.customer_id, event.terminated_at), None)
            case AccountClosed():
                self._closed(event)
            case CertificateAmended():
                self._amended(event)

    def closes_at(self, customer_id: str, terminated_at: datetime, whole: datetime) -> datetime:
        """Tell when the window after *terminated_at* closes, that would at *whole*."""
        early = self.early.get((customer_id, terminated_at))
        return whole if early is None else early.closes_at

    def command(self, event: DeletionRequested, whole: datetime, database: MemoryDatabase) -> None:
        """Before the *whole* window is over only what was compared when the shorter one closed is commanded.

        Nothing of what was certified as kept is commanded before the first of its days is over.
        """
        last_day = self.first_day.get(event.customer_id)
        early = last_day is not None and self.world.now() < over(last_day) - _SKEW
        self._must(not early, event, f"commanded, though laws keep all of it to {last_day}")
        if self.world.now() >= whole - _SKEW:
            return
        known = [one for (who, _), one in self.early.items() if who == event.customer_id]
        self._must(known, event, "commanded early, and nobody asked for it")
        verdicts = [one for early in known for one in self._verdicts(early, database)]
        last = max(verdicts, key=lambda one: one.compared_at, default=None)
        self._must(isinstance(last, ConfirmationAccepted), event, "commanded early by a confirmation that is void")
        self._must(
            last is not None and last.compared_at >= event.window_closed_at,
            event,
            "commanded early, and not compared since",
        )

    def gone(self, row: str) -> None:
        """A row was deleted: no law may keep it."""
        self.deleted.add(row)
        books = self.world.platform.books
        self.world.checker.must(not books.lawful(row, self.world.now()), f"{row}: deleted, though a law keeps it")

    def at_end(self, customer_id: str) -> None:
        """Nobody waits for anything but for what laws still keep, and nothing of that is kept for too long."""
        state = self.world.states("retention")[customer_id]
        self.world.checker.must(isinstance(state, Closed | Retaining), f"{customer_id}: not at rest but {state}")
        now, books = self.world.now(), self.world.platform.books
        late = [row for row in self._left(customer_id) if over(books.until.get(row, date.min)) < now - _GOES_WITHIN]
        needed = {books.names[row] for row in self._left(customer_id) if row in books.names}
        self.world.checker.must(not set(late) - needed, f"{customer_id}: kept for too long: {late}")

    def _accepted(self, event: EarlyDeletionAccepted, database: MemoryDatabase) -> None:
        self._asked(event)
        checker, who = self.world.checker, event.customer_id
        ready = [one.event for one in checker.published[ExportReady].values()]
        made = any((one.export_id, one.sha256) == (event.export_id, event.sha256) for one in ready)  # type: ignore[attr-defined]
        self._must(made, event, "early, by no export of ours")
        heard = [one.event for key, one in checker.published[ExportConfirmed].items() if key in database.inbox]
        confirmed = any((one.export_id, one.sha256) == (event.export_id, event.sha256) for one in heard)  # type: ignore[attr-defined]
        self._must(confirmed, event, "early, and not confirmed")
        last = max(self._verdicts(event, database), key=lambda one: one.compared_at, default=None)
        self._must(isinstance(last, ConfirmationAccepted), event, "early, and not found to be as it was confirmed")
        whole = checker.whole_closes_at(who)
        self._must(whole is not None and event.closes_at <= whole, event, "early is later than the whole window")
        before = self.early.get((who, event.terminated_at))
        as_said = event.closes_at == whole or (before is not None and event.closes_at == before.closes_at)
        warned = as_said or event.closes_at >= self.world.now() + _WARNED - _SKEW
        self._must(warned, event, "too early for its warnings")
        self.early[who, event.terminated_at] = event

    def _asked(self, event: EarlyDeletionAccepted | EarlyDeletionRefused) -> None:
        checker = self.world.checker
        checker.answered(event.request_id)
        asked = [one.event.request_id for one in checker.published[EarlyDeletionRequested].values()]  # type: ignore[attr-defined]
        self._must(event.request_id in asked, event, "nobody asked for it")

    def _verdicts(
        self, early: EarlyDeletionAccepted, database: MemoryDatabase
    ) -> list[ConfirmationAccepted | ConfirmationVoided]:
        found = self.world.checker.published
        heard = [
            one.event
            for kind in (ConfirmationAccepted, ConfirmationVoided)
            for key, one in found[kind].items()
            if key in database.inbox
        ]
        return [one for one in heard if one.export_id == early.export_id]  # type: ignore[attr-defined, misc]

    def _closed(self, event: AccountClosed) -> None:
        who = event.customer_id
        self.closings[who] += 1
        most = 2 if self.world.stories[who].again else 1
        self._must(self.closings[who] <= most, event, "closed twice")
        if not self.world.goes_on(who):
            self._stays(event, event.retained)

    def _amended(self, event: CertificateAmended) -> None:
        self._must(event.certificate not in self.amended, event, "amended twice by one addendum")
        self.amended.add(event.certificate)
        found = self.world.platform.certificates.get(event.certificate)
        self._must(found == event.certificate_sha256, event, "no such addendum")
        if not self.world.goes_on(event.customer_id):
            self._stays(event, event.retained)

    def _stays(self, event: AccountClosed | CertificateAmended, retained: tuple[HolderRetained, ...]) -> None:
        """Only what is named as kept by laws is there, without its details, and whom it names."""
        books, left = self.world.platform.books, self._left(event.customer_id)
        told = Counter({one.until: one.rows for at in retained for one in at.retained})
        found = Counter(books.until[row] for row in left if row in books.until)
        self._must(found == told, event, f"says that laws keep {told}, and there is {found}")
        self.first_day.pop(event.customer_id, None)
        if told:
            self.first_day[event.customer_id] = min(told)
        needed = {books.names[row] for row in left if row in books.until}
        other = [row for row in left if row not in books.until and row not in needed]
        self._must(not other, event, f"there is {other}")
        full = [row for row in left if row not in books.emptied]
        self._must(not full, event, f"not emptied: {full}")

    def _left(self, customer_id: str) -> list[str]:
        tables = self.world.platform.rows.values()
        return [row for table in tables for row, owner in table.items() if owner == customer_id]

    def _must(self, truth: object, event: Event, what: str) -> None:
        self.world.checker.must(truth, f"{event.customer_id}: {what}")
