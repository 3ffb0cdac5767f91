"""A fifth service that counts what it reads and forgives nothing: what is lost or doubled shows in its sums."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.decision import Decided, Decision, Domain, Ignored, Input
from shared.events.catalogue import EVENTS
from shared.events.event import Event


class Counts(Struct, frozen=True, tag_field="kind", tag="counts"):
    """How many of each type."""

    by_type: dict[str, int] = {}


def _decide(state: Counts, given: Input, now: datetime, policy: None) -> Decision[Counts]:
    if not isinstance(given, Event):
        return Ignored("never late")
    name = given.type()
    return Decided(replace(state, by_type={**state.by_type, name: state.by_type.get(name, 0) + 1}))


TALLY: Domain[Counts, None] = Domain(
    name="tally",
    states=Counts,
    initial=Counts(),
    consumes=tuple(EVENTS.values()),
    decide=_decide,
    wakes_at=lambda _: None,
    policy=None,
)
