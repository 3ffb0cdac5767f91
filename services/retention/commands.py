"""``offramp retention waiting``: the deletions that wait for somebody, and what each would delete, before it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
import typer

from shared.clocksetting import choose_clock
from shared.errors import OperatorError
from shared.operations.casebook import MOST, UnreadableCaseError, UnreadableDatabaseError, asked
from shared.settings import read_settings
from shared.statecodec import StateCodec

from .confirming import unproven
from .course import deletion_id
from .states import Awaiting, Held, InWindow, Keeping, Retaining, Stalled, State, window_of_state
from .waking import EXPORTER

if TYPE_CHECKING:
    from asyncpg import Connection

Waiting: TypeAlias = Awaiting | Held | Keeping | Stalled | Retaining | InWindow
Found: TypeAlias = tuple[list[tuple[str, Waiting]], list[UnreadableCaseError]]
_states: StateCodec[State] = StateCodec(State)
# Something could not be read, so the answer is not the whole answer.
_INCOMPLETE = 3


def waiting(
    customer: Annotated[str | None, typer.Argument(help="Only this customer.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what waits for a hold, a law, an answer or a decision, what is missing, and the rows; nothing is changed.

    Exit code 1 if nothing waits, 3 if a case could not be read: then that may be one that waits.
    """
    found, unread = asyncio.run(_found(customer, limit))
    told = [_told(who, state) for who, state in found]
    text = "\n".join(line for one in told for line in _lines(one))
    typer.echo(json.dumps(told, indent=2) if as_json else text or ("" if unread else "Nothing waits for anybody."))
    for error in unread:
        typer.echo(f"offramp: {error}", err=True)
    if unread:
        raise typer.Exit(_INCOMPLETE)
    raise typer.Exit(0 if told else 1)


async def _found(customer: str | None, limit: int) -> Found:
    try:
        return await asked(read_settings().dsn("retention"), lambda connection: _read(connection, customer, limit))
    except UnreadableDatabaseError as error:
        raise OperatorError(f"retention's database {error}. Check OFFRAMP_RETENTION_DSN or OFFRAMP_POSTGRES.") from None


async def _read(connection: Connection, customer: str | None, limit: int) -> Found:
    """Give the cases that wait, and why others can't be read: one of those hides none of these."""
    rows, now = await connection.fetch(WAITING, customer, limit), choose_clock()()
    found: list[tuple[str, Waiting]] = []
    unread: list[UnreadableCaseError] = []
    for row in rows:
        who = row["customer_id"]
        try:
            state = _states.load(row["state"])
        except msgspec.ValidationError as error:
            unread.append(UnreadableCaseError("retention", who, error))
            continue
        # The comparison may have come since somebody was told that it hadn't.
        if isinstance(state, Waiting) and (not isinstance(state, InWindow) or unproven(state.known, now)):
            found.append((who, state))
    return found, unread


def _told(customer: str, state: Waiting) -> dict[str, Any]:
    deletion = state.deletion if isinstance(state, Keeping | Stalled) else None
    counts = _counts(state)
    return {
        "customer": customer,
        "deletion": deletion.deletion_id if deletion is not None else deletion_id(state.known, window_of_state(state)),
        "missing": _missing(state),
        "holders": _holders(state),
        "disputed": list(state.disputed) if isinstance(state, Stalled) else [],
        "holds": [hold.hold_id for hold in state.known.holds if hold.active],
        "until": _until(state),
        "customers_due": state.load.due if isinstance(state, Awaiting) else None,
        "rows": sum(rows for _, _, rows in counts),
        "counts": [{"holder": holder, "table": table, "rows": rows} for holder, table, rows in counts],
    }


def _holders(state: Waiting) -> list[str]:
    if isinstance(state, Keeping):
        return [holder.name for holder in state.deletion.holders if holder.status == "kept"]
    if isinstance(state, InWindow):
        return [EXPORTER]
    if isinstance(state, Retaining):
        return list(dict.fromkeys(holder for holder, _, _ in _counts(state)))
    return list(state.holders) if isinstance(state, Stalled) else []


def _counts(state: Waiting) -> list[tuple[str, str, int]]:
    """Give, by holder and table, what would be deleted, or what is kept."""
    if isinstance(state, Keeping):
        return [(row.holder, row.table, row.kept) for row in state.after if row.kept]
    if isinstance(state, Retaining):
        retained = state.known.retained
        return [] if retained is None else [(row.holder, row.table, row.rows) for row in retained.rows]
    before = state.deletion.before if isinstance(state, Stalled) and state.deletion is not None else ()
    seen = state.seen if isinstance(state, Awaiting) else before
    return [(row.holder, row.table, row.own) for row in seen]


def _until(state: Waiting) -> str | None:
    """Tell the first day on which what laws keep may go."""
    retained = state.known.retained if isinstance(state, Retaining) else None
    return None if retained is None else min(row.until for row in retained.rows).isoformat()


def _missing(state: Waiting) -> list[str]:
    if isinstance(state, Awaiting):
        return list(state.missing)
    if isinstance(state, InWindow):
        return ["not_compared"]
    if isinstance(state, Retaining):
        return ["retained"]
    return ["held"] if isinstance(state, Held | Keeping) else [state.reason]


def _lines(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['customer']}: {one['deletion']} waits: {', '.join(one['missing'])}"
    for name in ("holders", "disputed", "holds"):
        if one[name]:
            yield f"  {name}: {', '.join(one[name])}"
    if one["until"] is not None:
        yield f"  a law keeps it until: {one['until']}"
    if one["customers_due"] is not None:
        yield f"  customers due within a day: {one['customers_due']}"
    yield from (f"  {row['holder']:<24} {row['table']:<32} {row['rows']:>12,}" for row in one["counts"])
    if one["counts"]:
        yield f"  {'in all':<57} {one['rows']:>12,}"


WAITING = """
-- waiting: what somebody has to look at
select customer_id, state::text as state from cases
 where (state ->> 'kind' in ('awaiting', 'held', 'keeping', 'stalled', 'retaining')
        or state ->> 'kind' = 'window' and state -> 'known' -> 'uncompared' ->> 0 is not null)
   and ($1::text is null or customer_id = $1)
 order by customer_id limit $2
"""
