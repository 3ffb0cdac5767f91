"""The customers whose export is measured: the demo platform's and the Open University's, as they are made elsewhere.

Chosen before anything was measured on them, and not to be changed, whatever the ratios say: a table that is tuned while
somebody looks at the ratios proves nothing. Both are whole customers under the product's own maps, with all tables,
columns, keys, indexes and ways to an owner, since that is what a user exports, and neither was made for this bench.

- ``platform``: what ``deploy.platform.generate`` makes, unaltered, with as many people as give about 1.5 million rows;
  a second customer of a tenth of the size has rows in the same tables. Half of its tables have jsonb, intervals or
  moments, as such platforms do.
- ``oulad``: the real data set, loaded by ``deploy.platform.oulad``; then every student ten times, each time under new
  numbers, with registrations and submissions: a university of ten times the size. Short rows of numbers and texts.

Media are left out of the maps, since psql reads none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import yaml

from deploy.platform import generate, oulad

CUSTOMER, BYSTANDER = "acme", "other"
# 14.7 rows a person: 1.5 million.
PEOPLE = 102_000
STUDENTS_TIMES = 10
# Where the data set lies, beside the checkout; without it only the invented customer is measured.
OULAD = Path(__file__).parents[2] / "shared" / "data" / "oulad"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of customer: its data map, and how an empty database is filled with *scale* times its rows."""

    name: str
    map: Path
    fill: Callable[[str, float], Awaitable[None]]


def kinds() -> tuple[Kind, ...]:
    """Give the kinds that can be measured here."""
    return (PLATFORM, UNIVERSITY) if OULAD.is_dir() else (PLATFORM,)


def map_of_tables(kind: Kind) -> str:
    """Give the map of *kind* without its media, as YAML."""
    declared: Mapping[str, object] = yaml.safe_load(kind.map.read_text())
    return yaml.safe_dump({key: value for key, value in declared.items() if key != "buckets"}, sort_keys=False)


async def _platform(dsn: str, scale: float) -> None:
    people = max(int(PEOPLE * scale), 10)
    await generate.create(dsn)
    await generate.generate(dsn, [CUSTOMER], users=people)
    await generate.generate(dsn, [BYSTANDER], users=people // 10)
    await _run(dsn, SETTLE)


async def _university(dsn: str, scale: float) -> None:
    await generate.create(dsn)
    await oulad.load(dsn, OULAD, CUSTOMER, [BYSTANDER])
    await _run(dsn, MULTIPLY.format(times=max(round(STUDENTS_TIMES * scale), 1), customer=CUSTOMER))
    await _run(dsn, SETTLE)


async def _run(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in filter(str.strip, statements.split(";\n")):
            await connection.execute(statement)
    finally:
        await connection.close()


PLATFORM = Kind("platform", generate.HERE / "map.yaml", _platform)
UNIVERSITY = Kind("oulad", generate.HERE / "map-oulad.yaml", _university)

# name: every student again under new numbers; the keys hold, so checking each row's would only cost time
MULTIPLY = """
    set session_replication_role = replica;
    insert into student
    select customer_id, code_module, code_presentation, id_student + n * 10000000, gender, region, highest_education,
           imd_band, age_band, num_of_prev_attempts, studied_credits, disability, final_result
      from generate_series(1, {times} - 1) as n, student
     where customer_id = '{customer}';
    insert into student_registration
    select customer_id, code_module, code_presentation, id_student + n * 10000000, date_registration,
           date_unregistration
      from generate_series(1, {times} - 1) as n, student_registration
     where customer_id = '{customer}';
    insert into student_assessment
    select assessment_id, s.id_student + n * 10000000, date_submitted, is_banked, score
      from generate_series(1, {times} - 1) as n, student_assessment as s join assessment as a on a.id = s.assessment_id
     where a.customer_id = '{customer}';
"""

# name: as a database is that has been in use for a while
SETTLE = """
    vacuum analyze;
    checkpoint;
"""
