"""How often Python looks for cycles: seldom, since a batch makes many objects and none of them is part of one."""

from __future__ import annotations

import gc

_NEW_OBJECTS, _YOUNG_ROUNDS, _OLD_ROUNDS = 100_000, 20, 50


def expect_batches() -> None:
    """Leave what is there after start-up out of every later look, and look once for several batches.

    By default Python looks every 700 new objects, which was a quarter of the time of an event.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, _OLD_ROUNDS)
