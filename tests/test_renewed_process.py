"""Work in a process that is renewed now and then is all done, whatever is queued when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

import pytest

from shared.renewed_process import RenewedProcess


@pytest.fixture
def process() -> Iterator[RenewedProcess]:
    """Give one that is renewed after three calls."""
    made = RenewedProcess(3)
    yield made
    made.close()


@pytest.mark.parametrize("calls", [3, 4, 5, 7])
async def test_what_is_queued_when_it_is_renewed_is_done(process: RenewedProcess, calls: int) -> None:
    """All that are called at once get their answers in order, at most three from a process."""
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(process.call(os.getpid) for _ in range(calls)))

    assert len(set(answers)) == -(-calls // 3)
    assert answers == sorted(answers, key=answers.index)
    assert os.getpid() not in answers


async def test_one_that_is_killed_is_begun_again(process: RenewedProcess) -> None:
    """Who waits for it is told; the next call is answered by another."""
    first = await process.call(os.getpid)
    with pytest.raises(BrokenProcessPool):
        await process.call(os.kill, first, signal.SIGKILL)

    assert await process.call(os.getpid) != first


async def test_it_begins_again_after_it_was_closed(process: RenewedProcess) -> None:
    """Its process ends with the close; a later call has another."""
    first = await process.call(os.getpid)
    handle = os.pidfd_open(first)
    process.close()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    async with asyncio.timeout(30):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(handle)
    os.close(handle)

    assert await process.call(os.getpid) != first
