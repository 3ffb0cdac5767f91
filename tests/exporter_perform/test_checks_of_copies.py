"""What lies there for a customer is kept by the database's own rules, whatever a release of the code decides."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg
import pytest
from msgspec.structs import replace

from services.exporter.app import MIGRATIONS
from services.exporter.states import Copy, Delta, Erased, Keeping, Known, State
from shared.migrate import migrate
from shared.statecodec import StateCodec
from tests.casework import at

ARCHIVE, DELTA = Copy("e1", "s3://exports/acme/e1.zip"), Delta(Copy("e2", "s3://exports/acme/e2.zip"), "e1")
BOTH = Known("acme", archives=(ARCHIVE,), deltas=(DELTA,))
UNTOLD = replace(DELTA, copy=replace(DELTA.copy, announced=False))
Cases: TypeAlias = "dict[str, tuple[State, str]]"
INSERT = "insert into cases (customer_id, state, key_hash) values ($1, $2, 0)"


def erased(known: Known) -> Erased:
    return Erased(known, "d-1", at("2027-01-01T00:00"))


GOOD: dict[str, State] = {
    "both": Keeping(BOTH),
    "an archive": Keeping(replace(BOTH, deltas=())),
    "a delta that nobody was told of": Keeping(replace(BOTH, archives=(), deltas=(UNTOLD,))),
    "nothing": erased(Known("acme")),
}
SPOILT: Cases = {
    "without its base": (Keeping(replace(BOTH, archives=())), "deltas_have_their_bases"),
    "its base was told to nobody": (
        Keeping(replace(BOTH, archives=(replace(ARCHIVE, announced=False),))),
        "deltas_have_their_bases",
    ),
    "an archive as well": (
        Keeping(replace(BOTH, archives=(ARCHIVE, DELTA.copy))),
        "deltas_have_their_bases",
    ),
    "a delta against a delta": (
        Keeping(replace(BOTH, deltas=(DELTA, Delta(replace(DELTA.copy, export_id="e3"), "e2")))),
        "deltas_have_their_bases",
    ),
    "erased, and an archive is left": (erased(replace(BOTH, deltas=())), "erased_leaves_no_copy"),
    "erased, and a delta is left": (erased(replace(BOTH, archives=(), deltas=(UNTOLD,))), "erased_leaves_no_copy"),
}


async def test_no_delta_stands_without_its_base_and_nothing_is_left_of_what_is_erased(postgres: str) -> None:
    """A row that breaks a rule isn't kept, and the rule is named; one of a release that knew no deltas is."""
    connection, codec = await asyncpg.connect(postgres), StateCodec[State](State)
    try:
        await migrate(connection, MIGRATIONS)
        for name, state in GOOD.items():
            await connection.execute(INSERT, name, codec.dump(state))
        before = '{"kind": "keeping", "known": {"customer_id": "acme", "archives": [{"export_id": "e1"}]}}'
        await connection.execute(INSERT, "of before", before)
        for name, (state, rule) in SPOILT.items():
            with pytest.raises(asyncpg.CheckViolationError, match=rule):
                await connection.execute(INSERT, name, codec.dump(state))
    finally:
        await connection.close()
