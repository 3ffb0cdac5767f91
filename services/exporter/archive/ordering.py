"""In which order a table's rows are read, so that the same rows make the same bytes wherever they lie on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.datamap.columns import LiveColumn
from shared.datamap.names import quoted

# Of these, values that compare as equal are written as the same text. All others (1.0 and 1.00, 1 day and 24 hours,
# json, which compares with nothing) go by what is written of them.
_EXACT = frozenset(
    (
        "smallint",
        "integer",
        "bigint",
        "boolean",
        "date",
        "time without time zone",
        "timestamp without time zone",
        "timestamp with time zone",
        "uuid",
        "bytea",
    )
)
_TEXTS = frozenset(("text", "character varying", "name"))


def ordering(key: Sequence[str], columns: Sequence[LiveColumn]) -> tuple[str, ...]:
    """Give the expressions over the row ``t`` to order by: the primary *key*, else all *columns*.

    Rows that tie without a key are written as the same bytes, so it doesn't matter which comes first.
    """
    # By the key's own collation, since only so its index gives the rows in order.
    return tuple(f"t.{quoted(name)}" for name in key) or tuple(_by_value(columns))


def _by_value(columns: Sequence[LiveColumn]) -> Iterator[str]:
    for column in columns:
        name, kind = f"t.{quoted(column.name)}", column.base or column.type
        if kind in _EXACT:
            yield name
        else:
            yield f'{name} collate "C"' if kind in _TEXTS else f'row({name})::text collate "C"'
