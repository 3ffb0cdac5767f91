"""From a live database to a drafted data map, as text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import OperatorError
from .. import live
from ..declared import BySchema
from ..names import canonical, parts
from .proposal import propose, written
from .seen import Kind, Wanted
from .values import keys_of
from .writing import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..columns import Schema
    from ..live import Connection


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: the *tenancy*, the tables of customers and people, what a customer's place is called."""

    tenancy: Kind
    customer_table: str | None = None
    customer_key: str | None = None
    user_table: str | None = None
    system: str = "system"
    named: str = "{customer}"


async def draft(connection: Connection, order: Order, progress: Callable[[int, int], None] = lambda *_: None) -> str:
    """Propose a data map; raises ``OperatorError`` where a table that is named doesn't exist."""
    schema, within = await live.schema(connection), None
    if order.tenancy == "schema":
        schema, within = _first(schema, BySchema(order.named))
    root = order.customer_table if order.tenancy == "rows" else order.user_table
    if order.tenancy == "rows" and root is None:
        raise OperatorError("by rows somebody has to be the customer: give --customer-table.")
    wanted = Wanted(order.tenancy, _table(schema, root), order.customer_key, _table(schema, order.user_table), within)
    async with connection.transaction(readonly=True):
        proposed = await propose(connection, schema, wanted, progress)
    return write(order.system, _tenancy(order), proposed, _customers(schema, wanted))


def _first(schema: Schema, tenancy: BySchema) -> tuple[Schema, str]:
    """Keep of *schema* the tables of one customer; the others' are alike."""
    theirs = sorted({of for table in schema.columns if tenancy.customer_of(of := parts(table)[0])})
    if not theirs:
        raise OperatorError(f"no schema is called {tenancy.template}: give --named, with {{customer}} for the id.")
    kept = {table: columns for table, columns in schema.columns.items() if parts(table)[0] == theirs[0]}
    return replace(schema, tables=tuple(kept), columns=kept), theirs[0]


def _table(schema: Schema, name: str | None) -> str | None:
    if name is None:
        return None
    here = [table for table in schema.columns if table == canonical(name) or parts(table)[1] == name]
    if not here:
        raise OperatorError(f"there is no table {name}: name one of the {len(schema.columns)} that --dsn has.")
    return here[0]


def _tenancy(order: Order) -> object:
    return "rows" if order.tenancy == "rows" else {order.tenancy: order.named}


def _customers(schema: Schema, wanted: Wanted) -> str | None:
    if wanted.kind != "rows" or wanted.root is None:
        return None
    key = wanted.key or next((column.name for column in keys_of(schema, wanted.root)), "id")
    return f"{wanted.root}.{written(key)}"
