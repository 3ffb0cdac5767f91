"""What a task or an event is told of an archive in several volumes: of each before the last, which it names anyway."""

from __future__ import annotations

from .states import Copy
from .tasks import BaseCopy, VolumeCopy


def volumes_before(copy: Copy) -> tuple[VolumeCopy, ...]:
    """Give the volumes before the last, in order."""
    return tuple(
        VolumeCopy(place=one.place, sha256=one.sha256, object_version=one.version or None) for one in copy.before
    )


def as_base(copy: Copy) -> BaseCopy:
    """Give all of an archive that something else is complete with."""
    last = VolumeCopy(place=copy.place, sha256=copy.sha256, object_version=copy.version or None)
    volumes = (*volumes_before(copy), last)
    return BaseCopy(export_id=copy.export_id, volumes=volumes, map_sha256=copy.map_sha256)


def places_before(copy: Copy) -> tuple[str, ...]:
    """Give the places of the volumes before the last, in order."""
    return tuple(one.place for one in copy.before)
