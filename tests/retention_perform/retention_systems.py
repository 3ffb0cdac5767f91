"""A small platform with two customers, declared as three holders: what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import asyncpg

from shared.holder.declaration import Holder
from shared.objects import ObjectStore
from shared.settings import Settings

SCHEMA = """
    create table customers (id text primary key, name text);
    create table users (id bigint primary key, customer_id text not null references customers);
    create table notes (id bigint primary key, user_id bigint not null references users, body text);
    insert into customers values ('acme', 'Acme'), ('acme2', 'Other');
    insert into users values (1, 'acme'), (2, 'acme'), (3, 'acme2');
    insert into notes values (1, 1, 'räksmörgås'), (2, 1, null), (3, 2, ''), (4, 3, 'not acme''s');
"""
MAP = """
version: 1
system: platform
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  users: {category: user, owner: {column: customer_id}}
  notes: {category: course, owner: {path: [{column: user_id, to: users.id}]}}
"""
HOLDERS = """
version: 1
holders:
  platform-database: {kind: postgres, map: map.yaml, database: platform, answers_within: P1D}
  platform-media: {kind: s3, bucket: MEDIA, prefix: "{customer}/", answers_within: P1D}
  export-archives: {kind: s3, bucket: EXPORTS, prefix: "{customer}/", answered_by: exporter, answers_within: P1D}
"""


@dataclass(frozen=True)
class Platform:
    """The systems that hold the data, and where they are declared."""

    settings: Settings
    holders: tuple[Holder, ...]
    holders_file: Path
    store: ObjectStore
    media: str

    async def run(self, statement: str) -> None:
        """Change the database."""
        connection = await asyncpg.connect(self.settings.dsn("platform"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def erase(self) -> None:
        """Delete everything of acme."""
        await self.run("delete from notes where user_id in (1, 2)")
        await self.run("delete from users where customer_id = 'acme'")
        await self.run("delete from customers where id = 'acme'")
        await self.store.delete_all_versions(self.media, "acme/")
