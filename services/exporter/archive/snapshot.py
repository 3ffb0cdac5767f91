"""One customer's rows at one moment: one read-only transaction in which the map is checked, counted by a witness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg

from services.exporter.formats.format import Format
from shared.datamap import live
from shared.datamap.alike import alike
from shared.datamap.columns import ForeignKey, LiveColumn, value_of
from shared.datamap.meaning import shown
from shared.datamap.model import DataMap, Table
from shared.datamap.names import literal

from .faults import MapDisagreesError, NothingLeftError
from .ordering import ordering
from .unkept import as_kept
from .witness import SETTINGS, Connect, Connection, Witness, called, rows_of

Receive: TypeAlias = Callable[[bytes], Coroutine[Any, Any, None]]


# Postgres sends 8 KiB at a time, and to wake for each costs more than the work on it: in this pause (seconds) the
# kernel gathers more, which halves the CPU time of reading (figures in docs/decisions/0004-archive.md).
_PAUSE = 0.001
_WORTH_WAKING_FOR = 64 * 1024
# A table of Postgres has no more (a query 1,664), and into one the archive's rows have to fit where it is read back.
MOST_COLUMNS = 1_600


@dataclass(frozen=True, slots=True)
class Shown:
    """A table with the columns that the archive shows of it, and its primary key.

    *key* names all columns of the key, in its order, also those that are not shown.
    """

    table: Table
    columns: tuple[LiveColumn, ...]
    key: tuple[str, ...]

    @property
    def bare(self) -> tuple[LiveColumn, ...]:
        """Give the columns that the database has, without those that say what coded ones mean."""
        return tuple(column for column in self.columns if column.sql is None)

    @property
    def order(self) -> tuple[str, ...]:
        """Give the expressions over the row ``t`` that put the rows in the order in which they are written."""
        return ordering(self.key, self.bare)


class Snapshot:
    """The open transaction; everything read through it is of one moment; *shown* is what the archive shows of it."""

    def __init__(
        self,
        connection: Connection,
        map: DataMap,  # noqa: A002 - the domain's word
        customer: str,
        shown: tuple[Shown, ...],
        witness: Witness,
    ) -> None:
        self._connection = connection
        self._map = map
        self._customer = customer
        self.shown = shown
        self.witness = witness

    async def foreign_keys(self) -> tuple[ForeignKey, ...]:
        """Give the database's foreign keys."""
        return await live.foreign_keys(self._connection)

    async def copy(self, shown: Shown, format: Format, receive: Receive) -> None:  # noqa: A002 - the domain's word
        """Stream the customer's rows of one table, in *format*, to *receive*, which may make the database wait."""
        await self.stream(format.select(shown.columns, self.ordered(shown)), format.options, receive)

    def rows(self, table: Table) -> str:
        """Give what follows ``select …``: the customer's rows of *table* as ``t``; it has no parameter."""
        return rows_of(self._map, table, self.customer)

    def ordered(self, shown: Shown) -> str:
        """Give what follows ``select …`` where rows are written: those of ``rows``, in ``Shown.order``.

        Ordered inside, so that what is written of a row needn't be carried through the sort.
        """
        return f"from (select t.* {self.rows(shown.table)} order by {', '.join(shown.order)}) t"

    async def stream(self, query: str, options: Mapping[str, Any], receive: Receive) -> None:
        """Stream what *query* gives under COPY's *options* to *receive*.

        COPY takes no parameters. Put in by the client they would be put into names and texts too where those say
        ``$1``: into a column of that name, or a label of the map's.
        """
        read = 0

        async def gather(piece: bytes) -> None:
            nonlocal read
            await receive(piece)
            read += len(piece)
            # Not for a short table: of those there may be many, and each would wait for nothing.
            if len(piece) < _WORTH_WAKING_FOR < read:
                await asyncio.sleep(_PAUSE)

        try:
            await self._connection.copy_from_query(query, output=gather, **options)
        except BaseException:
            # The client asks the server to cancel the COPY, and would wait for ever for an answer where that had ended
            # already, as it has when the last piece can't be taken: nothing more is asked of this connection.
            self._connection.terminate()
            raise

    def listed(self, query: str, at_once: int) -> AsyncIterator[asyncpg.Record]:
        """Give what *query* lists: *at_once* rows at a time, from the server's cursor."""
        return aiter(self._connection.cursor(query, prefetch=at_once))

    @property
    def customer(self) -> str:
        """Give the customer's id as SQL: a literal."""
        return literal(self._customer)

    async def catalogue(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Read Postgres' own catalogue, in which every name comes with its schema."""
        path = await self._connection.fetchval("select current_setting('search_path')")
        await self._connection.execute("set local search_path = ''")
        found = await self._connection.fetch(query, *arguments)
        await self._connection.execute("select set_config('search_path', $1, true)", path)
        return found


def _shown(table: Table, columns: tuple[LiveColumn, ...]) -> Shown:
    kept = shown(table, columns)
    if not kept:
        raise NothingLeftError(table.name, "the map leaves out every column", "Exempt the table, or show a column")
    if len(kept) > MOST_COLUMNS:
        says = f"with what its coded columns mean it has {len(kept):,} columns, more than Postgres' {MOST_COLUMNS:,}"
        raise MapDisagreesError(table.name, says, "Leave out columns, or let fewer be coded")
    key = sorted((column.key_position, column.name) for column in columns if column.key_position)
    return Shown(table, kept, tuple(name for _, name in key))


@asynccontextmanager
async def snapshot(
    connect: Connect,
    map: DataMap,  # noqa: A002 - the domain's word
    customer: str,
    compare_up_to: int = 0,
    *,
    accounted: bool = False,
) -> AsyncIterator[Snapshot]:
    """Open the snapshot; raises MapDisagreesError before anything is read if the map and the schema don't agree.

    The witness takes fingerprints of tables with at most *compare_up_to* rows; where *accounted*, a sum of each.
    """
    map = map.of(customer)  # noqa: A001 - the domain's word
    async with connect() as connection, _one_moment(connection):
        await connection.execute(SETTINGS)
        stops = [found for found in await live.check(connection, map) if found.stops]
        if stops:
            says = "; ".join(f"{found.place}: {found.says}" for found in stops)
            raise MapDisagreesError(stops[0].place, f"the data map and the database disagree: {says}", stops[0].remedy)
        doubtful = await alike(connection, map, customer)
        if doubtful:
            says = "an id stands in it that differs in small and large letters only, and may be another customer's"
            raise MapDisagreesError(doubtful[0], says, "Write it as the customer's, or go by sql that tells them apart")
        live_columns = await as_kept(connection, await live.columns(connection, map))
        shown = tuple(_shown(table, live_columns[table.name]) for table in map.tables)
        values = {one.table.name: [value_of(column) for column in one.columns] for one in shown}
        bare = {one.table.name: [value_of(column) for column in one.bare] for one in shown}
        witness = Witness(map, customer, values, bare, compare_up_to, accounted=accounted)
        async with called(witness, connect, await connection.fetchval(EXPORTED)):
            yield Snapshot(connection, map, customer, shown, witness)


@asynccontextmanager
async def _one_moment(connection: Connection) -> AsyncIterator[None]:
    """Let all that is read inside the block be of one moment; it is over with the *connection* at the latest."""
    reading = connection.transaction(isolation="repeatable_read", readonly=True)
    await reading.start()
    yield
    # Only here: what stopped the block may have left a COPY under way, beside which nothing can be said; what it raised
    # then would hide what it was. There is nothing to take back, and whoever connected closes.
    await reading.commit()


# name: what lets another session see what this one does, for as long as this transaction is open
EXPORTED = "select pg_export_snapshot()"
