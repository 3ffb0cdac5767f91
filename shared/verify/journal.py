"""The hash chain of a case's journal, checked without the code that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

# Before the first entry there is nothing.
_BEGINNING = "0" * 64


def broken_link(journal: Sequence[Mapping[str, Any]], head: str) -> str | None:
    """Tell where the chain of *journal* breaks, as the end of a sentence; None if each seal is right up to *head*.

    An entry has at, given, state, events and seal; the seal is the SHA-256 of the JSON list ``[seal before, at, given,
    state, [events]]`` without spaces. Raises KeyError or TypeError where an entry is no entry.
    """
    if not journal:
        return "its journal has no entry"
    before = _BEGINNING
    for number, entry in enumerate(journal, start=1):
        sealed = [before, entry["at"], entry["given"], entry["state"], entry["events"]]
        text = json.dumps(sealed, separators=(",", ":"), ensure_ascii=False)
        before = hashlib.sha256(text.encode()).hexdigest()
        if before != entry["seal"]:
            told = f"{entry['given']} at {entry['at']}"
            return (
                f"its journal breaks at entry {number} of {len(journal)} ({told}): the seal there is of something else"
            )
    return None if before == head else f"its journal_head is not the seal of entry {len(journal)}, the journal's last"
