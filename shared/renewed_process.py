"""A process for work that takes memory and never gives it back: now and then another takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TypeVar, TypeVarTuple

As = TypeVarTuple("As")
T = TypeVar("T")


class RenewedProcess:
    """Begins with the first call, and anew after *calls* of them; ends with whoever made it, however that ends.

    The pool's own ``max_tasks_per_child`` isn't used: what is queued when the process ends may wait for another for
    ever (https://github.com/python/cpython/issues/115634, in 3.11 to 3.14).
    """

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._left = 0
        self._pool: ProcessPoolExecutor | None = None

    def call(self, function: Callable[[*As], T], *arguments: *As) -> asyncio.Future[T]:
        """Have *function* called there, after the calls before.

        Where the process is killed meanwhile the future raises ``BrokenProcessPool``, and the next call begins another.
        """
        loop = asyncio.get_running_loop()
        pool = self._pool if self._pool is not None and self._left else self._renewed()
        self._left -= 1
        try:
            return loop.run_in_executor(pool, function, *arguments)
        except BrokenProcessPool:
            return loop.run_in_executor(self._renewed(), function, *arguments)

    def close(self) -> None:
        """End it; what was not begun is dropped, and what was begun is not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _renewed(self) -> ProcessPoolExecutor:
        if self._pool is not None:
            # It ends by itself, when it has done what it was given.
            self._pool.shutdown(wait=False)
        # Spawned, since a fork of a process with threads may hang.
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_end_with_the_parent)
        self._left = self._calls
        return self._pool


def _end_with_the_parent() -> None:
    # Who stops the parent at a terminal stops this too: it is for the parent to say when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_after, args=(parent_process(),), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    # A parent that was killed can't say that it ended, and the process would wait for calls for ever.
    parent.join()
    os._exit(1)
