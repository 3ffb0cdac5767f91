"""What the viewer sees: the four cases side by side, the events as they pass, the date as it moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from shared.decision import Fact
from shared.events.event import Event
from shared.events.exporter import ExportReady, ExportRefused
from shared.events.notice import ContractTerminated, DeadlineApproaching, NoticeAccepted, NoticeRejected
from shared.events.platform import DeletionAcknowledged, ErasedInPart, LegalHoldPlaced, LegalHoldReleased, NotErased
from shared.events.retention import AccountClosed, DeletionRequested, DeletionStalled

from .ground import Customers

_EVENTS_SHOWN = 14


class Screen(Protocol):
    """Where the story is shown."""

    def say(self, chapter: str) -> None:
        """Tell a chapter of the story."""

    def at(self, now: datetime) -> None:
        """Show the date."""

    def passed(self, fact: Fact) -> None:
        """Show an event that passed."""

    def exporting(self, stage: str, done: int, total: int | None) -> None:
        """Show how far the export is."""


def told(event: Event) -> str:
    """Say in a few words what *event* means for the customer's case."""
    words = _WORDS.get(type(event))
    return "" if words is None else words(event)


def _refused(event: ExportRefused) -> str:
    return f"export refused: {event.reason}" + (f" on {event.closed_on}" if event.closed_on else "")


def _answered(event: DeletionAcknowledged) -> str:
    outcome = event.outcome
    if isinstance(outcome, NotErased):
        return f"{event.holder}: {outcome.reason}"
    kept = f", {sum(one.rows for one in outcome.kept):,} kept" if isinstance(outcome, ErasedInPart) else ""
    return f"{event.holder}: {sum(one.rows for one in outcome.deleted):,} deleted{kept}"


def _told_of(event: DeadlineApproaching) -> str:
    change = "" if event.change is None else f" {event.change} to" if event.change == "moved" else f" {event.change}:"
    return f"told: {event.deadline.replace('_', ' ')}{change or ' on'} {event.due_at:%d %b}"


def _rejected(event: NoticeRejected) -> str:
    what = "stands for" if event.stands_until else "can leave after"
    return f"notice {event.reason.replace('_', ' ')}; {what} {event.earliest_end}"


_WORDS: dict[type[Event], Callable[[Any], str]] = {
    NoticeAccepted: lambda event: f"leaves after {event.period_end}",
    NoticeRejected: _rejected,
    ContractTerminated: lambda event: f"contract over ({event.basis})",
    ExportReady: lambda event: f"export: {sum(one.rows for one in event.tables):,} rows, {event.media.rows} files",
    ExportRefused: _refused,
    LegalHoldPlaced: lambda event: f"held by law ({event.basis})",
    LegalHoldReleased: lambda _: "hold released",
    DeletionRequested: lambda event: f"delete: {event.holder}",
    DeletionAcknowledged: _answered,
    DeletionStalled: lambda event: f"deletion stalled: {event.reason}",
    AccountClosed: lambda event: f"account closed, {event.rows_deleted:,} deleted, certificate signed",
    DeadlineApproaching: _told_of,
}


class Lines:
    """Plain lines, for a pipe or a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._now: datetime | None = None

    def say(self, chapter: str) -> None:
        """See ``Screen``."""
        self._console.print(f"\n{chapter}")

    def at(self, now: datetime) -> None:
        """See ``Screen``."""
        self._now = now

    def passed(self, fact: Fact) -> None:
        """See ``Screen``."""
        date = "" if self._now is None else f"{self._now:%d %b %Y}"
        words = told(fact.event)
        self._console.print(
            f"  {date:<12} {fact.event.customer_id:<16} {fact.event.type():<21} {words}", soft_wrap=True
        )

    def exporting(self, stage: str, done: int, total: int | None) -> None:
        """See ``Screen``; a log needs no bar."""


class Stage:
    """The whole terminal, redrawn as things happen."""

    def __init__(self, live: Live, customers: Customers) -> None:
        self._live = live
        self._chapter, self._date = "", ""
        self._cases = {
            customers.leaves: ["leaves", "", ""],
            customers.late: ["a day late", "", ""],
            customers.held: ["held by law", "", ""],
            customers.stays: ["stays", "", ""],
        }
        self._events: deque[str] = deque(maxlen=_EVENTS_SHOWN)
        self._bar = Progress(
            TextColumn("export"), BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.description}")
        )
        self._export: TaskID | None = None

    def say(self, chapter: str) -> None:
        """See ``Screen``."""
        self._chapter = chapter
        self._draw()

    def at(self, now: datetime) -> None:
        """See ``Screen``."""
        self._date = f"{now:%A, %d %B %Y}"
        self._draw()

    def passed(self, fact: Fact) -> None:
        """See ``Screen``."""
        event, words = fact.event, told(fact.event)
        case = self._cases.get(event.customer_id)
        if case is not None and words:
            case[1 if not isinstance(event, DeadlineApproaching) else 2] = words
        if isinstance(event, ExportReady):
            # Its task's row is gone by now; what it came to is here.
            self.exporting("ready", 1, 1)
        self._events.append(f"{event.customer_id:<16} {event.type():<21} {words}")
        self._draw()

    def exporting(self, stage: str, done: int, total: int | None) -> None:
        """See ``Screen``."""
        if self._export is None:
            self._export = self._bar.add_task(stage, total=total)
        self._bar.update(self._export, description=stage, completed=done, total=total)
        self._draw()

    def _draw(self) -> None:
        cases = Table(expand=True)
        for column in ("customer", "story", "now", "last told"):
            cases.add_column(column, overflow="fold")
        for customer, shown in self._cases.items():
            cases.add_row(customer, *shown)
        events = Panel("\n".join(self._events), title="events", height=_EVENTS_SHOWN + 2)
        head = Panel(self._chapter, title=self._date)
        bar = [self._bar] if self._export is not None else []
        self._live.update(Group(head, cases, *bar, events))
