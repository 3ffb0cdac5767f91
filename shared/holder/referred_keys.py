"""Which objects the customer's rows refer to, and which of those somebody else's rows do: asked of the database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..datamap.declared import ByDatabase, BySchema
from ..datamap.live import schemas, tables
from ..datamap.names import named, parts
from ..datamap.owners import CUSTOMER
from ..datamap.ownership import goes_with, owned_by, relation
from ..datamap.referring import Referring, referring, referring_of_nobody
from .going import leaves
from .right import RefusedError
from .statutory import BY_LAW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from .scope import Covers


def refers(map: DataMap) -> bool:  # noqa: A002
    """Tell whether any column of *map* names objects."""
    return any(one.media for one in map.tables)


def check_decidable(map: DataMap) -> None:  # noqa: A002
    """Refuse where one database can't tell whether an object is somebody else's too."""
    if not isinstance(map.tenancy, ByDatabase):
        return
    for one in referring(map):
        if not (one.reference.of_one_customer or one.reference.alone):
            says = f"{one.place}: rows of other databases may refer to the same objects of {one.reference.bucket}"
            raise RefusedError("not_declared", f"{says}; put {CUSTOMER} into bucket or key, or say under alone why not")


def own_keys(map: DataMap) -> str:  # noqa: A002
    """Give the query for bucket and key (bytea) of what goes with the customer ``$1``, once for each row."""
    return _union(_keys(one, going(map, one)) for one in referring(map))


def leaving_keys(map: DataMap, holds: Covers) -> str:  # noqa: A002
    """Give the same query for what goes alone: of the rows that do, and of columns that are emptied; after ``keep``."""
    return _union(_keys(one, f"({going(map, one)}) and {_leaves(map, one, holds)}") for one in referring(map))


def standing_keys(map: DataMap, holds: Covers) -> str:  # noqa: A002
    """Give the same query for what stays alone; after ``keep``."""
    return _union(_keys(one, f"({going(map, one)}) and not {_leaves(map, one, holds)}") for one in referring(map))


def _leaves(map: DataMap, one: Referring, holds: Covers) -> str:  # noqa: A002
    table = map.table(one.table)
    emptied = f" or {BY_LAW}" if one.column in table.minimise else ""
    return f"((({leaves(map, table, holds)}) is true){emptied})"


def staying_keys(map: DataMap, others: Iterable[Referring]) -> str:  # noqa: A002
    """Give the query for bucket and key of what rows refer to that don't go with the customer ``$1``."""
    own = (one for one in referring(map) if not one.reference.of_one_customer)
    return _union(
        [*(_keys(one, f"({going(map, one)}) is not true") for one in own), *(_keys(one, "true") for one in others)]
    )


def all_keys(map: DataMap, others: Iterable[Referring]) -> str:  # noqa: A002
    """Give the query for bucket and key of what any row refers to; asked when the customer's rows are gone.

    A place with the customer's id in it is meant by nobody else's rows.
    """
    own = (one for one in referring(map) if not one.reference.of_one_customer)
    return _union(_keys(one, "true") for one in (*own, *others))


async def others_referring(connection: Connection, map: DataMap) -> tuple[Referring, ...]:  # noqa: A002
    """Give the columns whose rows are nobody's own, and, where each customer has a schema, those of the others'."""
    nobodys = tuple(one for one in referring_of_nobody(map) if not one.reference.of_one_customer)
    if not isinstance(map.tenancy, BySchema) or map.tenancy.bound_to is None:
        return nobodys
    own, there = map.tenancy.schema_of(map.tenancy.bound_to), await tables(connection)
    elsewhere = [
        replace(one, table=moved)
        for schema in await schemas(connection)
        if schema != own and map.tenancy.customer_of(schema) is not None
        for one in (*referring(map), *referring_of_nobody(map))
        if not one.reference.of_one_customer and (moved := _moved(one.table, own, schema)) in there
    ]
    return (*nobodys, *elsewhere)


def _moved(table: str, own: str, schema: str) -> str:
    at, name = parts(table)
    return named(schema if at == own else at, name)


def going(map: DataMap, one: Referring) -> str:  # noqa: A002
    """Give the predicate for the rows ``t`` whose objects by *one* go with the customer ``$1``."""
    table = map.table(one.table)
    # A row of several customers stays with the others; under this customer's id nobody will look for its object.
    return owned_by(map, table) if one.reference.of_one_customer else goes_with(map, table)


def _keys(one: Referring, which: str) -> str:
    return KEYS.format(bucket=one.bucket("$1"), key=one.key("t", "$1"), relation=relation(one.table), which=which)


def _union(queries: Iterable[str]) -> str:
    return " union all ".join(queries) or NOTHING


# The customer is a parameter of every query, also of those that don't ask for it.
KEYS = """
    select k.bucket, k.key
      from (select ({bucket})::text as bucket, {key} as key from {relation} as t where {which} offset 0) as k
     where k.key is not null and $1::text is not null
"""

NOTHING = "select null::text as bucket, null::bytea as key where $1::text is null"
