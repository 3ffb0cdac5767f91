"""The demo platform for the holder's tests: made once, copied for each test, and read back without the map."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from deploy.platform.generate import HERE, create, generate
from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.model import load
from shared.holder.right import Right

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

    Database: TypeAlias = asyncpg.Connection[asyncpg.Record]

PLATFORM = load(HERE / "map.yaml")
# The customer that leaves, and two that stay; the ids of the first two begin alike.
LEAVING, STAYING = "acme", ("acme-east", "fjord")


@asynccontextmanager
async def platform_template(admin_dsn: str) -> AsyncIterator[str]:
    """Make the platform with three customers, nobody connected; the leaving one's contract has ended."""
    async with scratch_database(admin_dsn) as dsn:
        await create(dsn)
        await generate(dsn, [LEAVING, *STAYING], users=12)
        connection = await asyncpg.connect(dsn)
        await connection.execute("update customers set status = 'ended' where id = $1", LEAVING)
        await connection.close()
        yield dsn


def expired() -> Right:
    """Give the right to delete, whose window closed yesterday."""
    return Right(window_closed_at=system_clock() - timedelta(days=1))


async def everything(database: Database) -> dict[str, list[str]]:
    """Read every row of every table of the platform as text, sorted; no map is asked."""
    names = [
        row["tablename"] for row in await database.fetch("select tablename from pg_tables where schemaname = 'public'")
    ]
    return {
        name: sorted([row["text"] for row in await database.fetch(f"select ({name}.*)::text as text from {name}")])
        for name in names
    }


# Whose each row is, written out by hand for the oracle: joins, not the map's predicates.
OTHERS = {
    "customers": "select t from customers t where id <> $1",
    "users": "select t from users t where customer_id <> $1",
    "courses": "select t from courses t where customer_id <> $1",
    "reports": "select t from reports t where customer_id <> $1",
    "activity_log": "select t from activity_log t where customer_id is distinct from $1",
    "enrolments": "select t from enrolments t join users u on u.id = t.user_id where u.customer_id <> $1",
    "api_tokens": "select t from api_tokens t join users u on u.id = t.user_id where u.customer_id <> $1",
    "feedback": "select t from feedback t join courses c on c.id = t.course_id where c.customer_id <> $1",
    "completions": """select t from completions t join enrolments e on e.id = t.enrolment_id
                        join users u on u.id = e.user_id where u.customer_id <> $1""",
    "quiz_attempts": """select t from quiz_attempts t join enrolments e on e.id = t.enrolment_id
                          join users u on u.id = e.user_id where u.customer_id <> $1""",
    "certificates": """select t from certificates t join enrolments e on e.id = t.enrolment_id
                         join users u on u.id = e.user_id where u.customer_id <> $1""",
    "schema_migrations": "select t from schema_migrations t where $1 <> ''",
}


async def others(database: Database, customer: str = LEAVING) -> dict[str, list[str]]:
    """Read everybody else's rows, by the oracle's own queries."""
    wrapped = {name: f"select (s.t)::text as text from ({query}) as s" for name, query in OTHERS.items()}
    return {
        name: sorted([row["text"] for row in await database.fetch(query, customer)]) for name, query in wrapped.items()
    }
