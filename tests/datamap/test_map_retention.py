"""What a data map says of statutory retention is complete, fits the schema, and is told in the register of formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from shared.datamap import retain_document
from shared.datamap.live import check
from shared.datamap.model import MapError, parse
from shared.datamap.register import files, register
from shared.events.vocabulary import Citation
from tests.datamap.map_school import SCHOOL

if TYPE_CHECKING:
    import asyncpg

    from shared.datamap.model import DataMap

    Database = asyncpg.Connection[asyncpg.Record]

RULE = {
    "basis": '"SFS 1999:1078 7:2"',
    "years": "7",
    "time_zone": "Europe/Stockholm",
    "counted_from": "{day: given_on}",
}
FEES = """
  fees:
    category: report
    owner: {{path: [{{column: user_id, to: users.id}}]}}
    retain: {{{retain}}}
    minimise: {{{minimise}}}
"""


def school(minimise: str = "", more: str = "", **changed: str | None) -> DataMap:
    rule = {word: value for word, value in {**RULE, **changed}.items() if value is not None}
    fees = FEES.format(retain=", ".join(f"{word}: {value}" for word, value in rule.items()), minimise=minimise)
    return parse(SCHOOL + fees.encode() + more.encode(), "school.yaml")


SCHEMA = """
    create table fees (id int primary key, user_id int not null references users, given_on date, said text,
        paid boolean, number text unique, rank int not null, sum int, doubled int generated always as (sum * 2) stored);
    create index on fees (user_id);
"""


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"basis": None}, "basis"),
        ({"basis": '"Bokföringslagen"'}, "basis"),
        ({"years": None}, "years"),
        ({"years": "0"}, "years"),
        ({"years": "2555"}, "years"),
        ({"time_zone": None}, "time_zone"),
        ({"time_zone": "Stockholm"}, "time_zone"),
        ({"counted_from": None}, "counted_from"),
        ({"counted_from": "contract_end"}, "counted_from"),
        ({"counted_from": "{}"}, "counted_from"),
        ({"counted_from": "{day: a, end_of_year: b}"}, "counted_from"),
        ({"counted_from": "{end_of_fiscal_year: a}"}, "counted_from"),
        ({"counted_from": '{end_of_fiscal_year: a, ending: "02-30"}'}, "counted_from"),
        ({"counted_from": '{end_of_year: a, ending: "12-31"}'}, "counted_from"),
        ({"until": "2033"}, "until"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_none(changed: dict[str, str | None], says: str) -> None:
    """Nothing is assumed in the place of a word: how long the law keeps something has no default."""
    with pytest.raises(MapError, match=says):
        school(**changed)


def test_emptying_where_no_law_keeps_anything_is_a_mistake() -> None:
    """It would never be done."""
    with pytest.raises(MapError, match="no law keeps"):
        parse(SCHOOL.replace(b"{column: customer_id},", b"{column: customer_id}, minimise: {t: null},"), "school.yaml")


NAMED = '{k: {bucket: files, key: "{value}", none: ["-"]}}'
PAPERS = f"  papers: {{category: report, owner: {{column: c}}, MINIMISE media: {NAMED}}}"
PREFIX = '\nbuckets:\n  media: {bucket: files, prefix: "{customer}/", category: course}\n'


def test_objects_of_kept_rows_in_a_bucket_that_is_emptied_by_prefix_are_refused() -> None:
    """Who deletes by a prefix can't know which objects a kept row names."""
    papers = PAPERS.replace("MINIMISE", "")
    with pytest.raises(MapError, match=r"a law may keep what papers\.k refers to in files"):
        school(more=papers + PREFIX)
    of_each = papers.replace("bucket: files", 'bucket: "fi{customer}"')
    with pytest.raises(MapError, match=r"a law may keep what papers\.k refers to"):
        school(more=of_each + PREFIX)
    # What is emptied names nothing afterwards, and another bucket is no obstacle.
    school(more=PAPERS.replace("MINIMISE", "minimise: {k: null},") + PREFIX)
    school(more=papers + PREFIX.replace("bucket: files", "bucket: films"))


def test_a_column_that_names_objects_is_emptied_to_what_names_none() -> None:
    """Else the kept row would name another object."""
    for value in ("null", '"-"'):
        school(more=PAPERS.replace("MINIMISE", f"minimise: {{k: {value}}},"))
    for value in ('"x"', "0", "false", '""'):
        with pytest.raises(MapError, match="it would name an object"):
            school(more=PAPERS.replace("MINIMISE", f"minimise: {{k: {value}}},"))


def test_the_basis_is_what_events_can_carry() -> None:
    """The map's pattern is that of an event's citation."""
    assert get_args(retain_document.Basis)[1] == get_args(Citation)[1]


@pytest.mark.parametrize(
    ("changed", "kind", "place"),
    [
        ({"counted_from": "{day: payed_on}"}, "vanished_column", "fees.payed_on"),
        ({"counted_from": "{day: said}"}, "retained_date", "fees.said"),
        ({"counted_from": "{day: rank}"}, "retained_date", "fees.rank"),
        ({"where": '"{row}.nothing"'}, "retained_date", "fees"),
        ({"where": '"{row}.said"'}, "retained_date", "fees"),
        ({"minimise": "nothing: null"}, "vanished_column", "fees.nothing"),
        ({"minimise": "rank: null"}, "not_minimisable", "fees.rank"),
        ({"minimise": 'number: "-"'}, "not_minimisable", "fees.number"),
        ({"minimise": "user_id: null"}, "not_minimisable", "fees.user_id"),
        ({"minimise": "given_on: null"}, "not_minimisable", "fees.given_on"),
        ({"minimise": "doubled: null"}, "not_minimisable", "fees.doubled"),
        ({"minimise": 'paid: "no"'}, "not_minimisable", "fees.paid"),
        ({"minimise": "said: 0"}, "not_minimisable", "fees.said"),
        ({"minimise": "sum: null", "where": '"{row}.sum > 0"'}, "not_minimisable", "fees.sum"),
    ],
)
async def test_what_the_schema_does_not_let_it_do_is_found(
    database: Database, changed: dict[str, str], kind: str, place: str
) -> None:
    """By name, and it stops: a deletion makes the same check."""
    await database.execute(SCHEMA)
    found = [(one.kind, one.place) for one in await check(database, school(**changed)) if one.stops]

    # The server, too, refuses a condition about such a column.
    assert found[0] == (kind, place)


async def test_what_stays_with_kept_rows_is_warned_of(database: Database) -> None:
    """Rows that a kept one refers to stay too; unless the map empties them it is said, and it stops nothing."""
    await database.execute(SCHEMA)
    fitting = school(minimise="said: null, paid: false, sum: 0, number: null")
    found = await check(database, fitting)

    assert {(one.kind, one.place, one.stops) for one in found} == {
        ("retained_needs", "customers", False),
        ("retained_needs", "users", False),
    }


def test_the_register_of_formats_says_it() -> None:
    """For machines and on both pages; of a part of the rows it says that it is a part."""
    written = files(register(school(), [], {}))
    part = files(register(school(where='"{row}.sum > 0"'), [], {}))

    assert '"basis": "SFS 1999:1078 7:2"' in written["register.json"]
    assert "Kept by law for 7 years" in written["register.en.html"]
    assert "Bevaras enligt lag i 7 år" in written["register.sv.html"]
    assert "Some rows are kept by law" in part["register.en.html"]
