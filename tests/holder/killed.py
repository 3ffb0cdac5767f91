"""Deletes a customer's rows in a process that is killed at its first statement, the next at its fourth, and so on.

Usage: python -m tests.holder.killed DSN CUSTOMER [TABLE]; rows of TABLE are held. Prints how many rows went, and how
many processes were killed before one got through.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from itertools import count
from typing import Any

import asyncpg

from shared.clock import system_clock
from shared.events.platform import Erased, ErasedInPart, OfTables
from shared.events.retention import Keep
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows
from tests.holder.platform_rows import PLATFORM, expired


class Killed(asyncpg.Connection):  # type: ignore[type-arg]
    """A connection whose process is killed at the statement number *at*."""

    at = 0

    async def execute(self, *args: Any, **options: Any) -> str:
        _one_less()
        return await super().execute(*args, **options)

    async def fetch(self, *args: Any, **options: Any) -> Any:
        _one_less()
        return await super().fetch(*args, **options)

    async def fetchrow(self, *args: Any, **options: Any) -> Any:
        _one_less()
        return await super().fetchrow(*args, **options)

    async def fetchval(self, *args: Any, **options: Any) -> Any:
        _one_less()
        return await super().fetchval(*args, **options)


def _one_less() -> None:
    Killed.at -= 1
    if Killed.at == 0:
        os.kill(os.getpid(), signal.SIGKILL)


async def erase(dsn: str, customer: str, held: tuple[str, ...]) -> None:
    connection = await asyncpg.connect(dsn, connection_class=Killed)
    keep = tuple(Keep(hold_id="h-1", scope=OfTables(tables=(table,))) for table in held)
    right = replace(expired(), deletion_id="d-1", keep=keep)
    pace = Pace(whole_up_to=0, batch_rows=40)
    outcome = await erase_rows(connection, PLATFORM, customer, right=right, now=system_clock(), pace=pace)
    assert isinstance(outcome, ErasedInPart if held else Erased), outcome
    print(sum(one.rows for one in outcome.deleted))


def main(dsn: str, customer: str, *held: str) -> None:
    for at in count(1, 3):
        Killed.at = at
        child = os.fork()
        if child == 0:
            asyncio.run(erase(dsn, customer, held))
            sys.exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            print(at // 3)
            sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
