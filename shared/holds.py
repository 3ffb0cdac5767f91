"""Legal holds (P8), the same whatever the order in which placing and release were heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from .events.platform import LegalHoldPlaced, LegalHoldReleased


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold: when it was placed and released, as far as was heard."""

    hold_id: str
    basis: str | None = None
    placed_at: datetime | None = None
    released_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Tell whether it holds: a release counts for whatever was placed up to its moment."""
        if self.placed_at is None:
            return False
        return self.released_at is None or self.released_at < self.placed_at


Holds = tuple[Hold, ...]


def held(holds: Holds) -> bool:
    """Tell whether anything holds."""
    return any(hold.active for hold in holds)


def placed(holds: Holds, event: LegalHoldPlaced) -> Holds:
    """Take a placing into *holds*; the same *holds* if it isn't news."""
    known = _find(holds, event.hold_id)
    if known.placed_at is not None and known.placed_at >= event.placed_at:
        return holds
    return _with(holds, replace(known, placed_at=event.placed_at, basis=event.basis))


def released(holds: Holds, event: LegalHoldReleased) -> Holds:
    """Take a release into *holds*, even of a hold not heard of yet; the same *holds* if it isn't news."""
    known = _find(holds, event.hold_id)
    if known.released_at is not None and known.released_at >= event.released_at:
        return holds
    return _with(holds, replace(known, released_at=event.released_at))


def _find(holds: Holds, hold_id: str) -> Hold:
    return next((hold for hold in holds if hold.hold_id == hold_id), Hold(hold_id))


def _with(holds: Holds, news: Hold) -> Holds:
    others = [hold for hold in holds if hold.hold_id != news.hold_id]
    return tuple(sorted([*others, news], key=lambda hold: hold.hold_id))
