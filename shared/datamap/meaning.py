"""What coded values mean, as SQL beside the values themselves: a time for an epoch, the text for an option's number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .columns import LiveColumn
from .names import literal, quoted, relation
from .rules import PER_SECOND, Choice, Coding, Epoch, Expression, Labels, Lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .declared import Table

SUFFIX = "_meaning"


def shown(table: Table, columns: Sequence[LiveColumn]) -> tuple[LiveColumn, ...]:
    """Give the columns that an export of *table* shows: those not left out, each coded one followed by its meaning.

    The meaning of ``x`` is called ``x_meaning``; a value that is left out may still have one. The values stay as
    they are, since who imports them needs the codes. All are of the row ``t``.
    """
    taken = {column.name for column in columns}
    return tuple(one for column in columns for one in _shown(table, column, taken))


def _shown(table: Table, column: LiveColumn, taken: set[str]) -> list[LiveColumn]:
    coding = table.coded.get(column.name)
    bare = column.name not in table.left_out and (column.carried or coding is None)
    return [*([column] if bare else []), *([_meant(coding, column, taken)] if coding else [])]


def _meant(coding: Coding, column: LiveColumn, taken: set[str]) -> LiveColumn:
    name = _free(f"{column.name}{SUFFIX}", taken)
    kind = "timestamp with time zone" if isinstance(coding, Epoch) else "text"
    sql = meaning(coding, f"t.{quoted(column.name)}", "t")
    return LiveColumn(name, kind, True, column.position, base=kind, sql=sql, meaning_of=column.name)  # noqa: FBT003


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)


def meaning(coding: Coding, value: str, alias: str) -> str:
    """Give the SQL for what *value*, a column of the row *alias*, means; null where it has no meaning."""
    match coding:
        case Epoch(unit, zero):
            seconds = f"{value} / {PER_SECOND[unit]}.0" if unit != "seconds" else value
            counted = f"nullif({seconds}, 0)" if zero else seconds
            return f"to_timestamp({counted})"
        case Labels(texts):
            cases = " ".join(f"when {literal(code)} then {literal(text)}" for code, text in texts.items())
            return f"(case {value}::text {cases} end)"
        case Lookup(table, key, text):
            return _looked_up(f"k.{quoted(text)}::text", table, key, value)
        case Expression(sql):
            return f"(\n{sql.replace('{value}', value).replace('{row}', quoted(alias))}\n)::text"
        case Choice():
            return _chosen(coding, value, alias)


def _looked_up(text: str, table: str, key: str, value: str) -> str:
    # No cast on either side, so that the key's index serves each row.
    return f"(select {text} from {relation(table)} as k where k.{quoted(key)} = {value} limit 1)"


def _chosen(coding: Choice, value: str, alias: str) -> str:
    options = f"k.{quoted(coding.options)}"
    # Without its lead the text is no list of options.
    lists = f"nullif(split_part({options}, {literal(coding.lead)}, 2), '')" if coding.lead else options
    # A value that is no number has no option; a bare cast would fail on it.
    number = f"(substring({value}::text from '^[0-9]{{1,9}}$'))::int - {coding.first - 1}"
    chosen = f"(string_to_array({lists}, {literal(coding.separator)}))[{number}]"
    return _looked_up(chosen, coding.table, coding.key, f"{quoted(alias)}.{quoted(coding.via)}")
