"""When a date that matters has to be told (P12): how many days ahead is data, what was told already is state."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct

from .days import first_moment, first_moment_after
from .events.notice import DeadlineApproaching

DeadlineName = Literal["notice_deadline", "period_end", "transition_end", "window_closes", "deletion"]


class _Call(NamedTuple):
    at: datetime
    days: int


class Deadline(Struct, frozen=True):
    """Something of *subject* (a contract, a customer) that is possible up to and including *last_day* in *zone*.

    *days*: how many days before it to tell the customer; each at the start of its day. *told_at*: when the customer
    was told of this very date otherwise, so that what was due until then is settled.
    """

    subject: str
    name: DeadlineName
    last_day: date
    zone: str
    days: tuple[int, ...]
    told_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """Give the first moment (UTC) at which it is no longer possible."""
        return first_moment_after(self.last_day, self.zone)


def next_call(deadline: Deadline, told: tuple[str, ...], now: datetime) -> datetime | None:
    """Tell when the next announcement is to be made: *now* or before, if one is owed; None if none is left."""
    calls = _calls(deadline.last_day, deadline.zone, deadline.days)
    owed = _owed(deadline, calls, told, now)
    if owed is not None:
        return owed.at
    for call in calls:
        if call.at > now:
            return call.at
    return None


def announcement(
    customer_id: str, deadline: Deadline, told: tuple[str, ...], now: datetime
) -> DeadlineApproaching | None:
    """Make the announcement that is owed *now*; of several that were missed, only the nearest is worth telling."""
    owed = _owed(deadline, _calls(deadline.last_day, deadline.zone, deadline.days), told, now)
    if owed is None:
        return None
    return DeadlineApproaching(
        customer_id=customer_id,
        announcement_id=_name(deadline, owed.days),
        deadline=deadline.name,
        due_at=deadline.due_at,
    )


@lru_cache(maxsize=65536)
def _calls(last_day: date, zone: str, days: tuple[int, ...]) -> tuple[_Call, ...]:
    return tuple(_Call(first_moment(last_day - timedelta(days=ahead), zone), ahead) for ahead in sorted(days)[::-1])


def _owed(deadline: Deadline, calls: tuple[_Call, ...], told: tuple[str, ...], now: datetime) -> _Call | None:
    if not calls or calls[0].at > now or deadline.due_at <= now:
        return None
    latest = [call for call in calls if call.at <= now][-1]
    if deadline.told_at is not None and latest.at <= deadline.told_at:
        return None
    return None if _name(deadline, latest.days) in told else latest


def _name(deadline: Deadline, days: int) -> str:
    return f"{deadline.subject}:{deadline.name}:{deadline.last_day.isoformat()}:{days}"
