"""Whatever the schema and whatever is held: exactly that stays, with what it needs, and the rest goes when it may."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from shared.clock import system_clock
from shared.events.platform import Erased, ErasedInPart, NotErased, OfPersons, OfTables
from shared.events.retention import Keep
from shared.holder.right import Right
from shared.holder.rows import erase_rows
from shared.holder.survey import survey_rows
from tests.holder.foreign_key_worlds import CUSTOMERS, World, read, worlds
from tests.holder.platform_rows import expired
from tests.holder.test_erase_schemas import PACES, SCHEMAS, Ground, ground

if TYPE_CHECKING:
    from shared.holder.pace import Pace
    from tests.holder.platform_rows import Database

__all__ = ["ground"]


@st.composite
def held_worlds(draw: st.DrawFn) -> tuple[World, tuple[Keep, ...]]:
    """Draw a world and one hold or two, of tables or of persons."""
    world = draw(worlds())
    tables = st.sampled_from(["audit", *(f"t{number}" for number in range(len(world.rows)))])
    scopes = st.builds(OfTables, tables=st.tuples(tables)) | st.builds(
        OfPersons, refs=st.tuples(st.sampled_from(["0", "7", "14"]))
    )
    drawn = draw(st.lists(scopes, min_size=1, max_size=2))
    return world, tuple(Keep(hold_id=f"h{number}", scope=scope) for number, scope in enumerate(drawn))


def covered(world: World, keep: Keep, own: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Give the rows of *own* that a hold covers."""
    if isinstance(keep.scope, OfTables):
        return {(table, number) for table, number in own if f"t{table}" in keep.scope.tables}
    assert isinstance(keep.scope, OfPersons)
    return {(table, number) for table, number in own if str(world.person_of(table, number)) in keep.scope.refs}


async def erased(
    database: Database, world: World, customer: str, pace: Pace, right: Right | None = None
) -> Erased | ErasedInPart | NotErased:
    now = system_clock()
    return await erase_rows(database, world.map(), customer, right=right or expired(), now=now, pace=pace)


@settings(max_examples=SCHEMAS, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=held_worlds(), customer=st.sampled_from(CUSTOMERS[:2]), pace=st.sampled_from(PACES))
def test_any_schema(ground: Ground, drawn: tuple[World, tuple[Keep, ...]], customer: str, pace: Pace) -> None:
    """What is held stays, with the rows that it refers to or is found by, and nothing else; without the hold all goes.

    Where a person can't be found, or a row that stays refers to one that goes, nothing goes.
    """
    world, holds = drawn
    right = Right(expired().window_closed_at, keep=holds)

    async def scenario() -> None:
        database = ground.database
        await database.execute(world.ddl())
        before, own = await read(database, world), world.own(customer)
        outcome = await erased(database, world, customer, pace, right)
        left = await read(database, world)

        by_hold = [covered(world, one, own) for one in holds]
        lost = any(isinstance(one.scope, OfPersons) and not some for one, some in zip(holds, by_hold, strict=True))
        stays = world.needed(set().union(*by_hold), own)
        if lost or world.held_up(own - stays):
            event("a person not found" if lost else "entangled")
            assert outcome == NotErased(reason="held" if lost else "failed")
            assert left == before
            return
        audited = [at for at in own - stays if at[0] in world.audited]
        audit = (
            len(audited) if any(isinstance(one.scope, OfTables) and "audit" in one.scope.tables for one in holds) else 0
        )
        event("kept" if stays or audit else "nothing to keep")
        assert isinstance(outcome, ErasedInPart if stays or audit else Erased)
        assert left == _others_and(world, customer, stays)
        assert await database.fetchval("select count(*) from audit where owner = $1", customer) == audit
        if isinstance(outcome, ErasedInPart):
            kept = Counter(f"t{table}" for table, _ in stays) + Counter({"audit": audit})
            assert {one.table: one.rows for one in outcome.kept} == kept
            assert sum(one.rows for one in outcome.needed) == len(stays - set().union(*by_hold))
            again = await erased(database, world, customer, pace, right)
            assert isinstance(again, ErasedInPart)
            assert again.kept == outcome.kept
            assert not any(one.rows for one in again.deleted)
        if world.entangled(customer):
            return
        assert isinstance(await erased(database, world, customer, pace), Erased)
        assert await read(database, world) == world.kept(customer)
        assert (await survey_rows(database, world.map(), customer)).clean

    ground.runner.run(scenario())


def _others_and(world: World, customer: str, stays: set[tuple[int, int]]) -> dict[str, Counter[int]]:
    found = world.kept(customer)
    for table, number in stays:
        found[f"t{table}"][number] += 1
    return found
