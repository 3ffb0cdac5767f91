"""What stopped an export, by whether it is gone on with: an interruption or an outage is, a failure for good isn't."""

from __future__ import annotations

import asyncio

from shared.fates import DATABASE_OUTAGES
from shared.process import LeaseLostError
from shared.store_faults import StoreOutageError

from .faults import SourceOutageError

_PASSING: tuple[type[BaseException], ...] = (
    asyncio.CancelledError,
    KeyboardInterrupt,
    # Whoever has the task now goes on with it.
    LeaseLostError,
    StoreOutageError,
    SourceOutageError,
    *DATABASE_OUTAGES,
)


def is_gone_on_with(cause: BaseException) -> bool:
    """Tell whether the same export will be asked for again, so that its unfinished upload is worth keeping."""
    return isinstance(cause, _PASSING)
