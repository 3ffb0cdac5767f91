"""How memory is kept: all of it for batches, which come again at once; a large part is given back when it was sent."""

from __future__ import annotations

import ctypes
import gc

_NEW_OBJECTS, _YOUNG_ROUNDS, _OLD_ROUNDS = 100_000, 20, 50
# glibc's mallopt(3): the parameters' numbers and, in bytes, from where on a block is mapped for itself, and how much
# may lie free at the end of the heap.
_TRIM_THRESHOLD, _FREE = -1, 32 * 2**20
_MMAP_THRESHOLD, _LARGE, _PART = -3, 16 * 2**20, 2**20


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
    _tell_allocator((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _FREE))


def return_parts() -> None:
    """Give every block of a megabyte or more back to the kernel when it is done with, if the C library is glibc.

    Otherwise, once a part of an upload was freed, those after it lie on the heap, between small things that outlive
    them: an export's peak was 10 to 14 MiB higher.
    """
    _tell_allocator((_MMAP_THRESHOLD, _PART))


def _tell_allocator(*options: tuple[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option in options:
            mallopt(*option)
