"""What a service's database says of a customer's case, read as it is, without the service's code."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from ..database_fates import DATABASE_OUTAGES
from ..errors import OperatorError

if TYPE_CHECKING:
    from asyncpg import Connection

T = TypeVar("T")
_PATIENCE = 5.0
# Of what a command lists: no terminal shows more, and no number is too large for who counts.
MOST = 1_000_000


class UnaskableError(OperatorError):
    """What is asked for is nothing that a database can hold, so no row has it."""


class UnreadableDatabaseError(Exception):
    """The service's database can't be asked; the text says why."""


class UnreadableCaseError(OperatorError):
    """A case's row is there, and this release can't read its state."""

    def __init__(self, service: str, customer_id: str, why: Exception) -> None:
        """Say of which case of *service*, *why* it can't be read, and how it can be looked at all the same."""
        super().__init__(
            f"{service}: the case of {customer_id} can't be read ({why}): another release wrote it, or "
            f"somebody by hand. Look at it: offramp case show {customer_id} --service {service}. What to do is said in "
            "docs/operations.md, OfframpStuckCases."
        )


async def asked(dsn: str, question: Callable[[Connection], Awaitable[T]]) -> T:
    """Ask the database at *dsn*; raises ``UnreadableDatabaseError`` and ``UnaskableError``."""
    try:
        connection = await asyncpg.connect(dsn, timeout=_PATIENCE, command_timeout=_PATIENCE)
        try:
            return await question(connection)
        finally:
            await connection.close(timeout=_PATIENCE)
    except asyncpg.UndefinedTableError as error:
        raise UnreadableDatabaseError("has no cases yet: the service never ran on it") from error
    except asyncpg.DataError as error:
        # Bytes that are no UTF-8, as a terminal of another encoding sends them.
        raise UnaskableError(f"no case can be asked for like that. Check the id: {ascii(str(error))[1:-1]}") from error
    except DATABASE_OUTAGES as error:
        raise UnreadableDatabaseError(f"can't be asked ({type(error).__name__}: {error})".splitlines()[0]) from error


async def case(connection: Connection, customer_id: str) -> dict[str, Any] | None:
    """Give *customer_id*'s case as plain values, moments as datetimes; None if the service never heard of it."""
    rows = await connection.fetch(_CASE, customer_id)
    if not rows:
        return None
    (row,) = rows
    tasks = await connection.fetch(_TASKS_OF, customer_id)
    return {
        "revision": row["revision"],
        "next_wake": row["wakes_at"],
        "stuck": row["stuck"],
        "state": None if row["state"] is None else json.loads(row["state"]),
        "waiting": [_waiting(one) for one in json.loads(row["waiting"] or "[]")],
        "tasks": [dict(task) for task in tasks],
    }


async def called(connection: Connection, customer_id: str) -> tuple[str, ...]:
    """Give by what else *customer_id* goes, as long as its deletion is under way."""
    rows = await connection.fetch(_CALLED, customer_id)
    return tuple(row["name"] for row in rows)


async def stuck(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Give up to *limit* cases that failed when they were woken, the next to be tried first."""
    return [dict(row) for row in await connection.fetch(_STUCK_CASES, limit)]


async def waiting(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Give what waits in up to *limit* cases."""
    rows = await connection.fetch(_WAITING_CASES, limit)
    return [{"customer": row["customer_id"], **_waiting(one)} for row in rows for one in json.loads(row["waiting"])]


def _waiting(one: dict[str, Any]) -> dict[str, Any]:
    fact = json.loads(one["fact"])
    told = {"type": one["type"], "id": fact.get("id"), "since": fact.get("time")}
    return told | {"until": one["until"], "reason": one["reason"]}


_CASE = """
-- case
select state::text as state, waiting::text as waiting, revision, wakes_at, stuck from cases where customer_id = $1
"""
_TASKS_OF = """
-- tasks_of: leases go by the database's clock
select id::text as id, kind, attempts, failure, due_at, lease is not null and due_at > clock_timestamp() as performing
  from tasks where customer_id = $1 order by due_at
"""
_STUCK_CASES = """
-- stuck_cases
select customer_id as customer, stuck as reason, wakes_at as next_try
  from cases where stuck is not null order by wakes_at limit $1
"""
_WAITING_CASES = """
-- waiting_cases
select customer_id, waiting::text as waiting from cases where waiting is not null order by customer_id limit $1
"""

_CALLED = "select distinct unnest(identifiers) as name from called where customer_id = $1 order by 1"
