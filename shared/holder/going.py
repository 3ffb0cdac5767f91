"""Which rows go and which stay, as conditions in SQL; what stays was listed by ``kept.keep``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scope import covered
from .whose import goes

if TYPE_CHECKING:
    from ..datamap.model import DataMap, Table
    from .scope import Covers


def leaves(map: DataMap, table: Table, holds: Covers, alias: str = "t") -> str:  # noqa: A002
    """Give the condition for the rows of the customer ``$1`` that go; where there are *holds*, after ``keep``."""
    which = goes(map, table, alias)
    return f"({which}) and {free(map, table, holds, alias)} and {LISTED.format(alias=alias)}" if holds else which


def stays(alias: str = "t") -> str:
    """Give the condition for the rows that ``keep`` has listed."""
    return f"not {LISTED.format(alias=alias)}"


def free(map: DataMap, table: Table, holds: Covers, alias: str) -> str:  # noqa: A002
    """Give the condition for rows that no hold covers."""
    return f"({covered(map, table, holds, alias)}) is not true"


LISTED = "not exists (select from pg_temp.offramp_kept k where k.part = {alias}.tableoid and k.at = {alias}.ctid)"
