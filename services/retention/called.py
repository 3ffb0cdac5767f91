"""What else customers go by, kept from the survey to the case's end in the service's own database, and nowhere else.

The survey's outcome, events, logs and certificates have none of it: an id may be somebody's name.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from shared.holder.called import Called

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from shared.datamap.live import Connection

    from .reading import Reading
    from .tasks import ProofTask

_CONNECT_SECONDS = 10.0


async def note(dsn: str, task: ProofTask, readings: Iterable[Reading]) -> None:
    """Note in the database at *dsn* what *readings* of *task*'s customer found; an outage is raised.

    What a survey reads after the first command is added to what was known, and doesn't count as read in time. Of a case
    that is over, or not begun, nothing is noted.
    """
    found = [(one.holder, list(one.called), one.map_sha256) for one in readings if one.called is not None]
    if found:
        async with _connected(dsn) as connection:
            columns = [list(column) for column in zip(*found, strict=True)]
            names = [[number, name] for number, (_, ids, _) in enumerate(found, 1) for name in ids]
            await connection.execute(
                NOTE,
                task.customer_id,
                task.deletion_id,
                columns[0],
                columns[2],
                [number for number, _ in names],
                [name for _, name in names],
            )


async def known(dsn: str, task: ProofTask) -> Mapping[str, Called]:
    """Give what is known of *task*'s customer, by holder."""
    async with _connected(dsn) as connection:
        rows = await connection.fetch(KNOWN, task.customer_id, task.deletion_id)
    return {row["holder"]: Called(tuple(row["identifiers"]), row["map_sha256"]) for row in rows}


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    named = {"application_name": "offramp retention ids"}
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS, server_settings=named)
    try:
        yield connection
    finally:
        await connection.close()


# The case's row is locked: where it ends meanwhile, what is noted is forgotten with it, or isn't noted any more.
NOTE = """
with under_way as (
    select state ->> 'kind' = 'surveying' as in_time from cases
     where customer_id = $1 and not is_over(state) for share
),
found as (
    select holder, case when in_time then map_sha256 end as map_sha256,
           array(select n.name from unnest($5::int[], $6::text[]) as n (number, name) where n.number = h.number)
               as identifiers
      from under_way, unnest($3::text[], $4::text[]) with ordinality as h (holder, map_sha256, number)
)
insert into called as known (customer_id, deletion_id, holder, map_sha256, identifiers)
select $1, $2, holder, map_sha256, identifiers from found
    on conflict (customer_id, deletion_id, holder) do update
       set map_sha256 = coalesce(excluded.map_sha256, known.map_sha256),
           identifiers = array(select unnest(known.identifiers) union select unnest(excluded.identifiers))
"""

KNOWN = "select holder, map_sha256, identifiers from called where customer_id = $1 and deletion_id = $2"
