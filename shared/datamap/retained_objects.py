"""Whether a map by which a law keeps rows can tell which objects stay with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .declared import MapError
from .referring import may_be, referring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .declared import DataMap
    from .referring import Referring


def check_objects(map: DataMap, file: str) -> None:  # noqa: A002
    """Raise ``MapError`` where a kept row would lose its object all the same, or an emptied one name another."""
    for table in map.tables:
        for column, to in table.media.items():
            value = table.minimise.get(column)
            if value is not None and not (isinstance(value, str) and value in to.none):
                problem = f"emptied to {value!r} it would name an object, or nothing that the map knows for nothing"
                place = f"tables.{table.name}.minimise.{column}"
                raise MapError(file, place, problem, "Empty it to null, or to one of the words under none.")
    for one in keeping(map):
        for bucket in map.buckets:
            if may_be(one.reference.bucket, bucket.bucket):
                problem = (
                    f"a law may keep what {one.place} refers to in {bucket.bucket}, while a prefix of that bucket is "
                    "deleted as a whole"
                )
                raise MapError(
                    file, f"buckets.{bucket.name}", problem, "Keep what vouchers refer to in another bucket."
                )


def keeping(map: DataMap) -> Iterator[Referring]:  # noqa: A002
    """Give the columns whose objects may stay for a law: also of rows that are only needed by those it keeps."""
    return (one for one in referring(map) if map.retains and one.column not in map.table(one.table).minimise)
