"""Whether what a certificate or an addendum says agrees with itself: whoever signs what doesn't has proven nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Said = Mapping[str, Any]
# How a paper that says other things than papers do makes reading it fail.
UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, OverflowError)


def named(said: Said, deletion: str = "deletion_id") -> tuple[str, str]:
    """Give the customer and the *deletion* that a paper names; raises TypeError where they are no plain texts.

    What isn't printable is in no id, and would say to a terminal what it likes.
    """
    found = said["customer_id"], said[deletion]
    if not all(isinstance(one, str) and one.isprintable() for one in found):
        raise TypeError(found)
    return found


def contradiction(said: Said) -> str | None:
    """Tell, as the end of a sentence, what in *said* shows that not all is gone, was checked or counted; None if none.

    Raises one of ``UNREADABLE`` where it is no certificate and no addendum.
    """
    left = _left(said)
    if said.get("erased", "all") != ("all_but_retained" if rows(said.get("retained", [])) else "all"):
        left.append("erased says otherwise")
    if left:
        return f"itself says that something was left: {', '.join(left)}"
    read = {at["holder"] for at in said["validation"]["holders"] if at["tables"]}
    answered = [at["holder"] for at in said["holders"]]
    if unread := [holder for holder in answered if holder not in read]:
        return f"itself says of {', '.join(unread)} that it answered, and not that anybody looked there afterwards"
    if not answered:
        return "itself names no holder that deleted anything"
    if deleted := sum(rows(at["deleted"]) for at in said["holders"]) - said["rows_deleted"]:
        return f"itself says rows_deleted: {said['rows_deleted']}, and of its holders {deleted:+} of that"
    if holding := [hold["hold_id"] for hold in said.get("holds", []) if _holds(hold)]:
        return f"itself says that a legal hold was in force: {', '.join(holding)}"
    return _evidence(said)


def _evidence(said: Said) -> str | None:
    """Tell where what the customer was told, or confirmed, is another's or missing; an addendum has none."""
    informed, confirmed = said.get("informed", []), said.get("confirmed", [])
    if others := {one["customer_id"] for one in (*informed, *confirmed)} - {said["customer_id"]}:
        return f"brings evidence of {', '.join(sorted(others))}, who is another customer"
    shown = {
        "customer_informed": any(one["outcome"] == "delivered" for one in informed),
        "export_confirmed": bool(confirmed),
    }
    wrong = [name for name, is_so in shown.items() if said.get(name, is_so) is not is_so]
    return f"says {', '.join(wrong)}, which its evidence contradicts" if wrong else None


def rows(counts: Sequence[Said]) -> int:
    """Add up the rows of some counts; raises TypeError where one is no number, ValueError where it is below zero."""
    found = [one["rows"] for one in counts]
    if any(type(one) is not int for one in found):
        raise TypeError(found)
    if any(one < 0 for one in found):
        raise ValueError(found)
    return sum(found)


def by_day(retained: Sequence[Said]) -> Counter[tuple[str, ...]]:
    """Add up what laws keep, by holder, table, law and day."""
    found: Counter[tuple[str, ...]] = Counter()
    for one in retained:
        found[one["holder"], one["table"], one["basis"], one["until"]] += one["rows"]
    return found


def _left(said: Said) -> list[str]:
    """Name where something is left, or kept that neither a law nor one of its rows accounts for."""
    accounted: Counter[tuple[str, str]] = Counter()
    for one in said.get("retained", []):
        accounted[one["holder"], one["table"]] += one["rows"]
    for at in said["holders"]:
        for one in at["verification"].get("needed", []):
            accounted[at["holder"], one["table"]] += one["rows"]
    read = [(at["holder"], one) for at in said["validation"]["holders"] for one in at["tables"]]
    found = [f"{holder} {one['table']}" for holder, one in read if one["left"] != 0]
    found += [
        f"{at['holder']} {one['table']}"
        for at in said["holders"]
        for one in at["verification"].get("remaining", [])
        if one["rows"] != 0
    ]
    unlike = (key for key in ((holder, one["table"]) for holder, one in read) if accounted[key] != _kept(read, key))
    return [*found, *(" ".join(key) for key in unlike)]


def _kept(read: Sequence[tuple[str, Said]], key: tuple[str, str]) -> int:
    return sum(one.get("kept", 0) for holder, one in read if (holder, one["table"]) == key)


def _holds(hold: Said) -> bool:
    placed, released = (
        None if hold[name] is None else datetime.fromisoformat(hold[name]) for name in ("placed_at", "released_at")
    )
    return placed is not None and hold.get("ended_at") is None and (released is None or released < placed)
