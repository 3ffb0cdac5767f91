"""``offramp case search``: whether topics and logs still name a customer, and until when."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from ..errors import OperatorError
from ..holder.residue import searchable
from ..settings import read_settings
from ..worker import Place
from . import casebook
from .traces import Sought, Trace, in_log, in_topics


def search_command(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    *,
    also: Annotated[
        list[str] | None, typer.Option(help="Another identifier: a name, a mail address. In none may it stand.")
    ] = None,
    log: Annotated[list[Path] | None, typer.Option(help="A log file to read, too; .gz is unpacked.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Read all topics, and logs, for a customer's identifiers; what is found is counted, never shown.

    By what else it goes the retention service knows from its last look before the deletion to the case's end.
    Events are keyed by the customer's id and name it until the topic lets them go. Exit code 1 if another identifier
    stands anywhere, if other customers' records name the id, or if a topic keeps its own for ever.
    """
    settings = read_settings()
    names, unread = asyncio.run(_called(settings.dsn("retention"), customer))
    place = Place(settings.kafka, "", settings.topic_prefix)
    sought = Sought(customer, tuple(dict.fromkeys((*(also or ()), *filter(searchable, names)))))
    try:
        topics, logs = asyncio.run(_search(place, sought, log or ()))
    except KafkaError as error:
        raise OperatorError(f"Kafka broke off ({type(error).__name__}): search again.") from error
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "topics": [one.told() for one in topics],
                    "logs": [one.told() for one in logs],
                    "identifiers": 1 + len(sought.others),
                    "others_unread": unread,
                },
                indent=2,
            )
        )
    else:
        found = [_line(one) for one in (*topics, *logs) if one.found]
        read = f"{len(topics)} topics and {len(logs)} logs read for {1 + len(sought.others)} ids"
        found += [f"Not read by what else the customer goes: retention's database {unread}"] if unread else []
        typer.echo("\n".join([*found, f"{read}. {_verdict(topics, logs)}"]))
    if _stays(topics, logs):
        raise typer.Exit(1)


async def _called(dsn: str, customer: str) -> tuple[tuple[str, ...], str | None]:
    """Give by what else *customer* goes, or why that can't be told."""
    try:
        return await casebook.asked(dsn, lambda connection: casebook.called(connection, customer)), None
    except casebook.UnreadableDatabaseError as error:
        return (), str(error)


async def _search(place: Place, sought: Sought, logs: Sequence[Path]) -> tuple[list[Trace], list[Trace]]:
    with _progress() as progress:
        topics = [one async for one in in_topics(place, sought, progress)]
        return topics, [await in_log(path, sought) for path in logs]


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    columns = SpinnerColumn(), TextColumn("{task.completed:,} records  {task.description}")
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda topic, more: bar.update(task, advance=more, description=topic)


def _stays(topics: Sequence[Trace], logs: Sequence[Trace]) -> bool:
    """Tell whether anything stands where it should not, or for ever."""
    kept = any(one.naming or (one.own and one.gone_by is None) for one in topics)
    return kept or any(one.known_by for one in (*topics, *logs))


def _line(one: Trace) -> str:
    kinds = ((one.own, "of the customer"), (one.naming, "that name it"), (one.known_by, "with another identifier"))
    told = ", ".join(f"{count:,} {what}" for count, what in kinds if count)
    return f"{one.place}: {told}" + (f"; gone by {one.gone_by:%Y-%m-%d %H:%M} UTC" if one.gone_by else "")


def _verdict(topics: Sequence[Trace], logs: Sequence[Trace]) -> str:
    if _stays(topics, logs):
        return "Something stands where it should not, or for ever."
    last = max((one.gone_by for one in topics if one.gone_by), default=None)
    until = f", the last gone by {last:%Y-%m-%d %H:%M} UTC" if last else ""
    return f"Nothing stands where it should not: {sum(one.own for one in topics):,} events of the customer{until}."
