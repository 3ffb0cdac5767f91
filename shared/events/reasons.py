"""Say which fields of an event are wrong, by their path, and never what was in them: it could be personal data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from .versions import FORMER

_MOST_NAMED = 10
_MOMENT = "must be a moment with a time zone, as 2026-01-31T12:00:00Z"
_DAY = "must be a date, as 2026-01-31"

# By pydantic's error type. pydantic's own messages are not used: some of them quote the value.
_SENTENCES = {
    "missing": "field required",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "timezone_aware": _MOMENT,
    "not_written_out": "must be written out, as 2026-01-31 or 2026-01-31T12:00:00Z",
    "out_of_range": "must lie in the years 1 to 9999",
    "unknown_country": "must be a country by ISO 3166-1 whose holidays are known, as SE",
    "without_end": "field required, unless renewal is open_ended",
    "with_end": "must be null where renewal is open_ended",
    "before_its_start": "must not lie before period_start",
    "no_years_of_a_contract": "must lie in the years 1900 to 2999; one without an end has none, and renewal open_ended",
    "unknown_zone": "must be an IANA time zone, as Europe/Stockholm",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "union_tag_not_found": "kind required",
    "union_tag_invalid": "of no known kind",
    "json_invalid": "nested too deeply",
}
# These name a limit that stands in the model, by a key of the error's context.
_LIMITS = {
    "string_pattern_mismatch": ("must match", "pattern"),
    "literal_error": ("must be", "expected"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than_equal": ("must be at most", "le"),
    "too_short": ("must be so many at least:", "min_length"),
    "too_long": ("must be so many at most:", "max_length"),
}


def reason(model: type[BaseModel], error: ValidationError) -> str:
    """Name every wrong field of *error*, a failure to read *model*: ``renewal.months: field required; …``."""
    found = error.errors(include_url=False, include_input=False)
    named = [f"{_path(model, one['loc'])}: {_sentence(one['type'], one.get('ctx', {}))}" for one in found[:_MOST_NAMED]]
    if len(found) > _MOST_NAMED:
        named.append(f"and {len(found) - _MOST_NAMED} more")
    return "; ".join(named)


def _sentence(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"{words} {context[limit]}"
    return _SENTENCES.get(kind, f"wrong ({kind})")


def _path(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        # pydantic also names the kind of a union that it tried, which is no field of the JSON.
        elif step in _fields(model):
            path += f".{step}"
    return path.removeprefix(".") or "data"


@cache
def _fields(model: type[BaseModel]) -> frozenset[str]:
    """Name the fields of *model* at any depth, and of its former versions, one of which may have been read."""
    former = (one.model for (name, _), one in FORMER.items() if name == getattr(model, "type", lambda: "")())
    schemas = [one.model_json_schema() for one in (model, *former)]
    parts = [part for schema in schemas for part in (schema, *schema.get("$defs", {}).values())]
    return frozenset(name for part in parts for name in part.get("properties", ()))
