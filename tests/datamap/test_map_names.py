"""Names of tables, whatever is in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.datamap.names import canonical, named, parts, reported, table_and_column
from shared.events.vocabulary import TableName

identifiers = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=63)


@given(schema=identifiers, table=identifiers)
def test_a_name_is_read_as_it_was_written(schema: str, table: str) -> None:
    """Dots, quotes and capitals in a schema's or a table's name are only parts of it."""
    assert parts(named(schema, table)) == (schema, table)
    assert canonical(named(schema, table)) == named(schema, table)


@given(table=identifiers, column=identifiers)
def test_a_column_is_told_from_its_table(table: str, column: str) -> None:
    """The last part of a name is the column."""
    quoted = '"' + column.replace('"', '""') + '"'

    assert table_and_column(f"{named('public', table)}.{quoted}") == (named("public", table), column)


@given(schema=identifiers, table=identifiers)
def test_any_name_can_be_reported(schema: str, table: str) -> None:
    """An event can carry every table's name."""
    name = reported(named(schema, table))

    assert TypeAdapter(TableName).validate_python(name) == name
    assert reported("users") == "users"
