"""A database of its own for each test of the data map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from shared.datamap.model import DataMap, parse
from shared.settings import read_settings
from tests.datamap.map_school import SCHEMA, SCHOOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def school() -> DataMap:
    """Give a small map with a path of two steps in it."""
    return parse(SCHOOL, "school.yaml")


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """Make a database with the school's tables and a few rows, and give its address."""
    async with scratch_database(read_settings().postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        await connection.close()
        yield dsn


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to that database."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()
