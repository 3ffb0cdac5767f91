"""Two thousand events, each said twice and in any order between topics, while workers are killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from shared.settings import Settings
from tests.chaos.history import ENDS_AT, READ_AT, History, draw
from tests.chaos.storm import SERVICE, Storm, tell
from tests.chaos.verdict import all_read, carried_out, found_good
from tests.scenarios.scene import Scene, scene

SIZE = 2000


@asynccontextmanager
async def blown(settings: Settings, folder: Path) -> AsyncIterator[tuple[Scene, Storm, History]]:
    """Set the scene for a history and a storm of one seed; ``CHAOS_SEED`` plays it again, at the machine's own pace."""
    seed = int(os.environ.get("CHAOS_SEED") or Random().randrange(10**6))
    print(f"CHAOS_SEED={seed}")
    async with scene(settings, folder, SERVICE) as made:
        made.ground.move_to(READ_AT)
        storm = Storm(made, Random(seed))
        await storm.begin()
        yield made, storm, draw(seed, SIZE)


async def test_calm(settings: Settings, tmp_path: Path) -> None:
    """Without faults the checker finds nothing."""
    async with blown(settings, tmp_path) as (made, _, history):
        await tell(made, history, 1)
        await all_read(made)
        made.ground.move_to(ENDS_AT)
        await carried_out(made)

        await found_good(made, history)


async def test_storm(settings: Settings, tmp_path: Path) -> None:
    """Workers are killed while events flow and while deadlines pass; nothing is lost, doubled, overtaken or made up."""
    async with blown(settings, tmp_path) as (made, storm, history):
        raging = asyncio.create_task(storm.rage())
        await tell(made, history, 20)
        raging.cancel()
        await asyncio.wait((raging,))
        await all_read(made)
        made.ground.move_to(ENDS_AT)
        await storm.strike()
        await carried_out(made)

        print(f"{storm.kills} workers were killed")
        await found_good(made, history)
