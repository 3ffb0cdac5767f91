"""A service's schema: the machine's migrations, then its own, each applied once and never changed afterwards."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.pool import PoolConnectionProxy

    AnyConnection = Connection | PoolConnectionProxy

MACHINE = Path(__file__).parent / "migrations"


class MigrationError(Exception):
    """A migration that was applied has been changed since."""


async def migrate(connection: AnyConnection, *folders: Path) -> tuple[str, ...]:
    """Apply what is missing of the machine's and then *folders*' ``*.sql``, in order of name; give what was applied.

    Raises MigrationError if an applied file has other contents now.
    """
    async with connection.transaction():
        await connection.execute(_ONE_AT_A_TIME)
        await connection.execute(_LEDGER)
        known = {row["name"]: row["sha256"] for row in await connection.fetch(_APPLIED)}
        files = _read(MACHINE, *folders)
        return tuple([name for name, text in files if await _apply(connection, name, text, known)])


def _read(*folders: Path) -> list[tuple[str, str]]:
    files = [file for folder in folders for file in sorted(folder.glob("*.sql"))]
    return [(f"{_owner(file)}/{file.stem}", file.read_text()) for file in files]


def _owner(file: Path) -> str:
    # The machine's are called the same when this package is installed under another name.
    return "shared" if file.parent == MACHINE else file.parent.parent.name


async def _apply(connection: AnyConnection, name: str, text: str, known: dict[str, str]) -> bool:
    digest = sha256(text.encode()).hexdigest()
    if name in known:
        if known[name] != digest:
            msg = f"{name} was applied with other contents; undo the edit and add a new migration"
            raise MigrationError(msg)
        return False
    await connection.execute(text)
    await connection.execute(_RECORD, name, digest)
    return True


_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtext('offramp.migrations'))"
_LEDGER = "create table if not exists migrations (name text primary key, sha256 text not null)"
_APPLIED = "select name, sha256 from migrations"
_RECORD = "insert into migrations (name, sha256) values ($1, $2)"
