"""Which holds keep something of a customer's, as the holder's own cases know it and as a command says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events.retention import Keep
from ..holds import Holds, in_force, scope_of
from ..statecodec import StateCodec
from .domain import Holding

if TYPE_CHECKING:
    from datetime import datetime

    from ..datamap.live import Connection

_states: StateCodec[Holding] = StateCodec(Holding)


async def holds_at(own: Connection, customer_id: str, now: datetime) -> Holds:
    """Ask *own*, the holder's database, which holds are in force at *now*."""
    state = await own.fetchval(STATE, customer_id)
    return () if state is None else in_force(_states.load(state).holds, now)


def kept_by(holds: Holds) -> tuple[Keep, ...]:
    """Write *holds* as a command would."""
    return tuple(Keep(hold_id=hold.hold_id, scope=scope_of(hold), basis=hold.basis) for hold in holds)


STATE = "select state::text from cases where customer_id = $1"
