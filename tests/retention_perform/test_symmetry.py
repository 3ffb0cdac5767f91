"""The certificate says of each bucket how the last export stands beside the deletion, and of what it can't say it."""

from __future__ import annotations

import pytest
from retention_facts import answer, exported, facts, reading

from services.retention.certificate import certificate_of
from services.retention.symmetry import SymmetryPart, SymmetryRow
from services.retention.tasks import HolderAnswer, HolderReading, TableReading
from shared.events.vocabulary import TableCount


def bucket(table: str, holder: str, versions: int, objects: int | None, shared: int = 0) -> HolderReading:
    """Give what was read of a bucket."""
    read = TableReading(table=table, own=versions, others=7, fingerprint="ab", objects=objects, shared=shared)
    return HolderReading(holder=holder, tables=(read,))


def went(table: str, holder: str, versions: int) -> HolderAnswer:
    """Say that so many versions of a bucket are gone."""
    counts = {"deleted": (TableCount(table=table, rows=versions),), "remaining": (TableCount(table=table, rows=0),)}
    return answer(holder=holder).model_copy(update=counts)


def by_prefix(before: int | None, versions: int = 9) -> dict[str, object]:
    """Delete a bucket in which so many objects, of more versions, lay under the customer's prefix."""
    return {
        "before": (reading(2), bucket("media", "store", versions, before)),
        "after": (reading(0), bucket("media", "store", 0, None if before is None else 0)),
        "answers": (answer(), went("media", "store", versions)),
    }


def symmetry(objects: int | None, all_objects: int | None = None, **changed: object) -> SymmetryPart:
    """Compare with an export that had so many objects of the bucket ``media``; None: it doesn't tell by bucket."""
    told = () if objects is None else (TableCount(table="media", rows=objects),)
    everything = TableCount(table="media", rows=all_objects if objects is None and all_objects else objects or 0)
    export = exported(2).model_copy(update={"tables": (*exported(2).tables[:-1], everything), "objects": told})
    found = certificate_of(facts(exported=export, **changed)).symmetry
    assert found is not None
    return found


def row(*, exported: int, deleted: int, since: int = 0, before: int = 0, **more: int) -> SymmetryRow:
    return SymmetryRow(
        table="media", exported=exported, deleted=deleted, written_since=since, gone_before=before, **more
    )


@pytest.mark.parametrize(("there", "since", "gone"), [(5, 0, 0), (7, 2, 0), (4, 0, 1)])
def test_objects_in_the_export_beside_those_that_went(there: int, since: int, gone: int) -> None:
    """Objects, not versions: each once; what was put there since, or was gone before, is named."""
    found = symmetry(5, **by_prefix(there))

    assert found.objects == (row(exported=5, deleted=there, since=since, before=gone),)
    assert (found.objects_not_compared, found.not_exported) == (0, ())
    assert [one.table for one in found.tables] == ["users"]


def test_what_stays_for_a_law_or_for_others_is_named() -> None:
    """Of nine exported objects four went, three stay with kept rows, one since others refer to it; one was gone."""
    before = bucket("objects.media", "store", 12, 7, shared=1)
    after = bucket("objects.media", "store", 0, 3)
    gone = {"before": (reading(2), before), "after": (reading(0), after)}
    found = symmetry(9, **gone, answers=(answer(), went("objects.media", "store", 6)))

    assert found.objects == (row(exported=9, deleted=4, before=1, retained=3, shared=1),)
    assert found.not_exported == ()


def test_a_bucket_of_which_objects_go_by_prefix_and_by_rows_is_one() -> None:
    """Those of both are added up, since the export counts a bucket's."""
    before = reading(2), bucket("media", "store", 9, 5), bucket("objects.media", "shop", 3, 2)
    after = reading(0), bucket("media", "store", 0, 0), bucket("objects.media", "shop", 0, 0)
    answers = answer(), went("media", "store", 9), went("objects.media", "shop", 3)

    assert symmetry(7, before=before, after=after, answers=answers).objects == (row(exported=7, deleted=7),)


def test_a_bucket_whose_name_begins_with_a_digit() -> None:
    """Under both names in which it is told."""
    before, after = bucket("objects.3d-models", "shop", 3, 2), bucket("objects.3d-models", "shop", 0, 0)
    export = exported(2).model_copy(
        update={
            "tables": (*exported(2).tables[:-1], TableCount(table="media", rows=2)),
            "objects": (TableCount(table="_3d-models", rows=2),),
        }
    )
    answers = answer(), went("objects.3d-models", "shop", 3)
    told = facts(exported=export, before=(reading(2), before), after=(reading(0), after), answers=answers)
    found = certificate_of(told).symmetry

    assert found is not None
    assert [(one.exported, one.deleted) for one in found.objects] == [(2, 2)]
    assert found.not_exported == ()


@pytest.mark.parametrize(("told", "read"), [(None, 5), (5, None)])
def test_what_was_not_compared_is_said(told: int | None, read: int | None) -> None:
    """An export that doesn't tell by bucket, or a bucket that an older release read: nothing is said to be equal."""
    found = symmetry(told, 5, **by_prefix(read))

    assert (found.objects, found.objects_not_compared, found.not_exported) == ((), 5, ())


def test_what_the_export_had_nothing_of_is_named() -> None:
    """The archives themselves, and what wasn't asked for, went as well: how many versions, or rows."""
    archives = bucket("exports", "archives", 4, 2)
    gone = by_prefix(5)
    for key, more in (("before", archives), ("after", bucket("exports", "archives", 0, 0))):
        gone[key] = (*gone[key], more)  # type: ignore[misc]
    more = answer().model_copy(
        update={"deleted": (TableCount(table="users", rows=2), TableCount(table="logs", rows=3))}
    )
    found = symmetry(5, **{**gone, "answers": (more, went("media", "store", 9), went("exports", "archives", 4))})

    assert [(one.table, one.rows) for one in found.not_exported] == [("exports", 4), ("logs", 3)]
