"""``offramp dead-letters``: see what was buried and why, and put it back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

import structlog
import typer
from aiokafka.errors import KafkaError

from ..deadletters import Letter, dead_letter_topic, letter, letters, replay, replayed_to, topics
from ..errors import OperatorError
from ..settings import read_settings
from ..worker import Place
from .casebook import MOST
from .services import SERVICES, known_service
from .told import told, told_key

T = TypeVar("T")

app = typer.Typer(help="What could not be carried out: see why, mend it, put it back.", no_args_is_help=True)

Topic = Annotated[str | None, typer.Option(help="The event's topic, such as NoticeReceived; default: all.")]
OneTopic = Annotated[str, typer.Option(help="The event's topic, such as NoticeReceived.")]
Partition = Annotated[int, typer.Option(min=0, help="The partition in dlq.<topic>.")]
Offset = Annotated[int, typer.Option(min=0, help="The offset in dlq.<topic>.")]
Service = Annotated[str | None, typer.Option(help="Only what this service buried.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.callback()
def group() -> None:
    """Read dead letters, and put them back."""
    # What the parts log would mix with what a command answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@app.command("list")
def list_command(
    *,
    topic: Topic = None,
    service: Service = None,
    last: Annotated[int, typer.Option(min=0, max=MOST, help="How many letters to list, the last of each topic.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List how many dead letters there are and why, then the last ones with their places."""
    if service is not None:
        known_service(service)
    found = _ask(_survey(_place(), topic, service, last))
    typer.echo(json.dumps(found, indent=2) if as_json else _as_text(found))


@app.command()
def show(
    *,
    topic: OneTopic,
    partition: Partition,
    offset: Offset,
    payload: Annotated[bool, typer.Option("--payload", help="Also the value: it may hold personal data.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why it was buried, where it came from, its headers."""
    found = told(_ask(letter(_place(), topic, partition, offset)), payload=payload)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            typer.echo(f"{name}:")
            for key, text in value.items():
                typer.echo(f"  {key}: {text}")
        else:
            typer.echo(f"{name}: {value}")


@app.command("replay")
def replay_command(
    *,
    topic: Topic = None,
    service: Service = None,
    all_services: Annotated[bool, typer.Option("--all-services", help="Those of every service.")] = False,
    partition: Annotated[int | None, typer.Option(min=0, help="With --offset: only this letter.")] = None,
    offset: Annotated[int | None, typer.Option(min=0, help="With --partition: only this letter.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; put nothing back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into the topics that they came from: one by its place, or all since the last time."""
    if (service is None) is not all_services:
        raise OperatorError("say whose dead letters: --service NAME or --all-services.")
    if (partition is None) is not (offset is None) or (partition is not None and topic is None):
        raise OperatorError("one letter is named by --topic, --partition and --offset together.")
    wanted = SERVICES if service is None else (known_service(service),)
    place = _place()
    if partition is not None and offset is not None and topic is not None:
        wanted = (_whose(_ask(letter(place, topic, partition, offset)), wanted),)
    done = _ask(_replay(place, wanted, topic, partition, offset, dry_run=dry_run))
    _tell_replayed(done, dry_run=dry_run, as_json=as_json)


def _whose(found: Letter, wanted: tuple[str, ...]) -> str:
    if found.service in wanted:
        return found.service
    raise OperatorError(f"that letter was buried by {found.service or 'nobody we know'}: say so with --service.")


def _tell_replayed(done: list[dict[str, Any]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "replayed": done}, indent=2))
        return
    verb = "would be put back" if dry_run else "put back"
    for one in done:
        typer.echo(f"{one['topic']:<22} {one['service']:<10} {one['count']:>7} {verb}")
    if not done:
        typer.echo("There is nothing to put back.")


async def _replay(
    place: Place,
    services: tuple[str, ...],
    topic: str | None,
    partition: int | None,
    offset: int | None,
    *,
    dry_run: bool,
) -> list[dict[str, Any]]:
    done = []
    for name in await _topics(place, topic):
        for service in services:
            count = await replay(place, service, name, partition, offset, dry_run=dry_run)
            if count:
                done.append({"topic": name, "service": service, "count": count})
    return done


async def _survey(place: Place, topic: str | None, service: str | None, last: int) -> dict[str, Any]:
    """Count all letters by what matters, and keep the last ones of each topic."""
    counts: Counter[tuple[str, str, str, bool]] = Counter()
    kept: list[dict[str, Any]] = []
    for name in await _topics(place, topic):
        marks = await _marks(place, name)
        recent: deque[dict[str, Any]] = deque(maxlen=last)
        async for one in letters(place, name):
            if service in {None, one.service}:
                back = one.offset < marks[one.service].get(one.partition, 0)
                counts[name, one.service, one.reason, back] += 1
                recent.append(_line(one, back=back))
        kept += recent
    summary = [
        {"topic": name, "service": owner, "reason": reason, "replayed": back, "count": count}
        for (name, owner, reason, back), count in sorted(counts.items())
    ]
    return {"summary": summary, "letters": kept}


async def _marks(place: Place, topic: str) -> defaultdict[str, dict[int, int]]:
    marks: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for service in SERVICES:
        marks[service] = await replayed_to(place, service, topic)
    return marks


def _line(one: Letter, *, back: bool) -> dict[str, Any]:
    return {
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "service": one.service,
        "key": told_key(one.original_key),
        "reason": one.reason,
        "replayed": back,
    }


def _as_text(found: dict[str, Any]) -> str:
    if not found["summary"]:
        return "There are no dead letters."
    lines = [
        f"{one['count']:>7}  {one['topic']:<22} {one['service']:<10} {_back(one)}  {one['reason']}"
        for one in found["summary"]
    ]
    lines += ["", "the last ones:"]
    lines += [
        f"{one['topic']:<22} --partition {one['partition']} --offset {one['offset']:<6} {one['service']:<10} "
        f"{_back(one)}  {one['key']}  {one['reason']}"
        for one in found["letters"]
    ]
    return "\n".join(lines)


def _back(one: dict[str, Any]) -> str:
    return "put back" if one["replayed"] else "waiting "


async def _topics(place: Place, topic: str | None) -> tuple[str, ...]:
    there = await topics(place)
    if topic is None:
        return there
    if topic not in there:
        name = dead_letter_topic(place, topic)
        raise OperatorError(f"there is no topic {name}: --topic is one of {', '.join(there) or 'none'}.")
    return (topic,)


def _place() -> Place:
    settings = read_settings()
    return Place(settings.kafka, "", settings.topic_prefix)


def _ask(question: Awaitable[T]) -> T:
    async def answer() -> T:
        return await question

    try:
        return asyncio.run(answer())
    except KafkaError as error:
        msg = f"Kafka broke off ({type(error).__name__}): what was put back stays so, and doing it again harms nothing."
        raise OperatorError(msg) from error
