"""The witness: another session that sees the same snapshot and counts its rows, while the first one reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.datamap.model import DataMap, Table
from shared.datamap.ownership import owned_by, relation
from shared.datamap.referring import referring

from .fingerprint import fingerprint, is_utf8

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Connect: TypeAlias = "Callable[[], AbstractAsyncContextManager[Connection]]"


@dataclass(frozen=True, slots=True)
class Referred:
    """How many *rows* have a value in a column that names objects, and how many *objects* those are."""

    rows: int
    objects: int


class Witness:
    """Counts by statements of its own, so that what the reading lost is missed; *known* fills as it goes on.

    Of tables with at most *compare_up_to* rows it takes *fingerprints* as well, of the *values* that are shown, in SQL,
    and *bare_fingerprints* of the columns alone, without what coded ones mean: those are all that a dump holds.
    *accounted*: it takes those of every table, as *sums* that tell later whether anything changed in this database.
    """

    def __init__(
        self,
        map: DataMap,  # noqa: A002 - the domain's word
        customer: str,
        values: Mapping[str, Sequence[str]],
        bare: Mapping[str, Sequence[str]],
        compare_up_to: int,
        *,
        accounted: bool = False,
    ) -> None:
        self._map = map
        self._customer = customer
        self._values = values
        self._bare = bare
        self._compare_up_to = compare_up_to
        self._accounted = accounted
        self._looking: asyncio.Task[None] | None = None
        self.known: dict[str, int] = {}
        self.fingerprints: dict[str, str] = {}
        self.bare_fingerprints: dict[str, str] = {}
        self.sums: dict[str, str] = {}
        self.references: dict[str, Referred] = {}

    async def counts(self) -> Mapping[str, int]:
        """Wait until the rows of every declared table are counted; raises what the counting ran into."""
        if self._looking is None:
            raise RuntimeError("nobody called the witness")
        await self._looking
        return self.known

    def call(self, connect: Connect, snapshot_id: str) -> None:
        """Begin to count in the exported snapshot *snapshot_id*."""
        self._looking = asyncio.create_task(self._look(connect, snapshot_id))

    async def _look(self, connect: Connect, snapshot_id: str) -> None:
        async with connect() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            # The server's own id, and no parameter of a statement.
            await connection.execute(f"set transaction snapshot '{snapshot_id}'")
            await connection.execute(SETTINGS + ALONE)
            for table in self._map.tables:
                await self._look_at(connection, table)
            for one in referring(self._map):
                query = REFERENCES.format(key=one.key("t", "$1"), rows=rows_of(self._map, self._map.table(one.table)))
                row = await connection.fetchrow(f"{query} and {one.named('t')}", self._customer)
                self.references[one.place] = Referred(*(row or (0, 0)))

    async def _look_at(self, connection: Connection, table: Table) -> None:
        rows = rows_of(self._map, table)
        self.known[table.name] = await connection.fetchval(f"select count(*) {rows}", self._customer)
        comparable = 0 < self.known[table.name] <= self._compare_up_to and await is_utf8(connection)
        if self._accounted and not comparable:
            query = f"select {fingerprint(self._values[table.name])} {rows}"
            self.sums[table.name] = await connection.fetchval(query, self._customer)
        if comparable:
            shown, bare = self._values[table.name], self._bare[table.name]
            query = f"select {fingerprint(shown)}, {fingerprint(bare) if bare != shown else 'null'} {rows}"
            [(whole, alone)] = await connection.fetch(query, self._customer)
            self.fingerprints[table.name] = self.sums[table.name] = whole
            self.bare_fingerprints[table.name] = alone or whole

    async def dismiss(self) -> None:
        """Stop the counting that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            # What it ran into is told by counts(), or by what stopped the export.
            await asyncio.gather(self._looking, return_exceptions=True)


@asynccontextmanager
async def called(witness: Witness, connect: Connect, snapshot_id: str) -> AsyncIterator[Witness]:
    """Let *witness* count inside the block."""
    witness.call(connect, snapshot_id)
    try:
        yield witness
    finally:
        await witness.dismiss()


def rows_of(map: DataMap, table: Table, customer: str = "$1") -> str:  # noqa: A002 - the domain's word
    """Give what follows ``select …``: the rows of *table* that are *customer*'s (SQL), as ``t``."""
    return f"from {relation(table.name)} as t where {owned_by(map, table, 't', customer)}"


REFERENCES = "select count(*), count(distinct {key}) {rows}"

# Values must not look different because of how a server was set up. With row_security off a policy
# that would hide rows is an error and not a short table.
SETTINGS = """
    set local standard_conforming_strings = on;
    set local timezone = 'UTC';
    set local datestyle = 'ISO, YMD';
    set local intervalstyle = 'iso_8601';
    set local bytea_output = 'hex';
    set local lc_monetary = 'C';
    set local extra_float_digits = 1;
    set local row_security = off;
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
"""

# The counting runs beside the reading, so it may take its time but not the cores.
ALONE = "set local max_parallel_workers_per_gather = 0;"
