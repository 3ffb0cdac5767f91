"""A bucket with versions, as exporters see it: an upload becomes one version or none, and what is written stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .faults import PassingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass
class Shelf:
    """What lies at each place: *versions*, the newest last, by their checksum; and unfinished *uploads*.

    *changed* is told of each place that has changed.
    """

    changed: Callable[[str], None]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    uploads: dict[str, list[str]] = field(default_factory=dict)
    completed: dict[str, tuple[str, str]] = field(default_factory=dict)
    numbered: int = 0

    def begin(self, place: str) -> str:
        """Begin an upload."""
        self.numbered += 1
        self.uploads.setdefault(place, []).append(f"u{self.numbered}")
        return f"u{self.numbered}"

    def abort(self, place: str, some: Iterable[str]) -> None:
        """Abort *some* uploads; harmless where they are gone."""
        self.uploads[place] = [one for one in self.uploads.get(place, []) if one not in {*some}]

    def complete(self, place: str, upload: str, digest: str) -> str:
        """Make a version of an upload; raises PassingError if that is gone.

        Who completes it again with the same bytes is answered, as some stores do, as if they had made it.
        """
        if self.completed.get(upload, ("", ""))[1] == digest:
            return self.completed[upload][0]
        if upload not in self.uploads.get(place, []):
            raise PassingError("no such upload")
        self.abort(place, [upload])
        self.numbered += 1
        self.versions.setdefault(place, {})[f"v{self.numbered}"] = digest
        self.completed[upload] = (f"v{self.numbered}", digest)
        self.changed(place)
        return f"v{self.numbered}"

    def of(self, place: str) -> dict[str, str]:
        """Give the versions at *place*."""
        return dict(self.versions.get(place, {}))

    def remove(self, place: str, some: Iterable[str]) -> None:
        """Remove *some* versions for good."""
        gone = {*some}
        self.versions[place] = {one: what for one, what in self.of(place).items() if one not in gone}
        self.changed(place)

    def clear(self, place: str) -> None:
        """Remove all that was ever at *place*."""
        self.versions.pop(place, None)
        self.uploads.pop(place, None)
