"""As ``killed``, with objects that rows refer to: the process is killed at a statement or a request of the store.

Usage: python -m tests.holder.killed_referred DSN BUCKET; prints what was counted and how many processes were killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import asyncpg

from shared.clock import system_clock
from shared.datamap.model import parse
from shared.events.platform import Erased
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows
from shared.objects import ObjectStore, Refused
from shared.settings import read_settings
from tests.holder.killed import Killed, _one_less
from tests.holder.platform_rows import expired
from tests.holder.referred_world import MAP


class KilledStore(ObjectStore):
    """A store whose client is killed before or after a deletion."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        _one_less()
        refused = ()
        # One by one, so that a half done batch is met too.
        for one in some:
            refused += await super().delete_versions(bucket, [one])
            _one_less()
        return refused

    async def abort(self, bucket: str, key: str, upload_id: str) -> None:
        await super().abort(bucket, key, upload_id)
        _one_less()


async def erase(dsn: str, bucket: str) -> None:
    map = parse(MAP.replace("BUCKET", bucket).encode(), "map.yaml")  # noqa: A001
    connection = await asyncpg.connect(dsn, connection_class=Killed)
    right = replace(expired(), deletion_id="d-1")
    async with KilledStore(read_settings().s3) as store:
        outcome = await erase_rows(
            connection,
            map,
            "acme",
            right=right,
            now=system_clock(),
            pace=Pace(whole_up_to=0, batch_rows=2),
            objects=store,
        )
    assert isinstance(outcome, Erased), outcome
    print(sum(one.rows for one in outcome.deleted), flush=True)


def main(dsn: str, bucket: str) -> None:
    for at in count(1, 3):
        Killed.at = at
        child = os.fork()
        if child == 0:
            asyncio.run(erase(dsn, bucket))
            sys.exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            print(at // 3)
            sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
