"""Whether the facts show what is to be certified: nothing is left but what laws keep, and no hold is in force."""

from __future__ import annotations

from collections import Counter

from .journal import sealed
from .tasks import Amend, Certify, HolderAnswer, HoldEvidence


class NotProvenError(Exception):
    """What the certificate would say is not true; *reason* is a word for the outcome, the text is for the log."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(says)
        self.reason = reason


def prove(facts: Certify | Amend) -> None:
    """Raise ``NotProvenError`` where *facts* don't show that all is gone but what laws keep."""
    if not sealed((entry.at, entry.given, entry.state, entry.events, entry.seal) for entry in facts.journal):
        raise NotProvenError("journal", "the case's journal was altered")
    answered, checked = {one.holder for one in facts.answers}, {one.holder for one in facts.after if one.tables}
    if not answered or answered - checked:
        raise NotProvenError("not_checked", f"answered: {sorted(answered)}, but checked: {sorted(checked)}")
    read = [(at.holder, one) for at in facts.after for one in at.tables]
    kept = {(answer.holder, one.table): one.rows for answer in facts.answers for one in answer.kept}
    other = (one for one in read if one[1].own or one[1].kept != kept.get((one[0], one[1].table), 0))
    left = [*_left(facts.answers), *(f"{holder} {one.table}" for holder, one in other)]
    left += [f"{at.holder} {one.table}" for at in facts.after if at.searched for one in at.searched.mentions]
    left += _without_reason(facts, kept)
    if left:
        raise NotProvenError("residue", f"something is left: {', '.join(left)}")
    holding = [hold.hold_id for hold in facts.holds if _holds(hold)]
    if holding:
        raise NotProvenError("held", f"still held: {', '.join(holding)}")


def _without_reason(facts: Certify | Amend, kept: dict[tuple[str, str], int]) -> list[str]:
    """Name where rows are kept that no law and none of its rows need, or more are named than are kept."""
    names = {answer.holder for answer in facts.answers}
    named: Counter[tuple[str, str]] = Counter()
    for row in facts.retained:
        if row.holder in names:
            named[row.holder, row.table] += row.rows
    for answer in facts.answers:
        named.update({(answer.holder, one.table): one.rows for one in answer.needed})
    return [
        f"{holder} {table}"
        for holder, table in sorted({*named, *kept})
        if named[holder, table] != kept.get((holder, table), 0)
    ]


def _holds(hold: HoldEvidence) -> bool:
    return (
        hold.placed_at is not None
        and hold.ended_at is None
        and (hold.released_at is None or hold.released_at < hold.placed_at)
    )


def _left(answers: tuple[HolderAnswer, ...]) -> list[str]:
    return [f"{answer.holder} {one.table}" for answer in answers for one in answer.remaining if one.rows]
