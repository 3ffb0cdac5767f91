"""No event has room for a person: every field is of the vocabulary, and none is named like personal data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.types import StringConstraints

from shared.events import vocabulary
from shared.events.catalogue import INSTRUCTIONS
from shared.events.event import Event
from shared.events.versions import all_versions
from shared.events.vocabulary import Ref, Value

KINDS = {
    name: kind for name, kind in vars(vocabulary).items() if get_origin(kind) is Annotated and not name.startswith("_")
}
# Matched anywhere in a field's name, so that "surname" and "user_email" are found.
SUSPICIOUS = re.compile(
    r"name|mail|phone|mobile|address|street|postal|birth|gender|person|people|user|photo|picture|password|secret|token"
    r"|comment|message|description|salary|health|religion|nationality|passport|(^|_)(text|note|title|body|ip|age|dob|ssn)(_|$)"
)
EVERY_MODEL = [*all_versions().values(), *INSTRUCTIONS.values()]


def findings(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Name each field of *model*, at any depth, that could hold a person."""
    for name, annotation in get_type_hints(model, include_extras=True).items():
        if name in model.model_fields:
            field = f"{path}.{name}".removeprefix(".")
            if SUSPICIOUS.search(name):
                yield f"{field}: named like personal data"
            yield from kinds_of(annotation, field)


def kinds_of(annotation: Any, field: str) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in KINDS.values() or annotation is NoneType or annotation is Ellipsis:
        return
    if origin is Literal and all(re.fullmatch("[a-z_]+", value) for value in arguments):
        return
    if isinstance(annotation, type) and issubclass(annotation, Value):
        yield from findings(annotation, field)
    elif origin is Annotated and get_origin(arguments[0]) in (Union, UnionType):
        yield from kinds_of(arguments[0], field)
    elif origin in (tuple, Union, UnionType):
        for argument in arguments:
            yield from kinds_of(argument, field)
    else:
        yield f"{field}: not a kind of the vocabulary"


@pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda model: model.__name__)
def test_no_event_has_room_for_a_person(model: type[BaseModel]) -> None:
    """Every field of every version, at any depth, is an id, a code, a count, a digest, a moment or a place."""
    assert list(findings(model)) == []


class Contact(Value):
    """What no event may have in it."""

    who: str
    email_address: Ref


class PersonMoved(Event):
    """What no event may be."""

    name: str
    contacts: tuple[Contact, ...]
    anything: dict[str, Any] | None = None
    first: Annotated[Contact | None, "a mark"]


def test_a_field_of_free_text_is_found() -> None:
    """The check can fail: by the kind of a field, by its name, and deep inside."""
    assert list(findings(PersonMoved)) == [
        "name: named like personal data",
        "name: not a kind of the vocabulary",
        "contacts.who: not a kind of the vocabulary",
        "contacts.email_address: named like personal data",
        "anything: not a kind of the vocabulary",
        "first.who: not a kind of the vocabulary",
        "first.email_address: named like personal data",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_the_vocabulary_takes_an_address_or_a_line_of_text(kind: str) -> None:
    """An e-mail address, a full sentence and an empty text are turned down by every kind."""
    for text in ("ann@example.org", "Ann lives at home; call her.", "Zoë Ünal", "a\nb", ""):
        with pytest.raises(ValidationError):
            TypeAdapter(KINDS[kind]).validate_python(text)


def test_every_kind_of_text_is_bounded() -> None:
    """A text that has no end could hold anything: each pattern is anchored and says how long."""
    for kind in KINDS.values():
        for mark in get_args(kind)[1:]:
            if isinstance(mark, StringConstraints):
                assert re.fullmatch(r"\^.*\{\d+(,\d+)?\}\$", str(mark.pattern))
