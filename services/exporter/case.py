"""A customer's case as it stands in the database now, for work that has to look again."""

from __future__ import annotations

import asyncpg

from shared.statecodec import StateCodec

from .states import State

_CONNECT_SECONDS = 10.0


async def case_of(dsn: str, customer_id: str) -> State | None:
    """Read the case of *customer_id*; None if there is none. Raises asyncpg's errors, OSError, TimeoutError."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS)
    try:
        text = await connection.fetchval(STATE, customer_id)
    finally:
        await connection.close()
    return None if text is None else _states.load(text)


_states: StateCodec[State] = StateCodec(State)

STATE = "select state::text from cases where customer_id = $1"
