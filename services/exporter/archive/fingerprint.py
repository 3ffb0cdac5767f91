"""A table's fingerprint: the sum of its rows' hashes, the same in whatever order and of whatever types they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.datamap.live import Connection


def fingerprint(values: Sequence[str]) -> str:
    """Give the SQL for the fingerprint of rows with these *values*, each an expression; it is a text.

    A row's text is what COPY writes of its values, so that a table of texts that was filled from the CSV has the same
    one; NULL and the empty text differ in it.
    """
    return f"coalesce(sum(hashtextextended(row({', '.join(values)})::text, 0)), 0)::text"


async def is_utf8(connection: Connection) -> bool:
    """Tell whether the database hashes the same bytes as another one: those of UTF-8."""
    return bool(await connection.fetchval(ENCODING))


# name: texts are hashed as they are encoded
ENCODING = "select current_setting('server_encoding') = 'UTF8'"
