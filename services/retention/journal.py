"""The journal of a case: what was decided and when, each entry sealed with the one before (P11)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from msgspec import Struct

from shared.moments import iso

# Before the first entry there is nothing.
GENESIS = "0" * 64


class Entry(Struct, frozen=True, array_like=True):
    """One decision: *given* what, *state* after it, *events* published; *seal* is over all that and the seal before."""

    at: datetime
    given: str
    state: str
    events: tuple[str, ...]
    seal: str


class Journal(Struct, frozen=True):
    """The entries of one case, oldest first."""

    entries: tuple[Entry, ...] = ()

    @property
    def head(self) -> str:
        """Give the last seal, which stands for all entries."""
        return self.entries[-1].seal if self.entries else GENESIS


def noted(journal: Journal, at: datetime, given: str, state: str, events: Iterable[str]) -> Journal:
    """Add an entry; *at* is UTC."""
    names = tuple(events)
    return Journal((*journal.entries, Entry(at, given, state, names, seal(journal.head, at, given, state, names))))


def sealed(entries: Iterable[tuple[datetime, str, str, tuple[str, ...], str]]) -> bool:
    """Tell whether there are entries, and each seal is over its entry and the seal before."""
    before = GENESIS
    for at, given, state, events, claimed in entries:
        if seal(before, at, given, state, events) != claimed:
            return False
        before = claimed
    return before != GENESIS


def seal(before: str, at: datetime, given: str, state: str, events: tuple[str, ...]) -> str:
    """Give the SHA-256, in hexadecimal, of the entry as compact JSON (a list, in the order of the arguments)."""
    entry = [before, iso(at), given, state, list(events)]
    return sha256(json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
