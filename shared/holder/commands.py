"""``offramp erase``: delete a customer's rows by a data map, on a plain database, without Kafka."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..clock import system_clock
from ..datamap.commands import connected
from ..datamap.model import load
from ..errors import OperatorError
from ..events.platform import ErasedInPart, OfCategories, OfPersons, OfTables
from ..events.retention import Keep
from ..objects import ObjectStore
from ..settings import read_settings
from .called import Called, Sought, called, sought
from .erasures import Entry, Spared, check_not_restored, record
from .pace import Pace
from .replay import replay_command
from .residue import Mention, residue
from .right import RefusedError, Right
from .rows import erase, total
from .work import Foreseen, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from ..events.platform import Erased, HoldScope
    from ..events.vocabulary import TableCount
    from .rows import Erasure

app = typer.Typer()


@app.callback(invoke_without_command=True)
def erase_command(
    context: typer.Context,
    map_path: Annotated[Path | None, typer.Option("--map", help="The data map, a YAML file.")] = None,
    dsn: Annotated[str | None, typer.Option(help="The database, as a libpq URL.")] = None,
    customer: Annotated[str | None, typer.Option(help="The customer's id.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do it all, count, and roll back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for the customer's id again.")] = False,
    also: Annotated[list[str] | None, typer.Option(help="Another identifier to look for afterwards.")] = None,
    batch_rows: Annotated[
        int, typer.Option(min=1, help="Rows in each transaction of a large one.")
    ] = Pace().batch_rows,
    ledger: Annotated[str | None, typer.Option(help="A database, elsewhere, in which to note the erasure.")] = None,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="The part of the time to work in.")] = Pace().share,
    keep: Annotated[
        list[str] | None, typer.Option(help="What a law holds: table:NAME, category:NAME or person:REF.")
    ] = None,
) -> None:
    """Delete all of the customer's rows and nobody else's, or nothing; exit 0 only if nothing is left.

    Whoever runs this says that the customer's 90 days are over and that no law holds the data but what is given by
    --keep, or by the map as statutory retention: else neither is known here. With rows kept, and nothing else left,
    the exit code is 3.
    """
    if context.invoked_subcommand:
        return
    if map_path is None or dsn is None or customer is None:
        msg = "--map, --dsn and --customer are needed: nothing is deleted by default."
        raise OperatorError(msg)
    map = load(map_path)  # noqa: A001
    if not (yes or dry_run):
        _confirm(customer)
    pace = Pace(batch_rows=batch_rows, share=share)
    kept = tuple(_kept(one) for one in keep or ())
    asked = Asked(dsn, map, customer, tuple(also or ()), pace, ledger, dry_run, kept)
    done = asyncio.run(_erase(asked))
    typer.echo(_as_json(done, customer, dry_run) if as_json else _as_text(done, customer, dry_run))
    raise typer.Exit(_exit_code(done))


app.command("replay")(replay_command)


def _exit_code(done: Done) -> int:
    if total(done.erasure.outcome.remaining) or any(one.stops for one in done.mentions):
        return 1
    return _ONLY_KEPT if isinstance(done.erasure.outcome, ErasedInPart) else 0


_ONLY_KEPT = 3


def _kept(written: str) -> Keep:
    kind, _, name = written.partition(":")
    try:
        # By the words of whoever gave it: there is no other name for it here.
        return Keep(hold_id=written, scope=_SCOPES[kind](name))
    except (KeyError, ValidationError) as error:
        msg = f"--keep {written}: nothing was deleted. Write table:NAME, category:NAME or person:REF."
        raise OperatorError(msg) from error


_SCOPES: dict[str, Callable[[str], HoldScope]] = {
    "table": lambda name: OfTables(tables=(name,)),
    "category": lambda name: OfCategories(categories=(name,)),
    "person": lambda ref: OfPersons(refs=(ref,)),
}


def _confirm(customer: str) -> None:
    answer = typer.prompt(
        f"All rows of {customer} will be deleted for good. Write the customer's id to go on", err=True
    )
    if answer != customer:
        msg = f"{answer!r} is not {customer!r}, so nothing was deleted."
        raise OperatorError(msg)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator asked for; *also* are other identifiers to look for, *ledger* is a database's URL.

    *keep* has to stay.
    """

    dsn: str
    map: DataMap
    customer: str
    also: tuple[str, ...]
    pace: Pace
    ledger: str | None
    dry_run: bool
    keep: tuple[Keep, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What a deletion did; what of *sought* was found again afterwards, where it was looked for."""

    erasure: Erasure
    mentions: tuple[Mention, ...] = ()
    sought: Sought | None = None


async def _erase(asked: Asked) -> Done:
    now = system_clock()
    noted_as = f"erase/{asked.customer}/{now.isoformat()}"
    entry = Entry(asked.map.system, noted_as, asked.customer, now, Spared(keep=asked.keep))
    async with connected(asked.dsn) as connection:
        if asked.ledger:
            await _check_not_restored(asked.ledger, connection, entry.holder)
        known = await _called(connection, asked)
        right = Right(now, deletion_id=entry.deletion_id if asked.ledger else None, keep=asked.keep)
        with _bar() as (planned, went):
            work = Work(
                connection, asked.map, asked.customer, right, system_clock, went, planned, asked.dry_run, asked.pace
            )
            try:
                async with ObjectStore(read_settings().s3) as store:
                    erasure = await erase(replace(work, objects=store))
            except RefusedError as refused:
                raise OperatorError(_refusal(refused)) from refused
            except asyncio.CancelledError:
                typer.echo(f"offramp: stopped: {_went(work, told=False)}; {_GOES_ON}", err=True)
                raise
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise OperatorError(_broken_off(work, error)) from error
        # After a dry run everything is there still, so a search would find it all.
        if asked.dry_run:
            return Done(erasure)
        if asked.ledger:
            await _record(asked.ledger, entry)
        kept_of = asked.customer if asked.keep or asked.map.retains else None
        map = asked.map.of(asked.customer)  # noqa: A001
        looked_for = await sought(connection, map, asked.customer, known)
        # What somebody has named is looked for, however short.
        names = (*looked_for.identifiers, *asked.also)
        return Done(erasure, await residue(connection, map, names, kept_of) if names else (), looked_for)


async def _called(connection: Connection, asked: Asked) -> Called:
    """Read by what else the customer goes while its rows say so; where none does, they may have gone already."""
    map = asked.map.of(asked.customer)  # noqa: A001
    names = await called(connection, map, asked.customer)
    return Called(names, map.sha256 if names else None)


async def _check_not_restored(ledger: str, connection: Connection, holder: str) -> None:
    # Else this deletion, the newest, would hide that the ones before it have to be made again.
    async with connected(ledger) as kept:
        await check_not_restored(kept, connection, holder)


async def _record(ledger: str, entry: Entry) -> None:
    async with connected(ledger) as kept:
        await record(kept, entry)


def _refusal(refused: RefusedError) -> str:
    if not refused.deleted:
        return f"nothing was deleted ({refused.reason}): {refused.details}."
    gone, saved = total(refused.deleted), total(refused.saved)
    return f"{gone:,} rows were deleted before it stopped, {saved:,} are left ({refused.reason}): {refused.details}."


def _broken_off(work: Work, error: Exception) -> str:
    at = (getattr(error, "context", None) or "").partition("\n")[0]
    place = f" ({at})" if at else ""
    mend = "Mend that, or look at the rights of the role of --dsn"
    # Who was cut off from the server doesn't know whether the last commit got there.
    told = isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError)
    return f"{_went(work, told=told)}: the database stopped it: {error}{place}. {mend}; {_GOES_ON}"


def _went(work: Work, *, told: bool) -> str:
    gone = work.gone.total()
    if not told:
        return f"at least {gone:,} rows are deleted for good"
    return f"{gone:,} rows are deleted for good, and no more" if gone else "nothing was deleted"


_GOES_ON = "run again, it goes on with what is left."


@contextmanager
def _bar() -> Iterator[tuple[Callable[[Foreseen], None], Callable[[TableCount], None]]]:
    """Show on a terminal how many rows are gone of how many; what makes it slow is said before the first one goes."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("rows", total=None)

        def planned(plan: Foreseen) -> None:
            for one in plan.slow:
                slow = (
                    f"{one.table}: the foreign key {one.name} has no index, so each row deleted from {one.to} scans it"
                )
                typer.echo(f"slow: {slow}. Run first: {one.create_index};", err=True)
            bar.update(task, total=plan.rows.total())

        yield planned, lambda one: bar.update(task, advance=one.rows, description=one.table)


def _as_json(done: Done, customer: str, dry_run: bool) -> str:  # noqa: FBT001
    erasure, sought = done.erasure, done.sought
    outcome = erasure.outcome.model_dump(mode="json")
    told = {
        "warnings": [f"{one.place}: {one.says}" for one in erasure.warnings],
        "create_index": [one.create_index for one in erasure.slow],
        "mentions": [one.told() for one in done.mentions],
        "searched_for": sought
        and {
            "identifiers": len(sought.identifiers),
            "left_out": sought.left_out,
            "others_unknown": sought.others_unknown,
        },
    }
    return json.dumps({"customer": customer, "dry_run": dry_run, **outcome, **told}, indent=2)


def _as_text(done: Done, customer: str, dry_run: bool) -> str:  # noqa: FBT001
    erasure, outcome = done.erasure, done.erasure.outcome
    lines = [f"warning: {one.place}: {one.says}. {one.remedy}" for one in erasure.warnings]
    lines += [f"{one.table:<32} {one.rows:>12,}" for one in outcome.deleted]
    lines.append(f"{'in all':<32} {total(outcome.deleted):>12,}")
    if isinstance(outcome, ErasedInPart):
        lines += [f"kept: {one.table:<26} {one.rows:>12,}  {one.hold_id}" for one in outcome.held]
        lines += [f"kept: {one.table:<26} {one.rows:>12,}  until {one.until}, {one.basis}" for one in outcome.retained]
        lines += [f"kept: {one.table:<26} {one.rows:>12,}  kept rows need them" for one in outcome.needed]
        lines += [f"emptied: {one.table:<23} {one.rows:>12,}  as the map says" for one in outcome.minimised]
    lines += [f"{one.rows:,} of {one.table} stay: others' rows refer to them too" for one in outcome.shared]
    return "\n".join(
        [*lines, *map(str, done.mentions), *_looked_for(done.sought), _verdict(outcome, customer, dry_run)]
    )


def _looked_for(sought: Sought | None) -> Iterator[str]:
    """Say for how many ids was looked, and never for which."""
    if sought is None:
        return
    yield f"looked for {len(sought.identifiers)} ids of the customer's in every column of words"
    if sought.left_out:
        yield f"{sought.left_out} ids were not looked for: too short, or another customer's as well"
    if sought.others_unknown:
        yield "no row said by what else it went, so look for that with --also"


def _verdict(outcome: Erased | ErasedInPart, customer: str, dry_run: bool) -> str:  # noqa: FBT001
    others = sum(one.rows_after for one in outcome.bystanders)
    left = f"{total(outcome.remaining)} rows of {customer}"
    if isinstance(outcome, ErasedInPart):
        left += f", besides {total(outcome.kept):,} kept ones,"
    if dry_run:
        return f"A dry run: all of it was rolled back. {left} would be left, {others:,} of others stay."
    return f"{left} are left; the {others:,} rows of others are as they were."
