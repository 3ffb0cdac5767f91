"""Legal holds (P8), the same whatever the order in which placing and release were heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from .events.platform import (
    Everything,
    HoldScope,
    LegalHoldPlaced,
    LegalHoldReleased,
    OfCategories,
    OfPersons,
    OfTables,
)

Scope = Literal["all", "category", "table", "person"]


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold: when it was placed and released, as far as was heard.

    It holds *names*, which are of the kind *scope*; everything, if *scope* is "all" or there are no names. It ends at
    *ends_at* (UTC, exclusive) by itself. *responsible* answers for it and looks at it again on *review_on*.
    """

    hold_id: str
    basis: str | None = None
    placed_at: datetime | None = None
    released_at: datetime | None = None
    scope: Scope = "all"
    names: tuple[str, ...] = ()
    responsible: str | None = None
    review_on: date | None = None
    ends_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Tell whether it was placed and not released: a release counts for what was placed up to its moment."""
        if self.placed_at is None:
            return False
        return self.released_at is None or self.released_at < self.placed_at

    def active_at(self, now: datetime) -> bool:
        """Tell whether it holds at *now*."""
        return self.active and (self.ends_at is None or now < self.ends_at)

    @property
    def holds_everything(self) -> bool:
        """Tell whether nothing at all may go; what names nothing is taken to mean all."""
        return self.scope == "all" or not self.names


Holds = tuple[Hold, ...]


def held(holds: Holds, now: datetime | None = None) -> bool:
    """Tell whether anything holds, if only a part; without *now* no hold comes to its end by itself."""
    return any(hold.active if now is None else hold.active_at(now) for hold in holds)


def all_held(holds: Holds, now: datetime) -> bool:
    """Tell whether something holds everything at *now*."""
    return any(hold.holds_everything for hold in in_force(holds, now))


def in_force(holds: Holds, now: datetime) -> Holds:
    """Give those that hold at *now*."""
    return tuple(hold for hold in holds if hold.active_at(now))


def placed(holds: Holds, event: LegalHoldPlaced) -> Holds:
    """Take a placing into *holds*; the same *holds* if it isn't news. Placed again it is what it says then."""
    known = _find(holds, event.hold_id)
    if known.placed_at is not None and known.placed_at >= event.placed_at:
        return holds
    scope = event.scope
    return _with(
        holds,
        replace(
            known,
            placed_at=event.placed_at,
            basis=event.basis,
            scope=scope.kind,
            names=_names(scope),
            responsible=event.responsible,
            review_on=event.review_on,
            ends_at=event.ends_at,
        ),
    )


def released(holds: Holds, event: LegalHoldReleased) -> Holds:
    """Take a release into *holds*, even of a hold not heard of yet; the same *holds* if it isn't news."""
    known = _find(holds, event.hold_id)
    if known.released_at is not None and known.released_at >= event.released_at:
        return holds
    return _with(holds, replace(known, released_at=event.released_at))


def scope_of(hold: Hold) -> HoldScope:
    """Write what *hold* holds as events carry it."""
    if hold.scope == "category" and hold.names:
        return OfCategories(categories=hold.names)
    if hold.scope == "table" and hold.names:
        return OfTables(tables=hold.names)
    if hold.scope == "person" and hold.names:
        return OfPersons(refs=hold.names)
    return Everything()


def _names(scope: HoldScope) -> tuple[str, ...]:
    match scope:
        case OfCategories(categories=names) | OfTables(tables=names) | OfPersons(refs=names):
            return names
    return ()


def _find(holds: Holds, hold_id: str) -> Hold:
    return next((hold for hold in holds if hold.hold_id == hold_id), Hold(hold_id))


def _with(holds: Holds, news: Hold) -> Holds:
    others = [hold for hold in holds if hold.hold_id != news.hold_id]
    return tuple(sorted([*others, news], key=lambda hold: hold.hold_id))
