"""``offramp stack``: up, down, status, and the servers' own tools."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from shared.settings import read_settings

from . import jars, lifecycle, tools
from .during import run as run_during
from .lifecycle import Status

app = typer.Typer(help="The local Kafka, PostgreSQL and S3.", no_args_is_help=True)
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def up() -> None:
    """Start Kafka, PostgreSQL and S3 on this machine, and make the services' databases."""
    _tell(lifecycle.up(read_settings()))


@app.command()
def down(*, wipe: Annotated[bool, typer.Option("--wipe", help="Remove the data too.")] = False) -> None:
    """Stop what `up` started, and nothing else."""
    _tell(lifecycle.down(read_settings(), wipe=wipe))


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Say what runs where; exit code 1 when something does not."""
    found = lifecycle.status(read_settings())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        _tell(found)
    if any(one.state not in {"running", "external"} for one in found):
        raise typer.Exit(1)


@app.command(context_settings=_PASSED_ON)
def kafka(context: typer.Context, tool: Annotated[str, typer.Argument(help=", ".join(tools.KAFKA_TOOLS))]) -> None:
    """Run one of Kafka's own tools; what follows its name is the tool's."""
    tools.run_kafka_tool(read_settings(), tool, context.args)


@app.command(context_settings=_PASSED_ON)
def psql(
    context: typer.Context,
    service: Annotated[str | None, typer.Option(help="As this service's role, in its database.")] = None,
) -> None:
    """Run psql of the server's version; further arguments are psql's."""
    tools.run_psql(read_settings(), service, context.args)


@app.command(context_settings=_PASSED_ON)
def during(context: typer.Context) -> None:
    """Have the servers up while a command runs (after `--`), and leave them as they were; its exit code is ours."""
    raise typer.Exit(run_during(read_settings(), context.args))


@app.command("jars")
def lock_jars() -> None:
    """Work out Kafka's jars anew and write their digests, after COORDINATES in deploy/stack/jars.py changed."""
    found = jars.resolve()
    jars.write_lock(found)
    typer.echo(f"{len(found)} jars are locked in {jars.LOCK}: read the difference before you commit it.")


def _tell(found: list[Status]) -> None:
    for one in found:
        pid = f"pid {one.pid}" if one.pid else ""
        seconds = f"{one.seconds:.1f} s" if one.seconds is not None else ""
        typer.echo(f"{one.server:<9} {one.state:<9} {one.address:<48} {pid:<12} {seconds}".rstrip())
