"""Each service's own database and role, which can't read the others'."""

from __future__ import annotations

import re

import asyncpg

from shared.errors import OperatorError
from shared.settings import LOCAL_ROLE_PASSWORD, service_database, service_dsn

OWNERS = ("notice", "exporter", "exporter_scratch", "retention", "holder", "mailer", "platform")
_SUFFIX = re.compile(r"[a-z0-9_]{0,40}")


async def prepare_databases(
    admin_dsn: str, suffix: str = "", password: str = LOCAL_ROLE_PASSWORD, owners: tuple[str, ...] = OWNERS
) -> dict[str, str]:
    """Make what is missing of each owner's database and role, and shut everybody else out.

    Returns the URL of each owner's database. With *suffix* (lower case, digits, ``_``) the names are a test's own.
    Raises ``OperatorError`` when the server can't be reached or refuses.
    """
    if not _SUFFIX.fullmatch(suffix):
        msg = f"the suffix {suffix!r} of a database's name must be lower-case letters, digits and '_'."
        raise OperatorError(msg)
    try:
        connection = await asyncpg.connect(admin_dsn)
    except (OSError, asyncpg.PostgresError) as error:
        msg = f"PostgreSQL can't be asked ({error}): check OFFRAMP_POSTGRES, or start it with `offramp stack up`."
        raise OperatorError(msg) from error
    try:
        for owner in owners:
            await _prepare(connection, service_database(owner, suffix), password)
    except asyncpg.InsufficientPrivilegeError as error:
        msg = f"the role of OFFRAMP_POSTGRES may not do this ({error}): give it CREATEDB and CREATEROLE."
        raise OperatorError(msg) from error
    finally:
        await connection.close()
    return {owner: service_dsn(admin_dsn, owner, password=password, suffix=suffix) for owner in owners}


async def _prepare(connection: asyncpg.Connection[asyncpg.Record], name: str, password: str) -> None:
    quoted_password = await connection.fetchval(QUOTE_PASSWORD, password)
    verb = "alter" if await connection.fetchval(ROLE_EXISTS, name) else "create"
    await connection.execute(f'{verb} role "{name}" login password {quoted_password}')
    # An administrator who is not a superuser may give a database only to a role it belongs to.
    if not await connection.fetchval(IS_SUPERUSER):
        await connection.execute(f'grant "{name}" to current_user with set true')
    if not await connection.fetchval(DATABASE_EXISTS, name):
        await connection.execute(f'create database "{name}" owner "{name}"')
    await connection.execute(f'revoke all on database "{name}" from public')


ROLE_EXISTS = "select exists (select from pg_roles where rolname = $1)"
DATABASE_EXISTS = "select exists (select from pg_database where datname = $1)"
IS_SUPERUSER = "select rolsuper from pg_roles where rolname = current_user"
# A role's password can't be a parameter of `create role`.
QUOTE_PASSWORD = "select quote_literal($1)"  # noqa: S105 - a statement
