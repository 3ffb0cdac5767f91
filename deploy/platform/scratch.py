"""A database of one's own, thrown away afterwards: for tests and trials beside a platform in use."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def named(dsn: str, database: str) -> str:
    """Give the URL of another *database* on the server of *dsn*."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


@asynccontextmanager
async def scratch_database(admin_dsn: str, template: str = "template1") -> AsyncIterator[str]:
    """Make a database as a copy of *template* (nobody may be connected to it), give its URL, and drop it at the end."""
    name = f"t_{uuid4().hex[:12]}"
    await _run(admin_dsn, CREATE.format(name, template))
    try:
        yield named(admin_dsn, name)
    finally:
        await _run(admin_dsn, DROP.format(name))


async def _run(admin_dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


CREATE = 'create database "{}" template "{}"'
DROP = 'drop database "{}" with (force)'
