"""``offramp erase replay``: after a restore, find whom the ledger knows as erased, and erase them again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from aiokafka.errors import KafkaError

from ..clock import MovedClock
from ..clocksetting import choose_clock
from ..datamap.commands import connected
from ..datamap.model import DataMap, load
from ..declared import holders_file
from ..errors import OperatorError
from ..objects import ObjectStore
from ..settings import read_settings
from ..worker import group_of
from . import erasures, ledger
from .declaration import PostgresHolder, load_holders
from .heard import HoldTopics, Published, Unpublished
from .held import Knowledge, kept_by, standing_at
from .right import RefusedError, Right, check_contracts
from .rows import erase, total
from .work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ..clock import Clock
    from ..datamap.live import Connection
    from ..holds import Holds
    from .erasures import Entry
    from .heard import Heard


@dataclass(frozen=True, slots=True)
class Place:
    """A holder's database and map, and the *ledger*.

    Where that is the database with the holder's cases too, *published* is where holds are that they don't know yet;
    None where nobody knows of holds.
    """

    holder: str
    map: DataMap
    dsn: str
    ledger: str
    published: Published | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """One entry again: how many *rows* came back and are gone, or what stood in the way."""

    entry: Entry
    rows: int
    refused: str | None = None

    def told(self) -> dict[str, object]:
        """Give it as JSON."""
        entry = self.entry
        return {"holder": entry.holder, "customer": entry.customer_id, "rows": self.rows, "refused": self.refused}

    def __str__(self) -> str:
        what = f"not erased: {self.refused}" if self.refused else f"{self.rows:,} rows that were back"
        return f"{self.entry.holder:<24} {self.entry.customer_id:<32} {what}"


def replay_command(
    map_path: Annotated[
        Path | None, typer.Option("--map", help="The data map; without it, all declared holders.")
    ] = None,
    dsn: Annotated[str | None, typer.Option(help="The restored database, as a libpq URL.")] = None,
    ledger_dsn: Annotated[str | None, typer.Option("--ledger", help="The database with the erasure ledger.")] = None,
    leave: Annotated[list[str] | None, typer.Option(help="A customer whose rows stay: it has come back.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what came back, and roll back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Erase again whom the ledger knows and a restored database doesn't; exit 0 only if nobody is left in it."""
    places = _plain(map_path, dsn, ledger_dsn) if map_path else declared()
    found = [one for place in places for one in asyncio.run(replay(place, tuple(leave or ()), dry_run=dry_run))]
    if as_json:
        typer.echo(json.dumps([one.told() for one in found], indent=2))
    else:
        typer.echo("\n".join([*map(str, found), f"{len(found)} deletions were missing in {len(places)} databases"]))
    raise typer.Exit(1 if any(one.refused for one in found) else 0)


def _plain(map_path: Path, dsn: str | None, ledger_dsn: str | None) -> tuple[Place, ...]:
    if dsn is None or ledger_dsn is None:
        msg = "with --map, --dsn and --ledger are needed too; without all three the declared holders are looked at."
        raise OperatorError(msg)
    map = load(map_path)  # noqa: A001
    return (Place(map.system, map, dsn, ledger_dsn, published=None),)


