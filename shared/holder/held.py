"""What stands in a deletion's way: what the holder's own cases know of it, and what was published since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events.retention import Keep
from ..holds import Holds, in_force, scope_of
from ..statecodec import StateCodec
from .domain import Holding
from .heard import with_contracts, with_news

if TYPE_CHECKING:
    from datetime import datetime

    from ..contracts import Contracts
    from ..datamap.live import Connection
    from .heard import Heard

_states: StateCodec[Holding] = StateCodec(Holding)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The holder's *own* database, and what it may not have read yet."""

    own: Connection
    heard: Heard


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in a deletion's way: the *holds* in force, and the *contracts*, over or not."""

    holds: Holds = ()
    contracts: Contracts = ()


async def standing_at(knowledge: Knowledge, customer_id: str, now: datetime) -> Standing:
    """Tell what stands in the way at *now*, of all that was published by the moment of asking.

    The topics are looked at first: what the holder commits to have read meanwhile is in its cases by then.
    """
    news = await knowledge.heard.since(customer_id)
    state = await knowledge.own.fetchval(STATE, customer_id)
    known = Holding() if state is None else _states.load(state)
    return Standing(in_force(with_news(known.holds, news), now), with_contracts(known.contracts, news))


def kept_by(holds: Holds) -> tuple[Keep, ...]:
    """Write *holds* as a command would."""
    return tuple(Keep(hold_id=hold.hold_id, scope=scope_of(hold), basis=hold.basis) for hold in holds)


STATE = "select state::text from cases where customer_id = $1"
