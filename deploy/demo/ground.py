"""The ground of one demo run: topics, databases and a clock of its own, so that a run meets nothing of the last."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from deploy.platform import generate as platform
from deploy.platform import oulad
from deploy.stack.databases import prepare_databases
from deploy.stack.topic_broker import apply_topics, remove_topics
from deploy.stack.topics import declared_topics
from shared.clock import MovedClock, system_clock
from shared.objects import ObjectStore
from shared.settings import Settings
from shared.signing.keys import ED25519, make_keys
from shared.signing.sshsig import ARCHIVE, CERTIFICATE, Purpose

OWNERS: Final = ("notice", "exporter", "exporter_scratch", "retention", "holder", "mailer", "platform")
DEPLOY: Final = Path(__file__).parents[1]
BEGINNING: Final = datetime(2027, 5, 10, 9, tzinfo=UTC)
USERS: Final = 60


@dataclass(frozen=True)
class Customers:
    """Who plays which part."""

    leaves: str = "ada-academy"
    late: str = "bert-school"
    held: str = "cecilia-college"
    stays: str = "david-university"

    def all(self) -> tuple[str, ...]:
        """Give all four."""
        return (self.leaves, self.late, self.held, self.stays)


@dataclass(frozen=True)
class Ground:
    """Where one run takes place; *folder* is where its logs, archive and certificates end up."""

    run: str
    folder: Path
    prefix: str
    dsns: dict[str, str]
    settings: Settings
    customers: Customers
    data: Path | None

    @property
    def clock_file(self) -> Path:
        """Name the file that holds how far time is moved."""
        return self.folder / "clock"

    @property
    def keys(self) -> Path:
        """Name the folder of the keys that sign certificates."""
        return self.settings.home / "keys"

    @property
    def exporter_keys(self) -> Path:
        """Name the folder of the keys that sign archives."""
        return self.settings.home / "exporter-keys"

    def environment(self) -> dict[str, str]:
        """Give the environment in which the services run."""
        own = {f"OFFRAMP_{owner.upper()}_DSN": dsn for owner, dsn in self.dsns.items()}
        kind = "-oulad" if self.data else ""
        return os.environ | own | {
            "OFFRAMP_TOPIC_PREFIX": self.prefix,
            "OFFRAMP_MOVED_CLOCK": str(self.clock_file),
            "OFFRAMP_HOLDERS": str(DEPLOY / f"holders{kind}.yaml"),
            "OFFRAMP_MAP": str(DEPLOY / "platform" / f"map{kind}.yaml"),
            "OFFRAMP_KEYS": str(self.keys),
            "OFFRAMP_EXPORTER_KEYS": str(self.exporter_keys),
        }  # fmt: skip

    def move_to(self, moment: datetime) -> None:
        """Move time for everybody."""
        MovedClock.move(self.clock_file, moment - system_clock())


async def prepare(settings: Settings, data: Path | None) -> Ground:
    """Make a run's own topics, databases, rows and objects; raises OperatorError if the servers can't be used."""
    if not settings.external:
        await clear(settings)
    run = f"{system_clock():%Y%m%d%H%M%S}"
    folder = settings.home / "demo" / run
    (folder / "logs").mkdir(parents=True)
    prefix = f"demo-{run}-"
    await apply_topics(settings.kafka, declared_topics(prefix))
    dsns = await prepare_databases(settings.postgres, f"_demo_{run}", settings.role_password, OWNERS)
    ground = Ground(run, folder, prefix, dsns, settings, Customers(), data)
    ground.move_to(BEGINNING)
    make_sure_of_keys(ground.keys, CERTIFICATE)
    make_sure_of_keys(ground.exporter_keys, ARCHIVE)
    await fill(ground)
    return ground


async def clear(settings: Settings) -> None:
    """Remove the topics, databases and roles of earlier runs from the local servers."""
    await remove_topics(settings.kafka, "demo-")
    connection = await asyncpg.connect(settings.postgres)
    try:
        for name in await connection.fetch(OLD_DATABASES):
            await connection.execute(f'drop database "{name["datname"]}" with (force)')
            await connection.execute(f'drop role if exists "{name["datname"]}"')
    finally:
        await connection.close()


def make_sure_of_keys(folder: Path, purpose: Purpose) -> None:
    """Make the keys that sign for *purpose*, if there are none."""
    # The last run's keys do as well; a verifier may have been given them.
    if not (folder / ED25519).exists():
        make_keys(folder, purpose)


async def fill(ground: Ground) -> None:
    """Make the platform's tables, its four customers, and their objects."""
    settings = ground.settings
    async with ObjectStore(settings.s3) as store:
        for bucket in (platform.BUCKET, settings.exports_bucket, settings.certificates_bucket):
            await store.ensure_bucket(bucket)
        for customer in ground.customers.all():
            await store.delete_all_versions(platform.BUCKET, f"{customer}/")
            await store.delete_all_versions(settings.exports_bucket, f"{customer}/")
        await platform.create(ground.dsns["platform"])
        await platform.generate(ground.dsns["platform"], ground.customers.all(), users=USERS, put=store.put)
    if ground.data is not None:
        await oulad.load(ground.dsns["platform"], ground.data, ground.customers.leaves, (ground.customers.stays,))


OLD_DATABASES = "select datname from pg_database where datname like 'offramp\\_%\\_demo\\_%'"
