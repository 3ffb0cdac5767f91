"""What may change within a version of an event: an optional field may be added, and nothing else.

Then an older reader can read what a newer writer says, and a newer reader what an older writer said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

# Keywords that only explain, and those that are followed on their own.
_EXPLAIN = {"$id", "$schema", "description", "discriminator", "examples", "title"}
_FOLLOWED = {"$defs", "$ref", "anyOf", "enum", "items", "oneOf", "properties", "required"}


def breaches(old: Schema, new: Schema) -> tuple[str, ...]:
    """Compare two JSON Schemas of one version of an event: a sentence for each change that needs a new version.

    The schemas are as pydantic makes them (draft 2020-12). What a validator written in Python
    allows doesn't show in a schema and isn't compared.
    """
    return tuple(_compare(_Side(old, old), _Side(new, new), ""))


@dataclass(frozen=True, slots=True)
class _Side:
    """A part of a schema, with the whole in which its references point."""

    part: Schema
    whole: Schema

    def at(self, part: Schema) -> _Side:
        while "$ref" in part:
            part = self.whole["$defs"][part["$ref"].removeprefix("#/$defs/")]
        return _Side(part, self.whole)

    def fields(self) -> dict[str, _Side]:
        return {name: self.at(part) for name, part in self.part.get("properties", {}).items()}

    def choices(self) -> dict[object, _Side]:
        parts = [self.at(part) for key in ("oneOf", "anyOf") for part in self.part.get(key, ())]
        return {_kind(choice.part, place): choice for place, choice in enumerate(parts)}

    def required(self) -> frozenset[str]:
        return frozenset(self.part.get("required", ()))


def _kind(choice: Schema, place: int) -> object:
    """Tell which choice of a union this is: by its kind, or being null, or else by its place."""
    tag = choice.get("properties", {}).get("kind", {}).get("const")
    return tag or ("null" if choice.get("type") == "null" else place)


def _compare(old: _Side, new: _Side, path: str) -> Iterator[str]:
    for keyword in sorted((old.part.keys() | new.part.keys()) - _EXPLAIN - _FOLLOWED):
        before, after = old.part.get(keyword), new.part.get(keyword)
        if before != after:
            yield f"{path}: {keyword} changed from {before!r} to {after!r}: what a field may hold needs a new version"
    yield from _compare_fields(old, new, path)
    yield from _compare_choices(old, new, path)
    yield from _compare_values(old, new, path)
    if "items" in old.part and "items" in new.part:
        yield from _compare(old.at(old.part["items"]), new.at(new.part["items"]), f"{path}[]")


def _compare_fields(old: _Side, new: _Side, path: str) -> Iterator[str]:
    before, after = old.fields(), new.fields()
    for name in sorted(before.keys() | after.keys()):
        field = f"{path}.{name}".removeprefix(".")
        if name not in after:
            yield f"{field}: removed: a removed or renamed field needs a new version"
        elif name in new.required() - old.required():
            yield f"{field}: newly required: a required field needs a new version"
        elif name in old.required() - new.required():
            yield f"{field}: no longer required, but older readers require it: this needs a new version"
        if name in before and name in after:
            yield from _compare(before[name], after[name], field)


def _compare_choices(old: _Side, new: _Side, path: str) -> Iterator[str]:
    before, after = old.choices(), new.choices()
    for kind in sorted(before.keys() | after.keys(), key=str):
        if kind not in after:
            yield f"{path}: dropped the choice {kind!r}: what was said once must stay readable, or needs a new version"
        elif kind not in before:
            yield f"{path}: added the choice {kind!r}, which older readers can't read: this needs a new version"
        else:
            yield from _compare(before[kind], after[kind], path)


def _compare_values(old: _Side, new: _Side, path: str) -> Iterator[str]:
    before, after = set(old.part.get("enum", ())), set(new.part.get("enum", ()))
    for value in sorted(before - after):
        yield f"{path}: dropped the value {value!r}: what was said once must stay readable, or needs a new version"
    for value in sorted(after - before):
        yield f"{path}: added the value {value!r}, which older readers can't read: this needs a new version"
