"""What may change within a version of an event, and that everything else is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from shared.events.compatibility import breaches
from shared.events.documents import schema_of, schemas
from shared.events.event import Event
from shared.events.versions import Former, VersionError, read_any, read_former
from shared.events.vocabulary import Code, Count, Positive, Ref, Value

BASELINE = Path(__file__).parents[2] / "docs/events/schemas"


class Small(Value):
    """One kind of outcome."""

    kind: Literal["small"] = "small"
    rows: Count


class Large(Value):
    """Another kind of outcome."""

    kind: Literal["large"] = "large"


class Before(Value):
    """An event as it was published."""

    request: Ref
    reason: Literal["late", "early"]
    rows: Count
    parts: tuple[Small, ...]
    outcome: Annotated[Small | Large, Field(discriminator="kind")]
    note_id: Ref | None = None


def found(after: type[BaseModel]) -> tuple[str, ...]:
    return breaches(schema_of(Before, "Before", 1), schema_of(after, "Before", 1))


def changed(**fields: object) -> type[BaseModel]:
    """Give Before with some fields redeclared."""
    return type("Changed", (Before,), {"__annotations__": fields, "__module__": __name__, "__doc__": "Changed."})


@pytest.mark.parametrize("name", sorted(path.name for path in BASELINE.iterdir()))
def test_no_published_version_of_an_event_has_changed(name: str) -> None:
    """The committed schema is what others rely on: a model may only add optional fields to it."""
    event, version, _ = name.split(".")
    today = schemas().get((event, int(version.removeprefix("v"))))

    assert today is not None, f"{event} {version} can't be read any more: keep its model in FORMER"
    assert breaches(json.loads((BASELINE / name).read_text()), today) == ()


def test_nothing_changed_is_compatible() -> None:
    """The rule says nothing where there is nothing to say, and words of explanation may change."""

    class Explained(Before):
        """Said in other words."""

        rows: Count = Field(description="How many.")

    assert found(Before) == found(Explained) == ()


def test_an_optional_field_may_be_added() -> None:
    """At any level: older readers ignore it, newer readers do without it."""

    class LargerPart(Small):
        tables: Count | None = None

    class Added(Before):
        parts: tuple[LargerPart, ...]
        later: Ref | None = None

    assert found(Added) == ()


def test_a_removed_field_needs_a_new_version() -> None:
    """An older reader requires it, or misses what it said."""

    class Removed(Value):
        reason: Literal["late", "early"]
        rows: Count
        parts: tuple[Small, ...]
        outcome: Annotated[Small | Large, Field(discriminator="kind")]

    assert found(Removed) == (
        "note_id: removed: a removed or renamed field needs a new version",
        "request: removed: a removed or renamed field needs a new version",
    )


def test_a_new_required_field_needs_a_new_version() -> None:
    """What was published before does not have it."""
    assert found(changed(later=Ref)) == ("later: newly required: a required field needs a new version",)


def test_a_field_that_becomes_required_needs_a_new_version() -> None:
    """What was published before may lack it."""

    class Required(Before):
        note_id: Ref | None = Field()

    assert "note_id: newly required: a required field needs a new version" in found(Required)


def test_a_field_that_becomes_optional_needs_a_new_version() -> None:
    """Older readers bury an event that lacks it."""

    class Optional(Before):
        rows: Count = 0

    assert "rows: no longer required, but older readers require it: this needs a new version" in found(Optional)


def test_a_changed_pattern_needs_a_new_version() -> None:
    """Whether narrowed or widened can't be told from two patterns, and each breaks somebody."""
    assert [sentence[:34] for sentence in found(changed(request=Code))] == ["request: pattern changed from '^[A"]


def test_a_changed_type_needs_a_new_version() -> None:
    """A number is no longer what it was once it is a text."""
    assert "rows: type changed from 'integer' to 'string': what a field may hold needs a new version" in found(
        changed(rows=Ref)
    )


def test_a_narrowed_number_needs_a_new_version() -> None:
    """Nought was allowed once."""
    assert found(changed(rows=Positive)) == (
        "rows: minimum changed from 0 to 1: what a field may hold needs a new version",
    )


