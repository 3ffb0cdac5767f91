"""Which objects a column's values name: the one expression that the export, the deletion and the checks share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .names import literal, quoted, reported
from .owners import CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .declared import DataMap
    from .rules import Reference

_PLACEHOLDER = re.compile(r"\{value(?:\[(\d*):(\d*)\])?\}|\{customer\}")


@dataclass(frozen=True, slots=True)
class Referring:
    """A *column* of *table* whose values name objects as *reference* says."""

    table: str
    column: str
    reference: Reference

    @property
    def place(self) -> str:
        """Name it."""
        return f"{self.table}.{self.column}"

    def key(self, alias: str, customer: str) -> str:
        """Give the SQL for the object's key, a bytea: null where the value names none of this bucket.

        *customer* is SQL, for the customer whose row it is.
        """
        value = self._value(alias)
        parts = [_part(found, value, customer) for found in _cut(self.reference.key)]
        if self.reference.url is None:
            return f"convert_to({' || '.join(parts)}, 'UTF8')"
        return " || ".join(f"convert_to({part}, 'UTF8')" if part != value else _decoded(part) for part in parts)

    def bucket(self, customer: str) -> str:
        """Give the SQL for the bucket's name."""
        return " || ".join(_part(found, "", customer) for found in _cut(self.reference.bucket))

    def lies_in(self, name: str) -> bool:
        """Tell whether a hold that names a bucket, as itself or as counts do, may mean this one."""
        bucket = self.reference.bucket
        written = {reported(bucket), reported(f"objects.{bucket}")}
        return name in written or any(may_be(bucket, one) for one in (name, name.removeprefix("objects.")))

    def named(self, alias: str) -> str:
        """Give the condition under which the row *alias* names anything at all."""
        return f"{self._named(alias)} is not null"

    def _named(self, alias: str) -> str:
        text = f"{quoted(alias)}.{quoted(self.column)}::text"
        for word in self.reference.none:
            text = f"nullif({text}, {literal(word)})"
        return text

    def _value(self, alias: str) -> str:
        text, url = self._named(alias), self.reference.url
        if url is None:
            return text
        rest = f"split_part(split_part(substr({text}, {len(url) + 1}), '#', 1), '?', 1)"
        return f"(case when {text} ^@ {literal(url)} then {rest} end)"


def referring(map: DataMap) -> tuple[Referring, ...]:  # noqa: A002
    """Give every column of a customer's table whose values name objects."""
    return tuple(Referring(one.name, column, to) for one in map.tables for column, to in one.media.items())


def referring_of_nobody(map: DataMap) -> tuple[Referring, ...]:  # noqa: A002
    """Give those of the tables whose rows stay, whoever leaves."""
    return tuple(Referring(name, column, to) for name, some in map.shared_media.items() for column, to in some.items())


def may_be(one: str, other: str) -> bool:
    """Tell whether two names of buckets, in which the customer's id may stand as ``{customer}``, can be the same."""
    return _fits(one, other) or _fits(other, one)


def _fits(template: str, name: str) -> bool:
    return re.fullmatch(".+".join(re.escape(part) for part in template.split(CUSTOMER)), name) is not None


def _cut(template: str) -> Iterator[str]:
    at = 0
    for found in _PLACEHOLDER.finditer(template):
        if found.start() > at:
            yield template[at : found.start()]
        yield found.group()
        at = found.end()
    if at < len(template):
        yield template[at:]


def _part(part: str, value: str, customer: str) -> str:
    if part == CUSTOMER:
        return f"({customer})::text"
    found = _PLACEHOLDER.fullmatch(part)
    if found is None:
        return literal(part)
    start, stop = (int(text) if text else None for text in found.groups())
    if start is None and stop is None:
        return value
    if stop is None:
        return f"substr({value}, {(start or 0) + 1})"
    return f"substr({value}, {(start or 0) + 1}, {max(stop - (start or 0), 0)})"


def _decoded(value: str) -> str:
    """Give the bytes of *value*, in which a per cent sign and two digits are a byte (RFC 3986, 2.1)."""
    return DECODED.format(value=value)


DECODED = """(
    select coalesce(string_agg(case when r.m[1] ~ '^%[0-9A-Fa-f]{{2}}$' then decode(substr(r.m[1], 2), 'hex')
                                    else convert_to(r.m[1], 'UTF8') end, ''::bytea order by r.n), ''::bytea)
      from regexp_matches({value}, '%[0-9A-Fa-f]{{2}}|[^%]+|%', 'g') with ordinality as r (m, n)
     where {value} is not null
    having {value} is not null
)"""
