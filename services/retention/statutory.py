"""What laws keep of a customer's (statutory retention): until when, and what of it goes when its time has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias

from msgspec.structs import replace

from shared.events.platform import RetainedRows as RetainedByHolder
from shared.events.retention import HolderRetained

from .states import Deletion, Holder, Known, Retained, RetainedRows

# A holder, a table, the basis, and the last day.
_Key: TypeAlias = tuple[str, str, str, date]


def over_at(until: date) -> datetime:
    """Tell when the day *until* is over wherever the books are kept: only the data map knows the zone of its days."""
    # The calendar ends with the year 9999: a law that keeps something until then is over at its very end.
    after = until + timedelta(days=1) if until < date.max else until
    return datetime.combine(after, time(12), UTC)


def sums_up(holder: Holder) -> bool:
    """Tell whether what *holder* kept is what it names a hold or a law for, and what these rows need.

    What a hold and a law both keep is counted at each.
    """
    kept, lawful = dict(holder.kept), Counter[str]()
    for one in holder.retained:
        lawful[one.table] += one.rows
    if any(rows > kept.get(table, 0) for table, rows in lawful.items()):
        return False
    if not holder.retained:
        return True
    named = lawful + Counter(dict(holder.needed))
    for _, table, rows in holder.held:
        named[table] += rows
    if holder.held:
        return all(rows <= named[table] for table, rows in kept.items())
    return all(rows == named[table] for table, rows in kept.items())


def follow_up(known: Known) -> Retained | None:
    """Give what laws kept of the last deletion, while the deletion of the rest of it is all that there is to do."""
    return known.retained if known.retained is not None and not known.retained.came_back else None


def concerned(retained: Retained, now: datetime) -> tuple[str, ...]:
    """Name the holders of which something has had its time."""
    return tuple(dict.fromkeys(one.holder for one in retained.rows if over_at(one.until) <= now))


def retained_by(deletion: Deletion) -> tuple[RetainedRows, ...]:
    """Give what the holders of *deletion* keep for laws."""
    return tuple(one for holder in deletion.holders for one in holder.retained)


def due_at(rows: Iterable[RetainedRows]) -> datetime:
    """Tell when the first of *rows* has had its time."""
    return min(over_at(one.until) for one in rows)


def waiting(retained: Retained, deletion: Deletion) -> tuple[RetainedRows, ...]:
    """Give what is left when *deletion* has taken what had its time: of other holders all that there was."""
    names = {holder.name for holder in deletion.holders}
    return (*(one for one in retained.rows if one.holder not in names), *retained_by(deletion))


def gone(before: Iterable[RetainedRows], left: Iterable[RetainedRows]) -> tuple[RetainedRows, ...]:
    """Tell what of *before* isn't *left*."""
    still: Counter[_Key] = Counter()
    for one in left:
        still[_key(one)] += one.rows
    found = ((one, one.rows - still[_key(one)]) for one in before)
    return tuple(RetainedRows(one.holder, one.table, one.basis, one.until, rows) for one, rows in found if rows > 0)


def unlike(deletion: Deletion, read: Iterable[tuple[str, tuple[RetainedByHolder, ...]]]) -> tuple[str, ...]:
    """Name the holders at which the check read other rows than they say that laws keep, or other last days of them."""
    found: Counter[_Key] = Counter()
    for holder, rows in read:
        for one in rows:
            found[holder, one.table, one.basis, one.until] += one.rows
    told: Counter[_Key] = Counter()
    for row in retained_by(deletion):
        told[_key(row)] += row.rows
    differing = {key[0] for key in {*found, *told} if found[key] != told[key]}
    return tuple(holder.name for holder in deletion.holders if holder.name in differing)


def came_back(known: Known) -> Retained | None:
    """Give what laws keep of an earlier contract, now that there is another one."""
    return None if known.retained is None else replace(known.retained, came_back=True)


def told_retained(rows: Iterable[RetainedRows]) -> tuple[HolderRetained, ...]:
    """Write what laws keep as events carry it."""
    by_holder: dict[str, list[RetainedByHolder]] = {}
    for one in rows:
        row = RetainedByHolder(table=one.table, basis=one.basis, until=one.until, rows=one.rows)
        by_holder.setdefault(one.holder, []).append(row)
    return tuple(HolderRetained(holder=name, retained=tuple(some)) for name, some in by_holder.items())


def _key(one: RetainedRows) -> _Key:
    return one.holder, one.table, one.basis, one.until