def test_a_dropped_or_added_value_needs_a_new_version() -> None:
    """Dropped: what was said can't be read. Added: older readers can't read it."""
    assert found(changed(reason=Literal["late", "never"])) == (
        "reason: dropped the value 'early': what was said once must stay readable, or needs a new version",
        "reason: added the value 'never', which older readers can't read: this needs a new version",
    )
    assert found(changed(reason=Literal["late"])) != ()


def test_a_dropped_or_added_kind_needs_a_new_version() -> None:
    """The choices of a union are values too."""

    class Huge(Value):
        kind: Literal["huge"] = "huge"

    union = Annotated[Small | Huge, Field(discriminator="kind")]
    assert found(changed(outcome=union)) == (
        "outcome: added the choice 'huge', which older readers can't read: this needs a new version",
        "outcome: dropped the choice 'large': what was said once must stay readable, or needs a new version",
    )


def test_a_change_deep_inside_is_named_by_its_path() -> None:
    """In lists and in unions alike."""

    class Narrow(Small):
        rows: Positive

    assert found(changed(parts=tuple[Narrow, ...])) == (
        "parts[].rows: minimum changed from 0 to 1: what a field may hold needs a new version",
    )
    assert found(changed(outcome=Annotated[Narrow | Large, Field(discriminator="kind")])) == (
        "outcome.rows: minimum changed from 0 to 1: what a field may hold needs a new version",
    )


# Older versions


class DoorClosedV1(Event):
    """The first version: a moment was missing."""

    door: Code

    @classmethod
    def type(cls) -> str:
        return "DoorClosed"


class DoorClosedV2(DoorClosedV1):
    """The second version counts."""

    version: ClassVar[int] = 2
    times: Count


class DoorClosed(DoorClosedV2):
    """Today's version calls it otherwise."""

    version: ClassVar[int] = 3
    closed_times: Count


FORMERS = {
    ("DoorClosed", 1): Former(DoorClosedV1, lambda old: DoorClosedV2(**old.model_dump(), times=1)),
    ("DoorClosed", 2): Former(DoorClosedV2, lambda old: DoorClosed(**old.model_dump(), closed_times=old.times)),
}


def test_an_older_version_is_raised_step_by_step() -> None:
    """Each version only knows the next one."""
    first = read_former(DoorClosed, 1, b'{"customer_id":"acme","door":"front"}', FORMERS)
    second = read_former(DoorClosed, 2, b'{"customer_id":"acme","door":"front","times":4}', FORMERS)

    assert first == DoorClosed(customer_id="acme", door="front", times=1, closed_times=1)
    assert second.closed_times == 4


def test_an_older_version_is_checked_by_its_own_model() -> None:
    """A wrong field of an old event is a wrong field of that version."""
    with pytest.raises(ValidationError, match="times"):
        read_former(DoorClosed, 2, b'{"customer_id":"acme","door":"front"}', FORMERS)


def test_a_version_without_its_model_is_said_to_be_unreadable() -> None:
    """It is never read as another version."""
    with pytest.raises(VersionError, match="version 1 can no longer be read"):
        read_former(DoorClosed, 1, b"{}", {})


def test_plain_data_is_the_latest_version_that_it_fits() -> None:
    """Data that names no version is today's if it can be, and else what the latest older version makes of it."""
    today = {"customer_id": "acme", "door": "front", "times": 4, "closed_times": 5}
    second = {"customer_id": "acme", "door": "front", "times": 4}

    assert read_any(DoorClosed, today, json.dumps(today).encode(), FORMERS).closed_times == 5
    assert read_any(DoorClosed, second, json.dumps(second).encode(), FORMERS).closed_times == 4


def test_plain_data_that_could_mean_two_things_asks_for_its_version() -> None:
    """Where an older version has the very same fields and meant something else by them, nothing is guessed."""
    doubled = {("DoorClosed", 2): Former(DoorClosed, lambda old: old.model_copy(update={"times": old.times * 2}))}
    data = {"customer_id": "acme", "door": "front", "times": 4, "closed_times": 5}

    with pytest.raises(VersionError, match="version 2 means something else"):
        read_any(DoorClosed, data, json.dumps(data).encode(), doubled)
