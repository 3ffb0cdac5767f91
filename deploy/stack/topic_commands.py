"""``offramp topics``: make a broker's topics agree with the declaration, or say where they don't."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from shared.settings import Settings, read_settings

from .topic_broker import Drift, apply_topics, check_topics, remove_topics
from .topics import Topic, declared_topics

app = typer.Typer(help="The topics, as deploy/topics.yaml declares them.", no_args_is_help=True)

_Prefix = Annotated[str | None, typer.Option(help="Before every name; default: OFFRAMP_TOPIC_PREFIX.")]
_WORTH_A_LINE_EACH = 5
_Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def apply(
    prefix: _Prefix = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: _Json = False,
) -> None:
    """Create what is missing and correct what differs."""
    settings, topics = _declared(prefix)
    changed = asyncio.run(apply_topics(settings.kafka, topics, dry_run=dry_run))
    done = "to change" if dry_run else "changed"
    _tell(changed, f"{len(topics)} topics declared, {len({drift.topic for drift in changed})} {done}", as_json=as_json)


@app.command()
def check(prefix: _Prefix = None, *, as_json: _Json = False) -> None:
    """Say where the broker differs; exit code 1 when it does."""
    settings, topics = _declared(prefix)
    drifts = asyncio.run(check_topics(settings.kafka, topics))
    _tell(drifts, f"{len(topics)} topics declared, {len({drift.topic for drift in drifts})} differ", as_json=as_json)
    if drifts:
        raise typer.Exit(1)


@app.command()
def remove(prefix: Annotated[str, typer.Option(help="Whose topics go; there is no default.")]) -> None:
    """Delete all topics of a prefix, for a test that had a set of its own."""
    for name in asyncio.run(remove_topics(read_settings().kafka, prefix)):
        typer.echo(name)


@app.command("list")
def list_(prefix: _Prefix = None, *, as_json: _Json = False) -> None:
    """Show every declared topic with its writers and readers."""
    topics = _declared(prefix)[1]
    if as_json:
        typer.echo(json.dumps([asdict(topic) for topic in topics], indent=2))
        return
    for topic in topics:
        typer.echo(f"{topic.name:<28} {', '.join(topic.writers)} -> {', '.join(topic.readers)}")


def _declared(prefix: str | None) -> tuple[Settings, list[Topic]]:
    settings = read_settings()
    return settings, declared_topics(settings.topic_prefix if prefix is None else prefix)


def _tell(drifts: Sequence[Drift], summary: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(drift) for drift in drifts], indent=2))
        return
    missing = [drift for drift in drifts if drift.what == "topic"]
    # A new broker has none of them, which is one thing to say, not fifty.
    for drift in drifts if len(missing) <= _WORTH_A_LINE_EACH else [drift for drift in drifts if drift not in missing]:
        typer.echo(str(drift))
    typer.echo(f"{summary}, {len(missing)} of these were missing" if missing else summary)
