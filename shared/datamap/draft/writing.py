"""Writes a proposal as YAML for its team to edit: what is sure plainly, what isn't with its reason beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .proposal import Proposed


def write(system: str, tenancy: object, proposed: Sequence[Proposed], customers: str | None) -> str:
    """Give the whole document; each table's comment says how large it is, how sure its way is, and why."""
    return "\n".join(
        [*_head(system, tenancy, proposed, customers), *[line for one in proposed for line in _table(one)], ""]
    )


def _head(system: str, tenancy: object, proposed: Sequence[Proposed], customers: str | None) -> Iterator[str]:
    undecided = sum(one.undecided is not None for one in proposed)
    yield f"# A draft: {len(proposed)} tables, {undecided} of them undecided. Numbers from 0 to 1: how sure."
    yield "# Decide what is undecided, look at the rest, and run `offramp map check`. The words: docs/data-map.md"
    yield "version: 1"
    yield f"system: {system}"
    yield f"tenancy: {_flow(tenancy)}"
    if customers:
        yield f"customers: {_flow(customers)}"
    yield "tables:"


def _table(one: Proposed) -> Iterator[str]:
    size = f"about {one.size.rows} rows, {one.size.bytes // 1024} kB"
    yield f"  # {size}" + (f"; {one.sure:.2f}: {_on_one_line(one.why)}" if one.why else "")
    if one.undecided:
        if "owner" in one.entry or "person" in one.entry:
            yield f"  # perhaps: {_on_one_line(_flow(one.entry))}"
        yield f"  {_key(one.name)}: {_flow({'undecided': one.undecided})}"
        return
    yield f"  {_key(one.name)}:"
    for word, value in one.entry.items():
        yield f"    {word}: {_flow(value)}"


def _flow(value: Any, style: str | None = None) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, width=100_000, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _key(name: str) -> str:
    # A key has to stand on one line, which only double quotes do for a name that has lines.
    return _flow(name, None if name.isprintable() else '"')


def _on_one_line(text: str) -> str:
    # What is called with a line's end would go on behind the comment, as part of the map.
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
