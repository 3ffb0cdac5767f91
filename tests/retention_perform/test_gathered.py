"""Who is due on the same day is read together, and still nobody by a reading that is older than its order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.retention import gathered
from services.retention.gathered import Gathered
from services.retention.reading import Reading
from services.retention.tasks import Survey
from shared.clock import system_clock
from shared.performer import Attempt

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Systems:
    """Holders' systems that note who was read, one call after the other; each call reads something else."""

    calls: list[tuple[str, ...]] = field(default_factory=list)
    unreadable: str = "nobody"

    async def before(self, customer: str) -> tuple[Reading, ...]:
        return (await self.before_all([customer]))[customer]

    async def before_all(self, customers: Sequence[str]) -> dict[str, tuple[Reading, ...]]:
        self.calls.append(tuple(customers))
        await asyncio.sleep(0)
        if self.unreadable in customers:
            raise asyncpg.InvalidTextRepresentationError("invalid input syntax for type uuid")
        return {one: (Reading(f"{one} {len(self.calls)}", ()),) for one in customers}


@dataclass
class Orders:
    """What is ordered."""

    ordered: dict[UUID, str] = field(default_factory=dict)

    async def waiting(self, most: int) -> dict[UUID, str]:
        return dict(list(self.ordered.items())[:most])

    def order(self, customer: str) -> UUID:
        name = uuid4()
        self.ordered[name] = customer
        return name


@pytest.fixture
def systems() -> Systems:
    return Systems()


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def together(systems: Systems, orders: Orders) -> Gathered:
    return Gathered(systems, orders, together=10)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the moment, to be changed."""
    moment = [100.0]
    monkeypatch.setattr(gathered, "monotonic", lambda: moment[0])
    return moment


async def read(together: Gathered, order: UUID, customer: str) -> str:
    task = Survey(customer_id=customer, deletion_id=f"{customer}:1", attempt=1, holders=("database",))
    [reading] = await together.before(task, Attempt(order, 1, system_clock))
    return reading.holder


async def test_all_who_wait_are_read_at_once(together: Gathered, systems: Systems, orders: Orders) -> None:
    """Each gets its own, though one call read them all; side by side, too."""
    names = {customer: orders.order(customer) for customer in ("a", "b", "c", "d")}
    found = await asyncio.gather(*(read(together, name, customer) for customer, name in names.items()))

    assert found == ["a 1", "b 1", "c 1", "d 1"]
    assert systems.calls == [("a", "b", "c", "d")]


async def test_at_most_so_many(together: Gathered, systems: Systems, orders: Orders) -> None:
    """So that what is kept doesn't grow with their number."""
    names = [(f"c{number}", orders.order(f"c{number}")) for number in range(25)]
    for customer, name in names:
        await read(together, name, customer)
        del orders.ordered[name]

    assert [len(call) for call in systems.calls] == [10, 10, 5]


async def test_an_order_that_was_given_later_is_read_anew(together: Gathered, orders: Orders) -> None:
    """A hold has ended, or somebody has put something right: what was read before that says nothing."""
    first, _ = orders.order("a"), orders.order("b")
    await read(together, first, "a")
    later = orders.order("b")

    assert await read(together, later, "b") == "b 2"


async def test_a_second_try_is_read_anew(together: Gathered, orders: Orders) -> None:
    """A reading counts once."""
    first, second = orders.order("a"), orders.order("b")
    await read(together, first, "a")

    assert [await read(together, second, "b") for _ in range(2)] == ["b 1", "b 2"]


async def test_a_reading_is_good_for_a_minute(together: Gathered, orders: Orders, now: list[float]) -> None:
    """From before it began."""
    first, second, third = orders.order("a"), orders.order("b"), orders.order("c")
    await read(together, first, "a")
    now[0] += 59
    assert await read(together, second, "b") == "b 1"
    now[0] += 1
    assert await read(together, third, "c") == "c 2"


async def test_who_cant_be_read_keeps_nobody_else_from_it(
    together: Gathered, systems: Systems, orders: Orders, now: list[float]
) -> None:
    """For a minute each is read alone, and only the one fails."""
    good, bad, later = orders.order("a"), orders.order("b"), orders.order("c")
    systems.unreadable = "b"
    assert await read(together, good, "a") == "a 2"
    with pytest.raises(asyncpg.DataError):
        await read(together, bad, "b")
    del orders.ordered[bad]
    assert await read(together, later, "c") == "c 4"
    now[0] += 60
    await read(together, orders.order("d"), "d")

    assert systems.calls == [("a", "b", "c"), ("a",), ("b",), ("c",), ("d", "a", "c")]


async def test_an_outage_is_no_reason_to_read_them_one_by_one(
    together: Gathered, systems: Systems, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can't be reached is asked again with the next try."""

    async def away(_: object) -> None:
        raise OSError("no route to host")

    first, _ = orders.order("a"), orders.order("b")
    with monkeypatch.context() as patched:
        patched.setattr(systems, "before_all", away)
        with pytest.raises(OSError, match="no route"):
            await read(together, first, "a")

    assert await read(together, first, "a") == "a 1"
    assert systems.calls == [("a", "b")]
