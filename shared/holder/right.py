"""The right to delete, checked once more where the rows are deleted: deleting is never the default."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from ..contracts import ended_since
from ..datamap.alike import alike
from ..datamap.live import check
from ..events.platform import NotErased

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..contracts import Contracts
    from ..datamap.drift import Finding
    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from ..events.retention import Keep
    from ..events.vocabulary import TableCount

    StillHeld = Callable[[], Awaitable[bool]]

Reason = Literal["held", "window_open", "contract_active", "not_declared", "clock", "failed"]
# Two clocks that differ by more than this can't tell whether a day is over.
MOST_DRIFT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Right:
    """What a command says: the window closed at *window_closed_at* (UTC), and whether a hold of everything is known.

    What is in *keep* has to stay, and what of *elsewhere* this system finds: of those another one knows the tables.
    *still_held* is asked right before the commit, since a hold may have come while the rows were deleted. It raises
    ``RefusedError`` where the right is gone for another reason, say another contract.
    With *deletion_id* the deletion is noted under it in the database. With *moved_clock* the database's clock isn't
    compared, since a demo or a test has moved ours. With *map_sha256* only the data map of that digest is deleted by.
    Nothing is deleted any more from *respond_by* on, if there is one: whoever commanded would say it anew by then.
    """

    window_closed_at: datetime
    held: bool = False
    still_held: StillHeld | None = None
    deletion_id: str | None = None
    moved_clock: bool = False
    keep: tuple[Keep, ...] = ()
    elsewhere: tuple[Keep, ...] = ()
    map_sha256: str | None = None
    respond_by: datetime | None = None


class RefusedError(Exception):
    """No (more) may be deleted: the *reason* that the answer names, and *details* for the operator, no personal data.

    *deleted* went before that, for good, and *saved* is what is left of the same; both are empty where nothing went.
    *map_sha256* is the data map at hand, where that is why.
    """

    def __init__(
        self,
        reason: Reason,
        details: str,
        deleted: tuple[TableCount, ...] = (),
        saved: tuple[TableCount, ...] = (),
        map_sha256: str | None = None,
    ) -> None:
        super().__init__(f"{reason}: {details}")
        self.reason: Reason = reason
        self.details = details
        self.deleted = deleted
        self.saved = saved
        self.map_sha256 = map_sha256

    @property
    def answer(self) -> NotErased:
        """Give what the holder answers."""
        return NotErased(reason=self.reason, deleted=self.deleted, saved=self.saved, map_sha256=self.map_sha256)


def check_command(right: Right, now: datetime) -> None:
    """Refuse while the window is open or a hold is known, and a command that is out of date.

    That one may be of a window before the customer came back: who has left again since has another 90 days (P4), and
    no guard object of the system tells the one end from the other.
    """
    if right.respond_by is not None and right.respond_by <= now:
        raise RefusedError(
            "failed", f"it was to be answered by {right.respond_by.isoformat()}; it will be commanded anew"
        )
    if right.window_closed_at > now:
        raise RefusedError("window_open", f"the window closes at {right.window_closed_at.isoformat()}")
    if right.held:
        raise RefusedError("held", "a legal hold is in force")


def check_map(right: Right, map: DataMap) -> None:  # noqa: A002
    """Refuse to delete by another data map than the customer's rows were counted and looked at by."""
    if right.map_sha256 not in (None, map.sha256):
        details = f"the data map here is {map.sha256}, but what may go was counted by {right.map_sha256 or 'none'}"
        raise RefusedError("not_declared", details, map_sha256=map.sha256)


def check_contracts(contracts: Contracts, window_closed_at: datetime) -> None:
    """Refuse a command that is of before another contract, however soon it has come and ended."""
    since = ended_since(contracts, window_closed_at)
    if since is not None:
        raise RefusedError(since, "the customer has come back since the window that was commanded for")


async def check_still(right: Right) -> None:
    """Refuse when a hold has come in the meantime, or as ``Right.still_held`` does."""
    if right.still_held is not None and await right.still_held():
        raise RefusedError("held", "a legal hold came while the rows were deleted")


async def check_clock(connection: Connection, now: datetime) -> None:
    """Refuse when *now* and the database's own clock differ by more than a minute."""
    theirs = await connection.fetchval(CLOCK)
    if abs(theirs - now) > MOST_DRIFT:
        details = f"our clock says {now.isoformat()}, the database's {theirs.isoformat()}"
        raise RefusedError("clock", details)


async def check_system(connection: Connection, map: DataMap, customer: str) -> tuple[Finding, ...]:  # noqa: A002
    """Refuse when *map* doesn't cover the schema or the system's own guard objects; give the mere warnings."""
    found = await check(connection, map)
    stopping = [finding for finding in found if finding.stops]
    if stopping:
        raise RefusedError("not_declared", "; ".join(f"{one.place}: {one.says}" for one in stopping))
    await check_guard(connection, map, customer)
    return found


async def check_guard(connection: Connection, map: DataMap, customer: str) -> None:  # noqa: A002
    """Refuse where the system's own guard objects, say because the customer has come back, or rows may be another's."""
    doubtful = await alike(connection, map, customer)
    if doubtful:
        details = f"ids that differ in small and large letters only may be another customer's: {', '.join(doubtful)}"
        raise RefusedError("failed", details)
    objection = await connection.fetchval(map.guard, customer) if map.guard else None
    if objection is not None:
        raise RefusedError("contract_active", str(objection))


CLOCK = "select clock_timestamp()"
