"""Puts the Open University Learning Analytics Dataset into the demo platform, as one customer's real data.

The data set (J. Kuzilek, M. Hlosta, Z. Zdrahal, Scientific Data 4, 2017; CC BY 4.0) is read where it lies, as a stream.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

import asyncpg

from .customer import BEGINNING
from .generate import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shared.datamap.live import Connection

    Convert = Callable[[str], object]

BATCH = 20_000
# A bystander gets only the beginning of each file: enough for rows that must not be touched.
BYSTANDERS_ROWS = 500


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the data set and how its columns are read; other columns are texts."""

    table: str
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    decimals: tuple[str, ...] = ()


# In the order of foreign keys, parents first.
SOURCES = (
    Source("course", numbers=("module_presentation_length",)),
    Source("student", numbers=("id_student", "num_of_prev_attempts", "studied_credits"), flags=("disability",)),
    Source("student_registration", numbers=("id_student", "date_registration", "date_unregistration")),
    Source("assessment", numbers=("id_assessment", "date"), decimals=("weight",)),
    Source("student_assessment", ("id_assessment", "id_student", "date_submitted", "score"), flags=("is_banked",)),
    Source("vle", numbers=("id_site", "week_from", "week_to")),
)


async def load(dsn: str, folder: Path, customer: str, bystanders: Sequence[str] = ()) -> dict[str, int]:
    """Make *customer* the owner of all rows in *folder*, give each of *bystanders* some of them; count per table.

    The database has the platform's tables; the data set's own are made here. The customers that are
    not there yet are added.
    """
    await create(dsn, "schema-oulad.sql")
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            made = await _load(connection, folder, customer, None)
            for bystander in bystanders:
                made += await _load(connection, folder, bystander, BYSTANDERS_ROWS)
            return dict(made)
    finally:
        await connection.close()


async def _load(connection: Connection, folder: Path, customer: str, most: int | None) -> Counter[str]:
    await connection.execute(CUSTOMER, customer, customer.title(), BEGINNING)
    made = Counter[str]()
    assessments: dict[object, int] = {}
    for source in SOURCES:
        with (folder / f"{source.table}.csv").open(newline="", encoding="utf-8") as file:
            rows = _rows(csv.DictReader(islice(file, most)), source)
            owned = _with_owner(rows, source, customer, assessments)
            made[source.table] += await _copy(connection, source.table, owned)
        if source.table == "assessment":
            numbers = await connection.fetch(ASSESSMENTS, customer)
            assessments = {row["id_assessment"]: row["id"] for row in numbers}
    return made


def _rows(lines: Iterable[Mapping[str, str]], source: Source) -> Iterator[dict[str, object]]:
    convert: dict[str, Convert] = dict.fromkeys(source.numbers, int)
    convert |= dict.fromkeys(source.flags, "True".__eq__)
    convert |= dict.fromkeys(source.decimals, Decimal)
    for line in lines:
        yield {name: convert.get(name, str)(text) if text else None for name, text in line.items()}


def _with_owner(
    rows: Iterator[dict[str, object]], source: Source, customer: str, assessments: Mapping[object, int]
) -> Iterator[dict[str, object]]:
    for row in rows:
        if source.table == "student_assessment":
            yield {"assessment_id": assessments[row.pop("id_assessment")]} | row
        else:
            yield {"customer_id": customer} | row


async def _copy(connection: Connection, table: str, rows: Iterator[dict[str, object]]) -> int:
    count = 0
    while batch := list(islice(rows, BATCH)):
        values = [tuple(row.values()) for row in batch]
        await connection.copy_records_to_table(table, records=values, columns=list(batch[0]))
        count += len(batch)
    return count


CUSTOMER = """
    insert into customers (id, name, time_zone, created_at) values ($1, $2, 'Europe/London', $3)
    on conflict do nothing
"""

# The numbers that the table gave to the data set's own, which two customers share.
ASSESSMENTS = "select id_assessment, id from assessment where customer_id = $1"
