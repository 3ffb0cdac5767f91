"""A school of one's own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from archive_school import School, opened_school

from shared.settings import Settings


@pytest.fixture
async def school(settings: Settings) -> AsyncIterator[School]:
    async with opened_school(settings) as school:
        yield school
