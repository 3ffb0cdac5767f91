"""What a format is whose files hold several tables: it reads what it needs, and tells how many records it wrote."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from services.exporter.archive.source import Files, Source


class Whole(ABC):
    """One way to write all tables together; *name* is what the operator calls it, *folder* holds its files.

    One that doesn't hold the rows as they are, *holds_rows*, is never enough by itself.
    """

    name: str
    folder: str
    holds_rows: ClassVar[bool] = True

    @abstractmethod
    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write *source* into *files*; gives the records of each table that it wrote, which must be the table's rows.

        A table that is none of this format's business isn't named.
        """
