"""A table's fingerprint: the sum of its rows' hashes, the same in whatever order and of whatever types they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.datamap.ownership import quoted

if TYPE_CHECKING:
    from .witness import Connection


def fingerprint(columns: Sequence[str], alias: str) -> str:
    """Give the SQL for the fingerprint of *columns* of *alias*, a text.

    A row's text is what COPY writes of its values, so that a table of texts that was filled from the CSV has the same
    one; NULL and the empty text differ in it.
    """
    values = ", ".join(f"{alias}.{quoted(column)}" for column in columns)
    return f"coalesce(sum(hashtextextended(row({values})::text, 0)), 0)::text"


async def is_utf8(connection: Connection) -> bool:
    """Tell whether the database hashes the same bytes as another one: those of UTF-8."""
    return bool(await connection.fetchval(ENCODING))


# name: texts are hashed as they are encoded
ENCODING = "select current_setting('server_encoding') = 'UTF8'"
