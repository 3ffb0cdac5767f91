"""JSON documents: a main entity with all that hangs on it nested inside, built by Postgres, one document a line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shared.datamap.owners import ByPath, Hop, Owner
from shared.datamap.ownership import quoted

from .jsonlines import on_one_line
from .jsonschema import schema
from .node import Node
from .whole import Whole

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source

# A list longer than this (in bytes) goes on in a further part of the document: that bounds a line, and the memory.
PAGE = 1 << 20
_COUNTS = re.compile(rb'^\{"rows":(\{(?:"(?:[^"\\]|\\.)*":\d+,?)*\})', re.MULTILINE)


class Documents(Whole):
    """The format for structures that must keep the relations between entities.

    What nests is read from the data map: the path by which a row leads to its customer. What nothing hangs on is whole
    in its JSON lines. Each line begins with the number of rows in it, so that nested rows are counted too.
    """

    name = "documents"
    folder = "documents"

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write the documents of each main entity, and one schema for all of the archive's JSON."""
        roots = trees(source.tables)
        async with files.file("schema.json") as file:
            await file.write(schema(source.tables, roots))
        counts: Counter[str] = Counter()
        for root in roots:
            counts.update(dict.fromkeys(tables_of(root), 0))
            counts += await _documents(source, root, files)
        return counts


async def _documents(source: Source, root: Node, files: Files) -> Counter[str]:
    counts: Counter[str] = Counter()
    table = root.shown.table
    async with files.file(f"{table.category}/{table.name}.jsonl") as file:

        async def receive(piece: bytes) -> None:
            for found in _COUNTS.findall(piece):
                counts.update(json.loads(found))
            await file.write(piece)

        await source.stream(select(source, root), receive)
    return counts


def trees(tables: Sequence[Shown]) -> tuple[Node, ...]:
    """Give the main entities: the tables on whose rows others hang, and that hang on none themselves."""
    by_name = {shown.table.name: shown for shown in tables}
    parents = {name: parent for name in by_name if (parent := _parent(by_name, name)) is not None}
    roots = [name for name in by_name if name not in parents and name in parents.values()]
    return tuple(_node(by_name, parents, name) for name in roots)


def tables_of(node: Node) -> Iterator[str]:
    """Name the tables of the tree."""
    yield node.shown.table.name
    for child in node.children:
        yield from tables_of(child)


def _parent(by_name: Mapping[str, Shown], name: str) -> str | None:
    """Name the table that *name* nests in: the first on its path, if all that follows is that table's own way."""
    owner = by_name[name].table.owner
    first = _link(owner)
    if first is None or not isinstance(owner, ByPath) or first.table not in by_name or first.table == name:
        return None
    if any(column.name == first.keys[0] and not column.unique for column in by_name[first.table].columns):
        # What hangs on rows that share a key would be in each of them.
        return None
    if owner.hops[1:] and by_name[first.table].table.owner != ByPath(owner.hops[1:]):
        return None
    links = (_link(one.table.owner) for one in by_name.values())
    keys = [one.keys for one in links if one is not None and one.table == first.table]
    return first.table if keys[0] == first.keys else None


def _link(owner: Owner) -> Hop | None:
    """Give the step to the row that one nests in; None where it may lead to several rows, or by more than a column."""
    if not isinstance(owner, ByPath) or owner.several:
        return None
    first = owner.hops[0]
    return first if len(first.columns) == 1 and first.cast is None else None


def _node(by_name: Mapping[str, Shown], parents: Mapping[str, str], name: str) -> Node:
    shown = by_name[name]
    link = _link(shown.table.owner)
    column, key = (link.columns[0], link.keys[0]) if link is not None else ("", "")
    children = [_node(by_name, parents, child) for child, parent in parents.items() if parent == name]
    return Node(shown, column, key, tuple(children))


def select(source: Source, root: Node) -> str:
    """Give the query for the documents of *root*."""
    names = list(tables_of(root))
    counts = " || ',' || ".join(f"{_literal(json.dumps(name) + ':')} || n{at}" for at, name in enumerate(names))
    return (
        f"select '{{\"rows\":{{' || {counts} || '}},\"document\":' || doc || '}}'"
        f" from ({_rows(source, root, names)}) d order by place"
    )


def _rows(source: Source, node: Node, names: Sequence[str]) -> str:
    """Give *node*'s rows as JSON with the parent's key they belong to, how many rows of each table are inside."""
    link = f"t.{quoted(node.column)}" if node.column else "null"
    head = f"select {link} as link, {_order(node)} as place"
    full = _object(node.shown, [column.name for column in node.shown.columns])
    if not node.children:
        counts = ", ".join(f"{int(name == node.shown.table.name)} as n{at}" for at, name in enumerate(names))
        return f"{head}, {full} as doc, {counts} {source.rows(node.shown)}"
    own = "case when coalesce(p.part, 1) = 1 then 1 else 0 end"
    counts = ", ".join(
        f"{own if name == node.shown.table.name else f'coalesce(p.n{at}, 0)'} as n{at}" for at, name in enumerate(names)
    )
    rows = source.rows(node.shown)
    return f"{head}, {_document(node, full)} as doc, {counts} from (select t.* {rows}) t {_joined(source, node, names)}"


def _joined(source: Source, node: Node, names: Sequence[str]) -> str:
    pages = " union all ".join(_pages(source, child, at, names) for at, child in enumerate(node.children))
    lists = ", ".join(f"max(docs) filter (where child = {at}) as docs{at}" for at, _ in enumerate(node.children))
    return PARTS.format(lists=lists, counts=_sums(names), pages=pages, key=quoted(node.children[0].key))


def _pages(source: Source, child: Node, at: int, names: Sequence[str]) -> str:
    return PAGES.format(child=at, counts=_sums(names), rows=_rows(source, child, names), page=PAGE)


def _document(node: Node, full: str) -> str:
    key = _object(node.shown, node.shown.key)
    related = " || ',' || ".join(
        f"{_literal(json.dumps(child.shown.table.name) + ':[')} || coalesce(p.docs{at}, '') || ']'"
        for at, child in enumerate(node.children)
    )
    row = f"case when coalesce(p.part, 1) = 1 then {full} else {key} || ',\"part\":' || p.part end"
    return f"'{{\"row\":' || {row} || ',\"related\":{{' || {related} || '}}}}'"


def _object(shown: Shown, names: Sequence[str]) -> str:
    columns = ", ".join(on_one_line(column) for column in shown.columns if column.name in names)
    return f"(select row_to_json(r.*)::text from (select {columns}) r)" if columns else "'{}'"


def _order(node: Node) -> str:
    part = ["coalesce(p.part, 1)"] if node.children else []
    return f"row({', '.join([*node.shown.order, *part])})"


def _sums(names: Sequence[str]) -> str:
    # By their places, since a name of Postgres may be too short for a table's with its schema.
    return ", ".join(f"sum(n{at}) as n{at}" for at, _ in enumerate(names))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# name: the rows of one table in pages of bounded size, by the parent that they hang on
PAGES = """
    select link, page, {child} as child, string_agg(doc, ',' order by place) as docs, {counts}
      from (select *, (sum(octet_length(doc) + 1) over (partition by link order by place rows unbounded preceding) - 1)
                      / {page} as page
              from ({rows}) r) r
     group by link, page
"""

# name: what hangs on each row, part by part
PARTS = """
    left join (
        select link, row_number() over (partition by link order by page) as part, {lists}, {counts}
          from ({pages}) c
         group by link, page
    ) p on p.link = t.{key}
"""
