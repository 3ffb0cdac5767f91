"""What tests share: a database of their own each, copied from a template that is made once a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as profile

from shared.migrate import migrate
from shared.settings import Settings, read_settings

# How long an example takes is the machine's affair: no test is timed.
profile.register_profile("offramp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
profile.load_profile("offramp")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Where the stack is: the local one, or the one that the environment names."""
    return read_settings()


@pytest.fixture(scope="session")
def template(settings: Settings) -> Iterator[str]:
    """Name a database with the machine's tables; it is copied, never used."""
    name = f"t_template_{uuid4().hex[:12]}"
    asyncio.run(_make_template(settings.postgres, name))
    yield name
    asyncio.run(_drop(settings.postgres, name))


@pytest.fixture
async def postgres(settings: Settings, template: str) -> AsyncIterator[str]:
    """Give the address of an empty database with the machine's tables, for one test alone."""
    name = f"t_{uuid4().hex[:12]}"
    await _admin(settings.postgres, f'create database "{name}" template "{template}"')
    yield on_database(settings.postgres, name)
    await _admin(settings.postgres, f'drop database "{name}" with (force)')


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[asyncpg.Pool]:
    """Connect to the test's own database, as a worker does."""
    async with asyncpg.create_pool(postgres, min_size=1, max_size=16) as opened:
        yield opened


def on_database(address: str, name: str) -> str:
    """Give *address* with another database's *name*."""
    return urlunsplit(urlsplit(address)._replace(path=f"/{name}"))


async def _make_template(admin: str, name: str) -> None:
    await _admin(admin, f'create database "{name}"')
    connection = await asyncpg.connect(on_database(admin, name))
    try:
        await migrate(connection)
    finally:
        await connection.close()


async def _drop(admin: str, name: str) -> None:
    await _admin(admin, f'drop database "{name}" with (force)')


async def _admin(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
