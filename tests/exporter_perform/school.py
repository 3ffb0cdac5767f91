"""A platform of two customers in a database and a bucket of its own, and the exporter that works on it."""

from __future__ import annotations

from uuid import uuid4

import asyncpg

from services.exporter.app import the_archives, the_database
from services.exporter.perform import Exporting
from services.exporter.states import State
from services.exporter.tasks import BuildArchive
from shared.clock import system_clock
from shared.holder.declaration import Holder
from shared.holder.heard import Unpublished
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.settings import Settings
from shared.statecodec import StateCodec

ATTEMPT = Attempt(uuid4(), 1, system_clock)
BUILD = BuildArchive(customer_id="acme", request_id="r-1", export_id="e-1", attempt=1)
LARGE = BUILD.model_copy(update={"formats": ("csv", "jsonlines")})
MAP = """
version: 1
system: platform
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
"""
MORE = """  essays: {category: report, owner: {column: customer_id}}
buckets:
  media: {bucket: BUCKET, prefix: "media/{customer}/", category: course}
"""
# Digits that don't deflate to nothing.
ESSAYS = """
    create table essays (id integer primary key, customer_id text not null, said text not null);
    insert into essays
    select n, 'acme', (select string_agg(sha512((n || ' ' || m)::bytea)::text, '') from generate_series(1, 500) m)
      from generate_series(1, 400) n
"""
HOLDERS = """
version: 1
holders:
  platform-database: {kind: postgres, map: map.yaml, database: platform, answers_within: P1D}
  export-archives: {kind: s3, bucket: BUCKET, prefix: "{customer}/", answered_by: exporter, answers_within: P1D}
"""


class School:
    """A platform of two customers, and the exporter that works on it."""

    def __init__(self, settings: Settings, holders: tuple[Holder, ...], store: ObjectStore) -> None:
        self.settings, self.holders, self.store = settings, holders, store
        self.bucket = settings.exports_bucket
        archives = the_archives(holders, "export-archives", settings)
        self.exporting = Exporting(
            settings, the_database(holders), archives, settings.home / "exporter-keys", Unpublished()
        )

    async def run(self, statement: str, *values: object, service: str = "platform") -> None:
        connection = await asyncpg.connect(self.settings.dsn(service))
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    async def is_at(self, state: State) -> None:
        """Let the exporter's case be at *state*."""
        await self.run(
            "insert into cases (customer_id, state, key_hash) values ('acme', $1, 0)",
            StateCodec[State](State).dump(state),
            service="exporter",
        )

    async def keys(self) -> list[str]:
        return [key async for key, _ in self.store.versions(self.bucket, "")]
