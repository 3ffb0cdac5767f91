"""The right to delete: what must be true before a command goes out, and what a second person may decide."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from shared.holds import all_held
from shared.window import Window, window_of
from shared.windowchanges import applied

from .confirming import unproven
from .policy import RetentionPolicy
from .states import Known, Load, Promise, Seen
from .statutory import follow_up

Lack: TypeAlias = Literal["policy_unknown", "not_informed", "blast_radius", "size", "counts", "other_map", "kept_gone"]

# Two machines' clocks differ by less; more is a clock that was put back.
CLOCK_SKEW = timedelta(minutes=1)


class NoRightToDeleteError(Exception):
    """A command was about to be given without the right to; nothing was done, and the case stays as it was."""


def window_under(known: Known) -> Window | None:
    """Tell the window under what is *known*, of the days that it began with; None while a contract goes on.

    Without days there is none either.
    """
    return applied(window_of(known.contracts, known.window_days), known.changes) if known.window_days else None


def insist(known: Known, window: Window, now: datetime) -> None:
    """Raise ``NoRightToDeleteError`` unless all contracts are over, *window* has closed and nothing holds everything.

    Asked right before each command, whatever was decided before; what is missing or strange is no right either.
    An end that is heard of later may have moved the window: it has to be closed by both counts.
    """
    if not known.customer_id or not known.policy_version:
        raise NoRightToDeleteError("whose case it is, or by which policy, isn't known")
    today = window_under(known)
    if today is None:
        raise NoRightToDeleteError("a contract goes on")
    if now < max(window.closes_at, today.closes_at):
        raise NoRightToDeleteError("the window is open")
    retained = follow_up(known)
    if retained is not None and now < retained.due_at:
        raise NoRightToDeleteError("a law still keeps what is left")
    if unproven(known, now):
        raise NoRightToDeleteError("only a confirmation closes the window early, and it wasn't found to hold")
    if known.decided_at is not None and now < known.decided_at - CLOCK_SKEW:
        raise NoRightToDeleteError("the clock went back")
    if all_held(known.holds, now):
        raise NoRightToDeleteError("a legal hold keeps everything")


def lacking(
    known: Known,
    window: Window,
    *,
    deletion_id: str,
    seen: tuple[Seen, ...],
    load: Load | None,
    now: datetime,
    policy: RetentionPolicy,
) -> tuple[Lack, ...]:
    """Name all that stands against the first command and that a second person hasn't decided to go on in spite of."""
    rows = total(seen)
    found: dict[Lack, bool] = {
        "policy_unknown": known.policy_version not in (policy.version, *policy.former_versions),
        # Of what laws keep until when the customer was told, or somebody decided to go on, before the first deletion.
        "not_informed": follow_up(known) is None and not informed(known, window, now),
        "blast_radius": load is None or too_many(load, policy),
        "size": load is None or too_large(rows, load, policy),
    }
    return tuple(lack for lack, lacks in found.items() if lacks and not approved(known, deletion_id, lack, rows))


def informed(known: Known, window: Window, now: datetime) -> bool:
    """Tell whether the last warning of the deletion was delivered, and the date that it named has come.

    Who came back and left again has to be warned of that, even if it all was on one day and the date is the same.
    """
    promise = promise_of(known, "deletion")
    if promise is None or promise.due_at is None or not promise.stands(window.opens_at):
        return False
    if not window.closes_at <= promise.due_at <= now:
        return False
    return any(
        one.outcome == "delivered" and one.announcement_id == promise.announcement_id and one.informed_at <= now
        for one in known.informed
    )


def promise_of(known: Known, name: str) -> Promise | None:
    """Give what the customer was last told for *name*."""
    return next((promise for promise in known.promised if promise.name == name), None)


def too_many(load: Load, policy: RetentionPolicy) -> bool:
    """Tell whether more customers are due within a day than one mistake may cost."""
    most = policy.blast_radius
    return load.due > most.customers or (load.due > most.few and load.due * 100 > most.percent * load.customers)


def too_large(rows: int, load: Load, policy: RetentionPolicy) -> bool:
    """Tell whether the customer is far larger than those that were deleted before."""
    most = policy.blast_radius
    if rows > most.rows:
        return True
    return load.usual_rows is not None and rows > most.small and rows > most.times_usual * load.usual_rows


def approved(known: Known, deletion_id: str, lack: str, rows: int) -> bool:
    """Tell whether a second person let *deletion_id* go on in spite of *lack*, knowing of at least so many *rows*."""
    return any(
        one.deletion_id == deletion_id and lack in one.in_spite_of and rows <= one.rows for one in known.approvals
    )


def total(seen: tuple[Seen, ...]) -> int:
    """Count the customer's rows and objects in all."""
    return sum(row.own for row in seen)
