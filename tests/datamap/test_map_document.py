"""What may be written in a data map, and what is said of a mistake."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from shared.datamap.model import ByColumn, ByPath, DataMap, Hop, MapError, load, parse
from tests.datamap.map_school import SCHOOL


def test_a_map_is_read(school: DataMap) -> None:
    """Tables, owners, what is left out, exemptions and the file's digest are all there."""
    tables = {table.name: table for table in school.tables}

    assert list(tables) == ["customers", "users", "enrolments", "marks"]
    assert tables["users"].owner == ByColumn("customer_id")
    assert tables["users"].left_out == {"password_hash": "secret"}
    assert tables["enrolments"].owner == ByPath((Hop(("user_id",), "users", ("id",)),))
    assert school.exempt == {"migrations": "schema history"}
    assert school.sha256 == sha256(SCHOOL).hexdigest()


MISTAKES = {
    "no owner": (b", owner: {column: id}", b"", "tables.customers.owner"),
    "a null owner": (b"owner: {column: id}", b"owner: null", "tables.customers.owner"),
    "a null owner column": (b"{column: id}", b"{column: null}", "tables.customers.owner.column"),
    "an empty owner column": (b"{column: id}", b"{column: ''}", "tables.customers.owner.column"),
    "an empty path": (b"[{column: user_id, to: users.id}]", b"[]", "tables.enrolments.owner.path"),
    "an owner of two kinds": (b"{column: id}", b"{column: id, path: []}", "tables.customers.owner.path"),
    "an unknown category": (b"category: report", b"category: other", "tables.marks.category"),
    "no category": (b"category: report, ", b"", "tables.marks.category"),
    "an exemption without a reason": (b'"schema history"', b"''", "tables.migrations.exempt"),
    "a null exemption": (b'"schema history"', b"null", "tables.migrations.exempt"),
    "an exemption with an owner": (b'{exempt: "', b'{owner: {column: id}, exempt: "', "tables.migrations.owner"),
    "an unknown word": (b"leave_out", b"leave_uot", "tables.users.leave_uot"),
    "a column left out without a reason": (b'"secret"', b"", "tables.users.leave_out.password_hash"),
    "a path to an exempt table": (b"to: enrolments.id", b"to: migrations.version", "tables.marks.owner.path"),
    "a path in a ring": (b"to: users.id", b"to: marks.enrolment_id", "tables.enrolments.owner.path"),
    "another version": (b"version: 1", b"version: 2", "version"),
    "another tenancy": (b"tenancy: rows", b"tenancy: database", "tenancy"),
    "a table written twice": (b"  marks:  ", b"  users:  ", "line 9"),
    "no YAML": (b"version: 1", b"version: [", "line 4"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_by_its_place(mistake: str) -> None:
    """No mistake is read as something else, and the error says the file, the place and what to do."""
    right, wrong, where = MISTAKES[mistake]
    assert right in SCHOOL

    with pytest.raises(MapError) as caught:
        parse(SCHOOL.replace(right, wrong), "school.yaml")

    assert caught.value.where == where
    assert caught.value.file == "school.yaml"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "prefix", ["", "/", "{customer}", "media/", "{customer}x/", "{other}/", "{customer}/{customer}/"]
)
def test_a_prefix_that_is_not_one_customers_alone_is_refused(prefix: str) -> None:
    """A bucket's prefix has the customer as a whole step of the path, so that "a" is never the beginning of "ab"."""
    buckets = f"buckets:\n  media: {{bucket: offramp-media, prefix: '{prefix}', category: course}}\n"

    with pytest.raises(MapError) as caught:
        parse(SCHOOL + buckets.encode(), "school.yaml")

    assert caught.value.where == "buckets.media.prefix"


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    """A map that is not there is told with its path."""
    with pytest.raises(MapError, match=r"gone\.yaml: at the file: it can't be read"):
        load(tmp_path / "gone.yaml")
