"""``offramp case``: where a customer stands with each service, and which cases need somebody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OperatorError
from ..settings import read_settings
from . import casebook
from .services import SERVICES, known_service

if TYPE_CHECKING:
    from asyncpg import Connection

app = typer.Typer(help="Where a customer stands, and which cases need somebody.", no_args_is_help=True)

Service = Annotated[str | None, typer.Option(help="Ask only this service.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
# Something could not be asked, so the answer is not the whole answer.
_INCOMPLETE = 3


@app.callback()
def group() -> None:
    """Look at cases; nothing is changed."""


@app.command()
def show(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    *,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Show the customer's state, dates, what waits and until when, the next wake-up and the tasks, per service.

    Exit code 1 if nobody knows the customer, 3 if a database could not be asked.
    """
    found, failed = _ask(service, lambda connection: casebook.case(connection, customer))
    known = {name: one for name, one in found.items() if one is not None}
    if as_json:
        typer.echo(_json({"customer": customer, "services": found, "not_asked": failed}))
    else:
        for name, one in known.items():
            typer.echo(f"{name}\n" + "\n".join(f"  {line}" for line in _lines(one)))
        for name in found.keys() - known.keys():
            typer.echo(f"{name}: never heard of {customer}")
    _end(failed, nothing=not known)


@app.command("list")
def list_command(
    *,
    stuck: Annotated[bool, typer.Option("--stuck", help="Cases that failed when they were woken.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Events that came too early.")] = False,
    service: Service = None,
    limit: Annotated[int, typer.Option(min=1, max=casebook.MOST, help="At most so many cases of each service.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the cases that are stuck or in which an event waits; exit code 3 if a database could not be asked."""
    if stuck is waiting:
        raise OperatorError("say which cases: --stuck or --waiting.")
    question = casebook.stuck if stuck else casebook.waiting
    found, failed = _ask(service, lambda connection: question(connection, limit))
    if as_json:
        typer.echo(_json({"services": found, "not_asked": failed}))
    else:
        rows = [f"{name:<10} " + "  ".join(_told(one)) for name, cases in found.items() for one in cases]
        typer.echo("\n".join(rows) or "There are none.")
    _end(failed, nothing=False)


def _ask(
    service: str | None, question: Callable[[Connection], Awaitable[Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    names = SERVICES if service is None else (known_service(service),)
    return asyncio.run(_answers(names, question))


async def _answers(
    names: tuple[str, ...], question: Callable[[Connection], Awaitable[Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Ask each service's database; one that is away leaves the others' answers."""
    settings = read_settings()
    found, failed = {}, {}
    for name in names:
        try:
            found[name] = await casebook.asked(settings.dsn(name), question)
        except casebook.UnreadableDatabaseError as error:
            failed[name] = str(error)
    return found, failed


def _end(failed: dict[str, str], *, nothing: bool) -> None:
    for name, why in failed.items():
        typer.echo(f"{name}: its database {why}. Check OFFRAMP_{name.upper()}_DSN or OFFRAMP_POSTGRES.", err=True)
    if failed:
        raise typer.Exit(_INCOMPLETE)
    if nothing:
        raise typer.Exit(1)


def _lines(one: dict[str, Any]) -> Iterator[str]:
    yield f"decided upon {one['revision']} times; next wake-up: {_moment(one['next_wake']) or 'none'}"
    if one["stuck"]:
        yield f"STUCK since it was last woken: {one['stuck']}; tried again at the next wake-up"
    yield from _nested("state", one["state"])
    for event in one["waiting"]:
        yield f"waits: {event['type']} {event['id']} until {event['until']}: {event['reason']}"
    for task in one["tasks"]:
        yield f"task: {'  '.join(_told(task))}"


def _nested(name: str, value: Any, indent: str = "") -> Iterator[str]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if not children:
        yield f"{indent}{name}: {value if value not in ({}, []) else '-'}"
        return
    yield f"{indent}{name}:"
    for key, child in children:
        yield from _nested(str(key), child, indent + "  ")


def _told(values: dict[str, Any]) -> list[str]:
    return [f"{name}={_moment(value) or value}" for name, value in values.items()]


def _moment(value: Any) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else None


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=lambda one: _moment(one) or str(one))
