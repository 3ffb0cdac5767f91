"""What has to stay on the simulated platform: invoices, until when a law keeps them, and what these and holds need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from shared.events.platform import HeldRows, OfTables, RetainedRows
from shared.events.retention import Keep
from shared.events.vocabulary import TableCount

USERS, INVOICES = "users", "invoices"
BASIS = "BFL 7:2"
# An empty column in what stays only since a law says so.
MARK = "*"


@dataclass
class Books:
    """Of each invoice the last day on which a law keeps it, and whom it names; *emptied*: rows without their details.

    That a kept row is emptied is part of what is there: *emptied* rows have another fingerprint.
    """

    until: dict[str, date] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    emptied: set[str] = field(default_factory=set)

    def issue(self, invoice: str, until: date, user: str) -> None:
        """Issue an *invoice* that names *user*."""
        self.until[invoice] = until
        self.names[invoice] = user

    def lawful(self, row: str, now: datetime) -> bool:
        """Tell whether a law keeps *row*."""
        return row in self.until and now < over(self.until[row])

    def as_it_is(self, row: str) -> str:
        """Give *row* with what is in it, to be compared."""
        return row + MARK if row in self.emptied else row


@dataclass(frozen=True)
class Kept:
    """Which rows of a customer's have to stay, by table: for a *law*, for *holds* by name, or *needed* by those."""

    law: frozenset[str]
    holds: dict[str, frozenset[str]]
    needed: frozenset[str]
    tables: dict[str, frozenset[str]]
    books: Books

    @property
    def held(self) -> frozenset[str]:
        """Give what any hold keeps."""
        return frozenset().union(*self.holds.values())

    @property
    def to_empty(self) -> frozenset[str]:
        """Give what stays without its details: whatever no hold keeps."""
        return (self.law | self.needed) - self.held

    def at(self, table: str) -> frozenset[str]:
        """Give what stays of *table*."""
        return self.tables[table] & (self.law | self.held | self.needed)

    def counts(self, rows: frozenset[str]) -> tuple[TableCount, ...]:
        """Count *rows* by table."""
        return tuple(TableCount(table=name, rows=len(own & rows)) for name, own in self.tables.items())

    def by_law(self) -> tuple[RetainedRows, ...]:
        """Say what is kept for a law, as events carry it."""
        return retained_rows(self.books.until[row] for row in self.law)

    def by_hold(self) -> tuple[HeldRows, ...]:
        """Say what is kept for holds, as events carry it."""
        return tuple(
            HeldRows(table=name, rows=len(own & rows), hold_id=hold)
            for hold, rows in self.holds.items()
            for name, own in self.tables.items()
            if own & rows
        )


def kept_of(books: Books, tables: dict[str, Sequence[str]], keep: Iterable[Keep], now: datetime) -> Kept:
    """Tell what of the customer's rows in *tables* has to stay at *now*."""
    own = {name: frozenset(rows) for name, rows in tables.items()}
    law = frozenset(row for row in own.get(INVOICES, ()) if books.lawful(row, now))
    holds = {one.hold_id: frozenset().union(*(own.get(name, frozenset()) for name in _tables(one))) for one in keep}
    stays = law.union(*holds.values())
    needed = frozenset(books.names[row] for row in stays if row in books.names) & own.get(USERS, frozenset())
    return Kept(law, holds, needed - stays, own, books)


def _tables(keep: Keep) -> tuple[str, ...]:
    return keep.scope.tables if isinstance(keep.scope, OfTables) else ()


def retained_rows(days: Iterable[date]) -> tuple[RetainedRows, ...]:
    """Count invoices by the last day on which a law keeps them."""
    return tuple(
        RetainedRows(table=INVOICES, basis=BASIS, until=day, rows=rows) for day, rows in sorted(Counter(days).items())
    )


def over(day: date) -> datetime:
    """Tell when *day* is over, in the books' time zone."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)
