"""Which holds keep something of a customer's: what the holder's own cases know, and what was published since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events.retention import Keep
from ..holds import Holds, in_force, scope_of
from ..statecodec import StateCodec
from .domain import Holding
from .heard import with_news

if TYPE_CHECKING:
    from datetime import datetime

    from ..datamap.live import Connection
    from .heard import Heard

_states: StateCodec[Holding] = StateCodec(Holding)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The holder's *own* database, and what it may not have read yet."""

    own: Connection
    heard: Heard


async def holds_at(knowledge: Knowledge, customer_id: str, now: datetime) -> Holds:
    """Tell which holds are in force at *now*, of all that were published by the moment of asking.

    The topics are looked at first: what the holder commits to have read meanwhile is in its cases by then.
    """
    news = await knowledge.heard.since(customer_id)
    state = await knowledge.own.fetchval(STATE, customer_id)
    known = () if state is None else _states.load(state).holds
    return in_force(with_news(known, news), now)


def kept_by(holds: Holds) -> tuple[Keep, ...]:
    """Write *holds* as a command would."""
    return tuple(Keep(hold_id=hold.hold_id, scope=scope_of(hold), basis=hold.basis) for hold in holds)


STATE = "select state::text from cases where customer_id = $1"
