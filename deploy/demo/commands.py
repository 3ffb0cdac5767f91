"""``offramp demo``: one customer leaves, for real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from deploy.stack.during import servers
from shared.datamap.model import load
from shared.errors import OperatorError
from shared.events.exporter import ExportReady
from shared.events.retention import AccountClosed
from shared.settings import Settings, read_settings

from . import proof
from .exporting import follow
from .ground import DEPLOY, Customers, Ground, prepare
from .processes import running
from .screen import Lines, Screen, Stage
from .story import Story
from .watch import StoryError, watching

app = typer.Typer(help="One customer leaves, for real.")


@app.callback(invoke_without_command=True)
def demo(
    data: Annotated[Path | None, typer.Option(help="OULAD's folder: its rows become the leaving customer's")] = None,
) -> None:
    """Carry four customers through the whole policy on real Kafka, Postgres and S3; time is moved."""
    settings, console, begun = read_settings(), Console(), monotonic()
    if data is not None and not (data / "student.csv").is_file():
        raise OperatorError(f"{data} has no student.csv: name the folder of the OULAD tables, or leave --data out.")
    console.print("Making sure that Kafka, PostgreSQL and S3 are up …")
    with servers(settings):
        try:
            asyncio.run(_play(settings, data.absolute() if data else None, console))
        except StoryError as error:
            raise OperatorError(f"the story went wrong: {error}") from error
    console.print(f"\nAll of it took {monotonic() - begun:.0f} s, and no process is left behind.")


async def _play(settings: Settings, data: Path | None, console: Console) -> None:
    ground = await prepare(settings, data)
    console.print(f"Starting five services; their logs are in {ground.folder / 'logs'}")
    data_map = load(DEPLOY / "platform" / ("map-oulad.yaml" if data else "map.yaml"))
    untouched = (ground.customers.late, ground.customers.stays)
    async with running(ground.environment(), ground.folder / "logs"):
        before = {customer: await proof.holdings(ground, data_map, customer) for customer in ground.customers.all()}
        ready, ends, archive = await _tell(ground, console)
        after = {customer: await proof.holdings(ground, data_map, customer) for customer in ground.customers.all()}
    for customer in untouched:
        if before[customer] != after[customer]:
            raise StoryError(f"{customer} was touched")
        console.print(f"{customer}: {after[customer].rows:,} rows and {len(after[customer].objects)} files, untouched.")
    for customer in (ground.customers.leaves, ground.customers.held):
        if after[customer].rows or after[customer].objects:
            raise StoryError(f"something is left of {customer}")
        console.print(f"{customer}: {before[customer].rows:,} rows and {len(before[customer].objects)} files, gone.")
    certificates = [(end, await proof.fetch_certificate(ground, end)) for end in ends]
    checks = proof.check_archive(archive, ready)
    for end, folder in certificates:
        checks += proof.check_certificate(folder, end)
    _report(console, ground, archive, [folder for _, folder in certificates], checks)


async def _tell(ground: Ground, console: Console) -> tuple[ExportReady, list[AccountClosed], Path]:
    archive: list[Path] = []

    async def keep(ready: ExportReady) -> None:
        archive.append(await proof.fetch_archive(ground, ready))

    with _screen(console, ground.customers) as screen:
        async with watching(ground.settings.kafka, ground.prefix, screen.passed) as watch:
            following = asyncio.create_task(follow(ground.dsns["exporter"], screen.exporting))
            try:
                ready, ends = await Story(ground, watch, screen.say, screen.at, keep).tell()
            finally:
                following.cancel()
                await asyncio.wait((following,))
    return ready, ends, archive[0]


@contextmanager
def _screen(console: Console, customers: Customers) -> Iterator[Screen]:
    if not console.is_terminal:
        yield Lines(console)
        return
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        yield Stage(live, customers)


def _report(
    console: Console, ground: Ground, archive: Path, certificates: list[Path], checks: list[proof.Checked]
) -> None:
    console.print(f"\nThe archive:      {archive}", soft_wrap=True)
    for folder in certificates:
        console.print(f"A certificate:    {folder}", soft_wrap=True)
    console.print("\nChecked with tools that aren't ours; paste them to check again:")
    for check in checks:
        console.print(f"  {check.command}\n    {check.said}", soft_wrap=True, markup=False, highlight=False)
    console.print(
        "\nTo look further with Kafka's own tools (make up starts the servers again):\n"
        "  .venv/bin/offramp stack kafka topics --list\n"
        f"  .venv/bin/offramp stack kafka console-consumer --topic {ground.prefix}AccountClosed --from-beginning "
        "--formatter-property print.key=true --max-messages 2\n"
        f"  .venv/bin/offramp stack kafka consumer-groups --describe --group {ground.prefix}offramp.retention",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
