"""A copy of the demo platform for each of the holder's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from shared.settings import read_settings
from tests.holder.platform_rows import platform_template

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database


@pytest.fixture(scope="session")
def platform_name() -> Iterator[str]:
    """Make the platform once, and give the name of its database."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        dsn = runner.run(stack.enter_async_context(platform_template(read_settings().postgres)))
        yield urlsplit(dsn).path[1:]
        runner.run(stack.aclose())


@pytest.fixture
async def dsn(platform_name: str) -> AsyncIterator[str]:
    """Copy the platform, and give the copy's address."""
    async with scratch_database(read_settings().postgres, platform_name) as dsn:
        yield dsn


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """Connect to the copy."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()
