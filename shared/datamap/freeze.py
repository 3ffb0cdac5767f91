"""From the document as it was read to the frozen data map."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from . import owner_document as doc
from . import retain_document, rule_document
from .names import canonical, table_and_column
from .owners import (
    CUSTOMER,
    ByAny,
    ByColumn,
    ByElement,
    ByJson,
    ByPair,
    ByPart,
    ByPath,
    ByPrefix,
    BySql,
    Hop,
    Key,
    Owner,
)
from .retaining import Counting, FromDay, FromFiscalYear, FromYear, Retention
from .rules import Choice, Coding, Digest, Epoch, Expression, Labels, Lookup, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping


def owner(written: doc.WrittenOwner) -> Owner:
    """Freeze one way to a customer."""
    match written:
        case doc.WrittenAny():
            return ByAny(tuple(owner(one) for one in written.any))
        case doc.WrittenPath():
            return ByPath(tuple(_hop(hop) for hop in written.path), written.several)
        case doc.WrittenPair():
            return _pair(written)
        case doc.WrittenSql():
            return BySql(written.sql, written.several)
    return _in_column(written)


def _in_column(written: doc.WrittenOwner) -> Owner:
    match written:
        case doc.WrittenPrefix():
            return ByPrefix(written.of, Key("text", written.prefix, _ids(written.by)))
        case doc.WrittenPart():
            part = written.part if isinstance(written.part, int) else None
            return ByPart(written.of, written.separator, part, Key("text", written.template, _ids(written.by)))
        case doc.WrittenElement():
            return ByElement(written.element, _key(written))
        case doc.WrittenJson():
            key = Key("text", written.template, _ids(written.by))
            return ByJson(written.json_column, tuple(written.at), written.stored, key)
        case doc.WrittenColumn():
            return ByColumn(written.column, _key(written))
    raise AssertionError(written)


def retention(written: retain_document.WrittenRetention) -> Retention:
    """Freeze which rows a law keeps."""
    counted_from = _counting(written.counted_from)
    return Retention(written.basis, written.years, counted_from, written.time_zone, written.where)


def _counting(written: retain_document.WrittenCounting) -> Counting:
    match written:
        case retain_document.WrittenCounting(day=str(column)):
            return FromDay(column)
        case retain_document.WrittenCounting(end_of_year=str(column)):
            return FromYear(column)
        case retain_document.WrittenCounting(end_of_fiscal_year=str(column), ending=str(ending)):
            month, day = (int(part) for part in ending.split("-"))
            return FromFiscalYear(column, month * 100 + day)
    raise AssertionError(written)


def coding(written: rule_document.WrittenCoding) -> Coding:
    """Freeze what a coded value means."""
    match written:
        case rule_document.WrittenEpoch():
            return Epoch(written.epoch, zero=written.zero is not None)
        case rule_document.WrittenLabels():
            return Labels(MappingProxyType(dict(written.labels)))
        case rule_document.WrittenLookup():
            return Lookup(*table_and_column(written.lookup), written.text)
        case rule_document.WrittenExpression():
            return Expression(written.sql)
        case rule_document.WrittenChoice():
            where = written.via, *table_and_column(written.to), written.option_of
            return Choice(*where, written.separator, written.first, written.after)


def references(written: Mapping[str, rule_document.WrittenReference]) -> Mapping[str, Reference]:
    """Freeze the references to objects."""
    return MappingProxyType({column: _reference(one) for column, one in written.items()})


def _reference(written: rule_document.WrittenReference) -> Reference:
    fields = {name: value for name, value in written if name not in {"none", "digest"}}
    return Reference(**fields, none=tuple(written.none), digest=_digest(written.digest))


def _digest(written: rule_document.WrittenDigest | None) -> Digest | None:
    recorded = written.model_dump(exclude_none=True) if written else {}
    return next((Digest(cast("Any", algorithm), column) for algorithm, column in recorded.items()), None)


def _hop(written: doc.WrittenHop) -> Hop:
    if written.column is not None:
        table, key = table_and_column(written.to)
        return Hop((written.column,), table, (key,), written.cast)
    return Hop(tuple(written.columns or ()), canonical(written.to), tuple(written.keys or ()), written.cast)


def _pair(written: doc.WrittenPair) -> ByPair:
    targets = {kind: None if to == CUSTOMER else table_and_column(to) for kind, to in written.leads.items()}
    kind, identity = written.pair
    return ByPair(kind, identity, MappingProxyType(targets), written.cast, _key(written))


def _key(written: doc.WrittenKey) -> Key:
    return Key(written.type, written.template, _ids(written.by))


def _ids(by: list[str] | None) -> tuple[str, ...]:
    return tuple(by or ())
