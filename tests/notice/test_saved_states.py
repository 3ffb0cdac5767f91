"""What a customer's row holds stays readable: `saved_states/` has states as each release wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from services.notice.explain import explain
from services.notice.states import Known, States
from shared.statecodec import StateCodec
from tests.notice.language import POLICY, START

SAVED = Path(__file__).parent / "saved_states"
# What was written once is in rows of customers. A change of the states gets a file of its own, and its digest here.
PUBLISHED = {
    "2026-11": "25190b1c58cb81c78f6a886822c6664602f1af5edbd514e14ac8b334c0b89f2c",
    "2026-12": "e28e288db1d0a3343d5facbbcc45714836674a6ec87409da0916187ca1a4e05c",
}
CODEC: StateCodec[Any] = StateCodec(States)


def lines() -> dict[str, str]:
    return {
        f"{path.stem}, line {number}": line
        for path in sorted(SAVED.glob("*.jsonl"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    }


LINES = lines()
each_line = pytest.mark.parametrize("line", list(LINES.values()), ids=list(LINES))


def lost(then: Any, now: Any, path: str = "") -> Iterator[str]:
    """Name what was in a row and is no more, or is another thing."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name, value in then.items():
            yield from lost(value, now[name], f"{path}.{name}") if name in now else (f"{path}.{name}",)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif then != now:
        yield path


def fields(kind: inspect.Type) -> Iterator[tuple[str, str]]:
    """Name every field of every struct that *kind* is made of."""
    if isinstance(kind, inspect.StructType | inspect.DataclassType):
        for field in kind.fields:
            yield kind.cls.__name__, field.encode_name
            yield from fields(field.type)
    for part in (*getattr(kind, "types", ()), getattr(kind, "item_type", None), *getattr(kind, "item_types", ())):
        if part is not None:
            yield from fields(part)


def told(value: Any) -> Iterator[tuple[str, str]]:
    """Name the fields that *value* has, other than by default."""
    if isinstance(value, tuple):
        for one in value:
            yield from told(one)
    elif isinstance(value, msgspec.Struct) or hasattr(value, "__dataclass_fields__"):
        defaults = (
            {one.name: one.default for one in msgspec.structs.fields(value)}
            if isinstance(value, msgspec.Struct)
            else {}
        )
        for name in getattr(value, "__struct_fields__", None) or value.__dataclass_fields__:
            if getattr(value, name) != defaults.get(name, msgspec.NODEFAULT) and getattr(value, name) is not None:
                yield type(value).__name__, name
                yield from told(getattr(value, name))


@each_line
def test_a_row_of_an_older_release_is_read_and_says_the_same(line: str) -> None:
    """Nothing that was in it is lost by being read and written again, and each of its dates can be explained."""
    state = CODEC.load(line)

    assert list(lost(msgspec.json.decode(line), msgspec.json.decode(CODEC.dump(state)))) == []
    assert isinstance(state, Known)
    assert len(explain(state, POLICY, START).contracts) == len(state.contracts)


def test_what_was_written_once_never_changes() -> None:
    """Each file is what it was when its states were in rows."""
    assert {path.stem: sha256(path.read_bytes()).hexdigest() for path in SAVED.glob("*.jsonl")} == PUBLISHED


def test_every_field_is_among_the_saved() -> None:
    """Whoever adds a field to a state adds a row that has it, so that the next release can't lose it unseen."""
    known = {name for line in LINES.values() for name in told(CODEC.load(line))}

    assert set(fields(inspect.type_info(States))) - known == set()
