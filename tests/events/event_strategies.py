"""Hypothesis strategies for every event, made from the vocabulary itself."""

from __future__ import annotations

from datetime import UTC, date
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from zoneinfo import available_timezones

from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic.types import StringConstraints

from shared.decision import Fact
from shared.events.catalogue import EVENTS
from shared.events.event import Event
from shared.events.platform import ContractRegistered, OpenEnded
from shared.events.vocabulary import _known_country

_ASCII = st.characters(max_codepoint=127)
MOMENTS = st.datetimes(timezones=st.just(UTC))
IDS = st.from_regex(r"[!-?A-~]{1,255}", fullmatch=True)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Give values of one kind of the vocabulary, of a part of an event, or of several of them."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin in (Union, UnionType):
        return st.one_of(*(values_of(one) for one in arguments))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return values_of_model(annotation)
    return {NoneType: st.none(), date: st.dates(), AwareDatetime: MOMENTS}[annotation]


def values_of_model(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Give instances of *model*, with every field drawn."""
    hints = get_type_hints(model, include_extras=True)
    drawn = {name: values_of(hints[name]) for name in model.model_fields}
    if model is not ContractRegistered:
        return st.builds(model, **drawn)
    # Only an open-ended contract has no end, and any other ends after it began.
    days = st.dates(date(1900, 1, 1), date(2999, 12, 31))
    ends = {"period_start": days, "period_end": st.none(), "renewal": st.just(OpenEnded())}
    renewed = drawn["renewal"].filter(lambda one: not isinstance(one, OpenEnded))
    with_end = st.tuples(days, days).flatmap(
        lambda some: st.builds(
            model, **{**drawn, "period_start": st.just(min(some)), "period_end": st.just(max(some)), "renewal": renewed}
        )
    )
    return st.one_of(st.builds(model, **{**drawn, **ends}), with_end)


def facts(event_type: type[Event]) -> st.SearchStrategy[Fact]:
    """Give facts of one type of event, as anybody might publish them."""
    return st.builds(Fact, IDS, IDS, MOMENTS, values_of_model(event_type))


def any_fact() -> st.SearchStrategy[Fact]:
    """Give facts of every type of event."""
    return st.sampled_from(sorted(EVENTS)).flatmap(lambda name: facts(EVENTS[name]))


def _annotated(base: Any, marks: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    for mark in marks:
        if isinstance(mark, StringConstraints):
            assert isinstance(mark.pattern, str)
            alphabet = None if "§" in mark.pattern else _ASCII
            return st.from_regex(mark.pattern, fullmatch=True, alphabet=alphabet)
        if isinstance(mark, FieldInfo) and base is int:
            least = next(one.ge for one in mark.metadata if hasattr(one, "ge"))
            most = min(one.le for one in mark.metadata if hasattr(one, "le"))
            return st.integers(least, most)
        if isinstance(mark, FieldInfo) and get_origin(base) is tuple:
            least = next(one.min_length for one in mark.metadata if hasattr(one, "min_length"))
            return st.lists(values_of(get_args(base)[0]), min_size=least, max_size=least + 2).map(tuple)
        if isinstance(mark, AfterValidator) and mark.func is _known_country:
            return st.sampled_from(("SE", "DE", "US", "AX"))
    if base is str:
        return st.sampled_from(sorted(available_timezones()))
    return values_of(base)
