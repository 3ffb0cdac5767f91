"""Whether a customer is held by the law, as the holder's own cases know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..holds import held
from ..statecodec import StateCodec
from .domain import Holding

if TYPE_CHECKING:
    from datetime import datetime

    from ..datamap.live import Connection

_states: StateCodec[Holding] = StateCodec(Holding)


async def held_at(own: Connection, customer_id: str, now: datetime) -> bool:
    """Ask *own*, the holder's database, whether a hold is in force at *now*."""
    state = await own.fetchval(STATE, customer_id)
    return state is not None and held(_states.load(state).holds, now)


STATE = "select state::text from cases where customer_id = $1"
