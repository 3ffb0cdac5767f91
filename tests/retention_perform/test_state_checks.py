"""What the database itself refuses to keep, whatever the code decided."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from services.retention.app import MIGRATIONS
from services.retention.states import State
from shared.migrate import migrate
from shared.statecodec import StateCodec
from tests.retention.exploration import explored

CODEC: StateCodec[Any] = StateCodec(State)
INSERT = "insert into cases (customer_id, key_hash, state) values ($1, 1, $2::jsonb)"


@pytest.fixture
async def cases(postgres: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres)
    await migrate(connection, MIGRATIONS)
    yield connection
    await connection.close()


def written(kind: str, *, step: str | None = None) -> dict[str, Any]:
    """Give a state of *kind* as its row has it; one in which laws keep something only where there is no other."""
    found = (json.loads(CODEC.dump(state)) for state, _ in explored().states.values())
    of_kind = (one for one in found if one["kind"] == kind and step in (None, one.get("step")))
    return min(of_kind, key=lambda one: any(holder.get("retained") for holder in _holders(one)))


def _holders(state: dict[str, Any]) -> list[dict[str, Any]]:
    return (state.get("deletion") or {}).get("holders", [])


async def test_everything_decided_is_kept(cases: asyncpg.Connection[asyncpg.Record]) -> None:
    """No state that the code can get into is refused."""
    rows = [(f"c-{number}", CODEC.dump(state)) for number, (state, _) in enumerate(explored().states.values())]
    await cases.executemany(INSERT, rows)

    assert await cases.fetchval("select count(*) from cases") == len(rows)


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(state: dict[str, Any]) -> None:
        at: Any = state
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = to

    return spoil


def _kept(rows: int) -> Callable[[dict[str, Any]], None]:
    def spoil(state: dict[str, Any]) -> None:
        state["after"][0][6:] = [rows]

    return spoil


def _law_unsaid(state: dict[str, Any]) -> None:
    state["after"][0][6:] = [3]
    state["deletion"]["holders"][0]["status"] = "retained"
    state["deletion"]["holders"][0]["retained"] = []


def _law_forgotten(state: dict[str, Any]) -> None:
    state["known"]["retained"] = {"rows": [["database", "users", "BFL 7:2", "2033-12-31", 3]]}


def _unknown_when(state: dict[str, Any]) -> None:
    state["deletion"]["holders"][0].update(disputed="2027-04-02T00:00:00Z", answered_at=None)


def _disputed_early(state: dict[str, Any]) -> None:
    state["disputed"] = ["database"]


def _disputed(state: dict[str, Any], reason: str = "counts") -> None:
    state.update(written("stalled", step="check"))
    state.update(reason=reason, disputed=["database"])


def _disputed_otherwise(state: dict[str, Any]) -> None:
    _disputed(state, reason="residue")


def _disputed_unanswered(state: dict[str, Any]) -> None:
    _disputed(state)
    state["deletion"]["holders"][0]["status"] = "late"


SPOILT = {
    "no such state": ("window", _set("kind", to="gone"), "state_is_known"),
    "no window": ("held", _set("window", to=None), "ended_has_a_window"),
    "a shorter window": ("window", _set("known", "window_days", to=30), "window_has_days"),
    "no policy": ("window", _set("known", "policy_version", to=""), "window_has_days"),
    "waits for nothing": ("awaiting", _set("missing", to=[]), "awaiting_names_what_is_missing"),
    "deletes nowhere": ("deleting", _set("deletion", "holders", to=[]), "deleting_has_holders"),
    "commanded early": (
        "deleting",
        _set("deletion", "holders", 0, "commanded_at", to="2020-01-01T00:00:00Z"),
        "commanded_after_the_window",
    ),
    "an answer is out": (
        "checking",
        _set("deletion", "holders", 0, "status", to="asked"),
        "checked_only_when_all_answered_well",
    ),
    "kept, and certified": (
        "certifying",
        _set("deletion", "holders", 0, "status", to="kept"),
        "proven_only_when_all_erased",
    ),
    "kept rows, and certified": ("certifying", _kept(3), "certified_only_when_nothing_is_left"),
    "something left besides": ("keeping", _set("after", 0, 2, to=1), "kept_only_what_is_held"),
    "kept without a hold": ("keeping", _set("known", "holds", to=[]), "kept_only_what_is_held"),
    "refused, and kept": (
        "keeping",
        _set("deletion", "holders", 0, "status", to="refused"),
        "checked_only_when_all_answered_well",
    ),
    "refused": ("certifying", _set("deletion", "holders", 0, "status", to="refused"), "proven_only_when_all_erased"),
    "something left": ("certifying", _set("after", 0, 2, to=1), "certified_only_when_nothing_is_left"),
    "kept for no law, and certified": (
        "certifying",
        _law_unsaid,
        "certified_only_when_nothing_is_left",
    ),
    "waits for nothing that a law keeps": (
        "retaining",
        _set("known", "retained", "rows", to=[]),
        "retaining_waits_for_a_day",
    ),
    "no certificate to amend": (
        "retaining",
        _set("known", "retained", "certificate_sha256", to=""),
        "retaining_waits_for_a_day",
    ),
    "no day": ("retaining", _set("known", "retained", "due_at", to=None), "retaining_waits_for_a_day"),
    "closed, and a law keeps": ("closed", _law_forgotten, "closed_retains_nothing"),
    "nothing read": ("certifying", _set("after", to=[]), "certified_only_when_nothing_is_left"),
    "no certificate": ("closed", _set("certificate", to=""), "closed_has_a_certificate"),
    "no digest": ("closed", _set("certificate_sha256", to="?"), "closed_has_a_certificate"),
    "closed early": ("closed", _set("closed_at", to="2020-01-01T00:00:00Z"), "closed_has_a_certificate"),
    "checked by an answer that was disputed": (
        "checking",
        _set("deletion", "holders", 0, "disputed", to="2099-01-01T00:00:00Z"),
        "proven_only_by_new_answers",
    ),
    "certified by an answer without a moment": ("certifying", _unknown_when, "proven_only_by_new_answers"),
    "disputed at another step": ("stalled", _disputed_early, "disputed_only_by_a_check"),
    "disputed for another reason": ("stalled", _disputed_otherwise, "disputed_only_by_a_check"),
    "disputed while an answer is out": ("stalled", _disputed_unanswered, "disputed_only_by_a_check"),
    "for no reason": ("stalled", _set("reason", to=""), "stalled_has_a_reason"),
    "at no step": ("stalled", _set("step", to="somewhere"), "stalled_has_a_reason"),
}


@pytest.mark.parametrize("how", SPOILT)
async def test_what_must_not_be_is_refused(cases: asyncpg.Connection[asyncpg.Record], how: str) -> None:
    """A state that breaks a rule of the machine isn't kept, and the rule is named."""
    kind, spoil, rule = SPOILT[how]
    state = written(kind)
    await cases.execute(INSERT, "good", json.dumps(state))
    spoil(state)

    with pytest.raises(asyncpg.CheckViolationError, match=rule):
        await cases.execute(INSERT, "bad", json.dumps(state))
