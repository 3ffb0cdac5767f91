"""What names alone suggest: which table a column speaks of, what a table is about; no more than a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..names import split

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ..document import Category

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_REFERS = re.compile(r"_?(id|uuid|guid|ref|fk|key|no|number|code)$")
# Whom a row was touched by says nothing of whom it is about.
_TOUCHED = re.compile(
    r"(modif|chang|updat|creat|delet|edit|approv|review|grad|assign|request|overrid|lock|mark|clos|ask)\w*(by|user|er|or)?$"
    r"|^(user)?(modified|created|updated|changed)|^(real|related|from|sender|modifier|creator|editor|dpo)"
)
_PERSON = re.compile(
    r"^(user|person|people|member|student|learner|teacher|author|owner|account|participant)(_?id)?_?(from|to)?$"
)
_REPORT = re.compile(
    r"(^|_)(logs?|logstore|reports?|stats?|statistics|analytics|history|audit|usage|summary|metrics?)(_|$)"
)
_USER = re.compile(
    r"(^|_)(users?|people|persons?|profiles?|accounts?|members?|memberships?|messages?|notifications?|badges?"
    r"|certificates?|preferences?|sessions?|tokens?|consents?|contacts?|devices?|roles?|cohorts?|customers?|keys?)(_|$)"
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How well a name fits, from 0 to 1, and *why*, in words."""

    fits: float
    why: str


def words(name: str) -> str:
    """Write *name* in lower case with underscores between its words, without its schema."""
    return _CAMEL.sub("_", split(name)[-1]).lower().replace("-", "_").replace(" ", "_")


def common_prefix(tables: Collection[str]) -> str:
    """Give the beginning that nearly all names share, such as ``mdl_``; empty where there is none."""
    if len(tables) < 5:  # noqa: PLR2004
        return ""
    # What the first and the last in order share, all between them share.
    first, *_, last = sorted(map(words, tables))
    shared = next(
        (place for place, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first)
    )
    return first[: first.rfind("_", 0, shared) + 1]


def singular(name: str) -> str:
    """Give the singular of an English noun, near enough to compare."""
    for ending, one in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("xes", "x"), ("ses", "s")):
        if name.endswith(ending):
            return name[: -len(ending)] + one
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def refers(column: str) -> tuple[str, bool]:
    """Give what *column* speaks of, and whether it says by its ending that it refers to something."""
    name = words(column)
    stem = _REFERS.sub("", name).strip("_")
    return stem, bool(stem) and stem != name


def touched(column: str) -> bool:
    """Tell whether *column* seems to name who did something to the row, rather than whom it is about."""
    return _TOUCHED.search(refers(column)[0].replace("_", "")) is not None


def names_a_person(column: str) -> bool:
    """Tell whether *column* seems to name a person."""
    return _PERSON.match(refers(column)[0]) is not None


class Targets:
    """The tables that a column might speak of, found by their names; *persons* is the table of people, if any."""

    def __init__(self, tables: Collection[str], persons: str | None) -> None:
        self.prefix = common_prefix(tables)
        self.persons = persons
        self._by_plain: dict[str, list[str]] = {}
        for table in tables:
            self._by_plain.setdefault(_plain(singular(self._short(table))), []).append(table)

    def of(self, column: str, table: str) -> Iterator[tuple[str, Likeness]]:
        """Give each table that *column* of *table* might refer to, with how well it fits."""
        stem, says_so = refers(column)
        # "attempts" counts them; "attempt" and "attempt_id" are one.
        if not stem or (not says_so and singular(stem) != stem):
            return
        for to, found in self._like(singular(stem), self._short(table), column):
            yield to, found if says_so else Likeness(found.fits * 0.9, found.why)

    def _like(self, stem: str, here: str, column: str) -> Iterator[tuple[str, Likeness]]:
        plain = _plain(stem)
        exact = [(to, Likeness(1.0, "is called like it")) for to in self._by_plain.get(plain, ())]
        within = "is called like it within its family of tables"
        family = [to for one in _families(here) for to in self._by_plain.get(_plain(one) + plain, ())]
        found = dict([*((to, Likeness(0.95, within)) for to in family), *exact])
        if self.persons and (names_a_person(column) or (touched(column) and self.persons not in found)):
            found.setdefault(self.persons, Likeness(0.8, "means a person"))
        yield from (found or dict(self._beginning(plain, _plain(here), column))).items()

    def _beginning(self, plain: str, here: str, column: str) -> Iterator[tuple[str, Likeness]]:
        for one, tables in self._by_plain.items():
            alike = min(len(one), len(plain)) >= 4 and (plain.startswith(one) or one.startswith(plain))  # noqa: PLR2004
            # "format" or "limit" after a table's name is a word about it; within the table's own family it may be it.
            if alike and (refers(column)[1] or here.startswith(one)):
                yield from ((to, Likeness(0.65, "begins like it")) for to in tables)

    def _short(self, table: str) -> str:
        return words(table).removeprefix(self.prefix)


def _families(here: str) -> Iterable[str]:
    parts = here.split("_")
    return ["_".join(parts[:count]) + "_" for count in range(1, len(parts))] + [f"{singular(here)}_"]


def _plain(name: str) -> str:
    return name.replace("_", "")


def category(table: str, prefix: str) -> Category:
    """Guess which of the policy's kinds of data a table holds, by its name."""
    name = words(table).removeprefix(prefix)
    if _REPORT.search(name):
        return "report"
    return "user" if _USER.search(name) else "course"


def last_word(value: str) -> str:
    """Give the class or table that a polymorphic type names: of ``App.Models.BlogPost`` it is ``blog_post``."""
    return singular(_CAMEL.sub("_", re.split(r"[\\./:]", value)[-1]).lower()) or value
