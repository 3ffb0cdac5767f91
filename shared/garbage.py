"""How memory is kept for batches: Python seldom looks for cycles, and the allocator gives nothing back in between."""

from __future__ import annotations

import ctypes
import gc

_NEW_OBJECTS, _YOUNG_ROUNDS, _OLD_ROUNDS = 100_000, 20, 50
# glibc's mallopt(3): the parameters' numbers and, in bytes, from where on a block is mapped for itself, and how much
# may lie free at the end of the heap.
_TRIM_THRESHOLD, _FREE = -1, 32 * 2**20
_MMAP_THRESHOLD, _LARGE = -3, 16 * 2**20


def expect_batches() -> None:
    """Leave what is there after start-up out of every later look, and look once for several batches.

    By default Python looks every 700 new objects, which was a quarter of the time of an event.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, _OLD_ROUNDS)


def keep_buffers() -> None:
    """Let the next batch have the memory of the last one, if the C library is glibc.

    Otherwise blocks of hundreds of kilobytes are returned to the kernel and fetched again page by page for every
    batch, which was a fifth of the relay's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _FREE)
