"""Whether nobody else deletes from a bucket in which a law keeps objects: one holder can't tell what another keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..datamap.model import load
from ..datamap.referring import may_be, referring
from ..datamap.retained_objects import keeping
from .declaration import HoldersError, PostgresHolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..datamap.model import DataMap
    from .declaration import Holder


def maps_of(holders: Iterable[Holder]) -> dict[str, DataMap]:
    """Read the data map of each of *holders* that has one; raises ``MapError``, and as ``check_kept_buckets``."""
    holders = tuple(holders)
    maps = {one.name: load(one.map) for one in holders if isinstance(one, PostgresHolder)}
    check_kept_buckets(holders, maps)
    return maps


def check_kept_buckets(holders: Iterable[Holder], maps: Mapping[str, DataMap]) -> None:
    """Raise ``HoldersError`` where one holder's rows may keep an object for a law, and another one deletes there.

    Which objects stay only the rows tell, and no command carries millions of them to another process.
    """
    holders = tuple(holders)
    for name, map in maps.items():  # noqa: A001 - the domain's word
        for bucket, place in {one.reference.bucket: one.place for one in keeping(map)}.items():
            for other in holders:
                if other.name != name and any(may_be(bucket, there) for there in _buckets(other, maps)):
                    msg = (
                        f"a law may keep what {place} of {name} refers to in {bucket}, and {other.name} deletes from "
                        "that bucket without knowing it. Put what vouchers refer to into a bucket of its own."
                    )
                    raise HoldersError(msg)


def _buckets(holder: Holder, maps: Mapping[str, DataMap]) -> list[str]:
    if isinstance(holder, PostgresHolder):
        return [one.reference.bucket for one in referring(maps[holder.name])]
    return [holder.bucket]
