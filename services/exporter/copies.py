"""What a task or an event is told of an archive in several volumes: of each before the last, which it names anyway."""

from __future__ import annotations

from .states import Copy
from .tasks import VolumeCopy


def volumes_before(copy: Copy) -> tuple[VolumeCopy, ...]:
    """Give the volumes before the last, in order."""
    return tuple(
        VolumeCopy(place=one.place, sha256=one.sha256, object_version=one.version or None) for one in copy.before
    )


def places_before(copy: Copy) -> tuple[str, ...]:
    """Give the places of the volumes before the last, in order."""
    return tuple(one.place for one in copy.before)
