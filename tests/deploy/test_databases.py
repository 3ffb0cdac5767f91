"""Each service has a database and a role of its own, and can't read the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest

from deploy.stack.databases import OWNERS, prepare_databases
from shared.errors import OperatorError
from shared.settings import Settings, service_database


@pytest.fixture(scope="module")
def databases(settings: Settings) -> Iterator[dict[str, str]]:
    """Prepare databases of this module's own, and drop them with their roles afterwards."""
    suffix = f"_t{uuid4().hex[:12]}"
    yield asyncio.run(prepare_databases(settings.postgres, suffix))
    asyncio.run(_drop(settings.postgres, [service_database(owner, suffix) for owner in OWNERS]))


async def _drop(admin_dsn: str, names: list[str]) -> None:
    admin = await asyncpg.connect(admin_dsn)
    for name in names:
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.execute(f'drop role "{name}"')
    await admin.close()


async def test_a_service_owns_its_database(databases: dict[str, str]) -> None:
    """Every service can make and read tables of its own."""
    for dsn in databases.values():
        own = await asyncpg.connect(dsn)
        await own.execute("create table mine (x int); insert into mine values (1)")
        rows = await own.fetchval("select count(*) from mine")
        await own.close()

        assert rows == 1


@pytest.mark.parametrize("reader", OWNERS)
async def test_no_service_reads_anothers_database(databases: dict[str, str], reader: str) -> None:
    """A service's role is not let into any other service's database."""
    login, own = databases[reader].rsplit("/", 1)

    for other in (dsn.rsplit("/", 1)[1] for dsn in databases.values()):
        if other != own:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(f"{login}/{other}")


async def test_a_service_is_no_administrator(databases: dict[str, str]) -> None:
    """A service's role may make neither databases nor roles."""
    own = await asyncpg.connect(databases["notice"])

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await own.execute("create database t_never")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await own.execute("create role t_never")
    await own.close()


async def test_a_wrong_password_is_refused(settings: Settings, databases: dict[str, str]) -> None:
    """Roles prove who they are: without that, the walls between them would be paint."""
    if "postgres" in settings.external:
        pytest.skip("an external server has its own rules for logins")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(databases["notice"].replace("offramp-dev", "guess"))


async def test_preparing_twice_keeps_what_is_there(settings: Settings, databases: dict[str, str]) -> None:
    """Databases that exist are left as they are, rows and all."""
    suffix = databases["notice"].rsplit("offramp_notice", 1)[1]
    own = await asyncpg.connect(databases["notice"])
    await own.execute("create table kept (x int); insert into kept values (1)")

    again = await prepare_databases(settings.postgres, suffix)

    assert again == databases
    assert await own.fetchval("select count(*) from kept") == 1
    await own.close()


async def test_a_suffix_that_is_no_name_is_refused(settings: Settings) -> None:
    """A suffix becomes part of SQL, so only letters, digits and '_' are let in."""
    with pytest.raises(OperatorError, match="suffix"):
        await prepare_databases(settings.postgres, '"; drop database postgres; --')


async def test_a_server_that_is_away_is_a_sentence() -> None:
    """Without a server there is a sentence with the variable's name."""
    with pytest.raises(OperatorError, match="OFFRAMP_POSTGRES"):
        await prepare_databases("postgresql://postgres@127.0.0.1:9/postgres")