def declared(name: str = "holder") -> tuple[Place, ...]:
    """Give the databases for which the holder *name* answers, with its own database as the ledger."""
    settings = read_settings()
    holders = [one for one in load_holders(holders_file()) if one.answered_by == name]
    topics = HoldTopics(settings.kafka, group_of(settings.topic_prefix, name), settings.topic_prefix)
    return tuple(
        Place(one.name, load(one.map), settings.dsn(one.database), settings.dsn(name), topics)
        for one in holders
        if isinstance(one, PostgresHolder)
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of holds: where *at* is None, nothing, and nobody can ask."""

    at: Knowledge | None
    clock: Clock

    async def of(self, customer_id: str, window_closed_at: datetime) -> Holds:
        """Give the holds in force, of all that were published by now.

        Raises ``RefusedError`` for who has had another contract since *window_closed_at*.
        """
        if self.at is None:
            return ()
        standing = await standing_at(self.at, customer_id, self.clock())
        check_contracts(standing.contracts, window_closed_at)
        return standing.holds


async def replay(place: Place, leave: Sequence[str] = (), *, dry_run: bool = False) -> tuple[Replayed, ...]:
    """Erase again at *place* what its database doesn't know of, the oldest first; *leave* names who stays.

    As long as one is refused the newest is not noted, whatever becomes of its rows: by it the database is known to be
    restored, and it isn't to be served yet.
    Raises OperatorError where the database or Kafka doesn't answer: nobody can tell then what is held.
    """
    async with connected(place.ledger) as kept, connected(place.dsn) as database:
        if place.published is None and not await erasures.kept_there(kept):
            raise OperatorError("there is no erasure ledger in that database, so nobody can tell: look at --ledger.")
        missing = await erasures.missing(kept, database, place.holder)
        if not missing:
            return ()
        try:
            async with (place.published or Unpublished()).opened() as heard:
                known = _known(place, kept, heard)
                done: list[Replayed] = []
                for entry in missing:
                    served = entry is not missing[-1] or not any(one.refused for one in done)
                    step = _Step(entry, _last_window(entry, missing), dry_run, noted=served)
                    done.append(await _again(place, known, database, step, leave))
                return tuple(done)
        except KafkaError as error:
            raise OperatorError(
                f"Kafka does not tell which holds were published: {error!r}. What went before is noted; start Kafka "
                "(OFFRAMP_KAFKA) and run it again."
            ) from error


def _known(place: Place, kept: Connection, heard: Heard) -> _Known:
    return _Known(Knowledge(kept, heard) if place.published else None, choose_clock())


@dataclass(frozen=True, slots=True)
class _Step:
    """One *entry* again; its customer's last window closed at *window_closed_at*, *noted* in the database or not."""

    entry: Entry
    window_closed_at: datetime
    dry_run: bool
    noted: bool


def _last_window(entry: Entry, missing: Sequence[Entry]) -> datetime:
    """Tell by which window its customer's rows may go: who came back and was erased again has two."""
    return max(one.window_closed_at for one in missing if one.customer_id == entry.customer_id)


async def _again(place: Place, known: _Known, database: Connection, step: _Step, leave: Sequence[str]) -> Replayed:
    entry = step.entry
    if entry.customer_id in leave:
        if step.noted and not step.dry_run:
            await ledger.prepare(database)
            await ledger.finish(database, entry.deletion_id)
        return Replayed(entry, 0)
    try:
        right = _right(step, known, await known.of(entry.customer_id, step.window_closed_at))
        async with ObjectStore(read_settings().s3) as store:
            work = Work(database, place.map, entry.customer_id, right, known.clock, dry_run=step.dry_run, objects=store)
            erasure = await erase(work)
    except RefusedError as refused:
        return Replayed(entry, total(refused.deleted), str(refused))
    return Replayed(entry, total(erasure.outcome.deleted))


def _right(step: _Step, known: _Known, holds: Holds) -> Right:
    entry = step.entry

    async def still_held() -> bool:
        return not set(await known.of(entry.customer_id, step.window_closed_at)) <= set(holds)

    spared = {one.hold_id for one in entry.spared.elsewhere}
    return Right(
        entry.window_closed_at,
        held=any(hold.holds_everything for hold in holds),
        still_held=still_held,
        deletion_id=entry.deletion_id if step.noted else None,
        moved_clock=isinstance(known.clock, MovedClock),
        keep=(*entry.spared.keep, *(one for one in kept_by(holds) if one.hold_id not in spared)),
        elsewhere=(*entry.spared.elsewhere, *(one for one in kept_by(holds) if one.hold_id in spared)),
    )


async def check_served(place: Place) -> None:
    """Raise ``RestoredError`` if *place* may not be served before a replay, ``OperatorError`` if it can't be asked."""
    async with connected(place.ledger) as kept, connected(place.dsn) as database:
        await erasures.check_not_restored(kept, database, place.holder)
