"""The list of who holds customers' data is read whole, or its mistake is named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from deploy.platform.generate import HERE
from shared.datamap.model import load
from shared.holder.declaration import (
    AccessHolder,
    HoldersError,
    PostgresHolder,
    S3Holder,
    load_access_holders,
    load_holders,
)

DECLARED = HERE.parent / "holders.yaml"


def test_the_demos_holders_are_declared() -> None:
    """Database, media and archives; the archives are answered for by the exporter."""
    database, media, archives = load_holders(DECLARED)

    assert isinstance(database, PostgresHolder)
    assert load(database.map).system == "platform"
    assert database.answers_within == timedelta(days=1)
    assert isinstance(media, S3Holder)
    assert media.prefix_of("acme") == "acme/"
    assert [one.answered_by for one in (database, media, archives)] == ["holder", "holder", "exporter"]


def test_the_real_datas_holders_use_its_map() -> None:
    """With the OULAD data set in it the platform has more tables, and the map knows them."""
    database = load_holders(DECLARED.with_name("holders-oulad.yaml"))[0]

    assert isinstance(database, PostgresHolder)
    assert "student_assessment" in {table.name for table in load(database.map).tables}


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ("answers_within: P1D", "answers_within: PT0S", "holders.platform-database.answers_within"),
        ("answers_within: P1D", "answers_within: soon", "holders.platform-database.answers_within"),
        ("kind: s3", "kind: tape", "holders.platform-media"),
        ("database: platform", "", "holders.platform-database.database"),
        ('prefix: "{customer}/"', 'prefix: ""', "holders.platform-media.prefix"),
        ("version: 1", "version: 2", "version"),
        ("platform-media", "platform-database", "written twice"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, right: str, wrong: str, where: str) -> None:
    """No holder is forgotten and no value is guessed."""
    file = tmp_path / "holders.yaml"
    file.write_text(DECLARED.read_text().replace(right, wrong))

    with pytest.raises(HoldersError) as caught:
        load_holders(file)

    assert where in str(caught.value)


def test_who_only_ends_access(tmp_path: Path) -> None:
    """A service that keeps no data is declared with who answers for it, and isn't among those that are read."""
    file = tmp_path / "holders.yaml"
    said = "  single-sign-on: { kind: access, answered_by: accounts, answers_within: P1D }\n"
    file.write_text(DECLARED.read_text() + said)

    assert load_access_holders(file) == (AccessHolder("single-sign-on", timedelta(days=1), "accounts"),)
    assert len(load_holders(file)) == 3
    file.write_text(file.read_text().replace("answered_by: accounts, ", ""))
    with pytest.raises(HoldersError, match="answered_by"):
        load_access_holders(file)
