"""Which export is gone on with: one that was interrupted or met an outage, none that failed, nor an encrypted one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.database_fates import DATABASE_OUTAGES
from shared.lease import LeaseLostError
from shared.objects import ObjectStore
from shared.store_faults import StoreOutageError
from shared.upload import May, Told, Upload, nobody_else

from .faults import SourceOutageError

if TYPE_CHECKING:
    from .encryption import Encryption

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


def begun(
    store: ObjectStore, bucket: str, key: str, encryption: Encryption | None, told: Told, may: May = nobody_else
) -> Upload:
    """Prepare the upload of an archive, which goes on with what an earlier try left, unless it is encrypted.

    Then every try has another key and other bytes, so nothing is kept, and what an earlier one left is dropped.
    """
    return store.upload(bucket, key, keeps=is_gone_on_with if encryption is None else None, told=told, may=may)
