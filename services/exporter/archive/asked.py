"""What was asked for: which formats, which of the three kinds of data (P5, P6); all of them where nothing is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast, get_args

from services.exporter.formats.format import Format
from services.exporter.formats.registry import ALL
from services.exporter.formats.whole import Whole
from shared.datamap.document import Category

from .faults import PapersAloneError, UnknownError
from .page import Language

EVERYTHING: frozenset[Category] = frozenset(get_args(Category))


def named_formats(formats: Sequence[str]) -> tuple[Format | Whole, ...]:
    """Give the *formats* by name, in the archive's order; all of them if none is named.

    Raises UnknownError where there is none of that name: what was asked for is never left out in silence. Raises
    PapersAloneError where they don't hold the tables' rows, before anything is read for what can't be complete.
    """
    _known("format", formats, ALL)
    if formats and not any(_holds_rows(ALL[name]) for name in formats):
        holding = ", ".join(name for name, one in ALL.items() if _holds_rows(one))
        raise PapersAloneError(
            f"format {', '.join(formats)}", "papers don't hold the rows of the tables", f"Ask for {holding} as well"
        )
    return tuple(ALL[name] for name in ALL if name in formats or not formats)


def _holds_rows(one: Format | Whole) -> bool:
    return not isinstance(one, Whole) or one.holds_rows


def scope_of(categories: Sequence[str]) -> frozenset[Category]:
    """Give the *categories* by name, all of them if none is named; raises UnknownError as ``named_formats`` does."""
    _known("scope", categories, sorted(EVERYTHING))
    return cast("frozenset[Category]", frozenset(categories)) or EVERYTHING


def language_of(code: str) -> Language:
    """Give the language of *code*, whatever its region and case, if the page speaks it, else English."""
    return "sv" if code.lower().partition("-")[0] == "sv" else "en"


def _known(what: str, asked: Sequence[str], there_are: Iterable[str]) -> None:
    names = list(there_are)
    for name in asked:
        if name not in names:
            raise UnknownError(f"{what} {name}", f"there is no such {what}", f"There are {', '.join(names)}")
