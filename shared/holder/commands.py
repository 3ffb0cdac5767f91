"""``offramp erase``: delete a customer's rows by a data map, on a plain database, without Kafka."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..clock import system_clock
from ..datamap.commands import connected
from ..datamap.model import load
from ..errors import OperatorError
from .right import RefusedError, Right
from .rows import erase, total
from .work import Work

if TYPE_CHECKING:
    from ..datamap.model import DataMap
    from ..events.platform import Erased
    from .rows import Erasure

app = typer.Typer()


@app.callback(invoke_without_command=True)
def erase_command(
    map_path: Annotated[Path, typer.Option("--map", help="The data map, a YAML file.")],
    dsn: Annotated[str, typer.Option(help="The database, as a libpq URL.")],
    customer: Annotated[str, typer.Option(help="The customer's id.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do it all, count, and roll back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for the customer's id again.")] = False,
) -> None:
    """Delete all of the customer's rows and nobody else's, or nothing; exit 0 only if nothing is left.

    Whoever runs this says that the customer's 90 days are over and that no law holds the data: neither is known here.
    """
    map = load(map_path)  # noqa: A001
    if not (yes or dry_run):
        _confirm(customer)
    erasure = asyncio.run(_erase(dsn, map, customer, dry_run=dry_run))
    typer.echo(_as_json(erasure, customer, dry_run) if as_json else _as_text(erasure, customer, dry_run))
    raise typer.Exit(1 if total(erasure.outcome.remaining) else 0)


def _confirm(customer: str) -> None:
    answer = typer.prompt(
        f"All rows of {customer} will be deleted for good. Write the customer's id to go on", err=True
    )
    if answer != customer:
        msg = f"{answer!r} is not {customer!r}, so nothing was deleted."
        raise OperatorError(msg)


async def _erase(dsn: str, map: DataMap, customer: str, *, dry_run: bool) -> Erasure:  # noqa: A002
    async with connected(dsn) as connection:
        work = Work(connection, map, customer, Right(system_clock()), system_clock, dry_run=dry_run)
        try:
            return await erase(work)
        except RefusedError as refused:
            msg = f"nothing was deleted ({refused.reason}): {refused.details}."
            raise OperatorError(msg) from refused


def _as_json(erasure: Erasure, customer: str, dry_run: bool) -> str:  # noqa: FBT001
    outcome = erasure.outcome.model_dump(mode="json")
    warnings = [f"{one.place}: {one.says}" for one in erasure.warnings]
    return json.dumps({"customer": customer, "dry_run": dry_run, **outcome, "warnings": warnings}, indent=2)


def _as_text(erasure: Erasure, customer: str, dry_run: bool) -> str:  # noqa: FBT001
    outcome = erasure.outcome
    lines = [f"warning: {one.place}: {one.says}. {one.remedy}" for one in erasure.warnings]
    lines += [f"{one.table:<32} {one.rows:>12,}" for one in outcome.deleted]
    lines.append(f"{'in all':<32} {total(outcome.deleted):>12,}")
    return "\n".join([*lines, _verdict(outcome, customer, dry_run)])


def _verdict(outcome: Erased, customer: str, dry_run: bool) -> str:  # noqa: FBT001
    others = sum(one.rows_after for one in outcome.bystanders)
    left = total(outcome.remaining)
    if dry_run:
        return (
            f"A dry run: all of it was rolled back. {left} rows of {customer} would be left, {others:,} of others stay."
        )
    return f"{left} rows of {customer} are left; the {others:,} rows of others are as they were."
