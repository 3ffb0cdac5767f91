"""A holder that runs another data map than its command named: what there is by that one, and who lets it go on (P7).

The customer's data map is fixed in the case, since by it everything was counted and looked at. It may have changed for
good reasons: a hold lasts for years, and a schema grows meanwhile.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.decision import Decided, Ignored
from shared.events.platform import DeletionApproved

from .holders import Trouble, claimed, remapped, stalled_event, with_holders
from .policy import RetentionPolicy
from .proof import maps, seen, unread
from .right import total
from .standing import awaits_answers
from .states import Deletion, Holder, Load, Proposed, Seen, Stalled, State
from .tasks import ProofOutcome, Surveyed


def awaits(state: State, event: ProofOutcome) -> bool:
    """Tell whether *event* is the survey that was ordered since a holder runs another map."""
    if not isinstance(state, Stalled) or state.deletion is None or not awaits_answers(state):
        return False
    known = event.deletion_id == state.deletion.deletion_id and event.attempt == state.known.attempts
    return known and any(map(remapped, state.deletion.holders))


def surveyed_anew(state: Stalled, event: Surveyed, now: datetime, policy: RetentionPolicy) -> Decided[State] | Ignored:
    """Propose to go on by other maps; a holder that was read by the map of the case is commanded once more."""
    deletion = state.deletion
    if deletion is None:
        return Ignored("no survey is awaited")
    rows, read = seen(event.readings), maps(event.readings)
    missing = unread(rows, policy.readable)
    if missing:
        return not_surveyed(state, missing, policy)
    others = _others(deletion, read)
    as_before = {one.name: _due(one, now) for one in deletion.holders if remapped(one) and one.name not in dict(others)}
    deletion = with_holders(deletion, as_before)
    if not others:
        return Decided(replace(state, deletion=replace(deletion, proposed=None)))
    names, load = tuple(name for name, _ in others), Load(event.due, event.customers, event.usual_rows)
    trouble = Trouble("refused", names, seen=rows, load=load, maps=others)
    told = stalled_event(state.known, deletion.deletion_id, trouble, 1, policy)
    return Decided(replace(state, deletion=replace(deletion, proposed=Proposed(rows, read))), (told,))


def not_surveyed(state: Stalled, holders: tuple[str, ...], policy: RetentionPolicy) -> Decided[State]:
    """Tell an operator that it couldn't be read; it is read again when the holder is due."""
    name = "" if state.deletion is None else state.deletion.deletion_id
    trouble = Trouble("check_failed", holders)
    return Decided(state, (stalled_event(state.known, name, trouble, state.known.attempts, policy),))


def approved_by_name(state: Stalled, event: DeletionApproved) -> bool:
    """Tell whether *event* names just the maps that are proposed, and as many rows as there are by them."""
    if state.deletion is None or state.deletion.proposed is None or not awaits_answers(state):
        return False
    if not any(map(remapped, state.deletion.holders)):
        # It has answered after all.
        return False
    proposed = state.deletion.proposed
    named = {(one.holder, one.map_sha256) for one in event.maps}
    return named == {*_others(state.deletion, proposed.maps)} and event.rows >= total(proposed.seen)


def adopted(deletion: Deletion, now: datetime) -> Deletion:
    """Go on by the maps that were *proposed*: who is read by another one than before is commanded again, by that."""
    proposed = deletion.proposed
    if proposed is None:
        return deletion
    names = dict(_others(deletion, proposed.maps))
    again = {one.name: _due(one, now) for one in deletion.holders if one.name in names}
    gone = {(one.name, table): rows for one in deletion.holders for table, rows in claimed(one)}
    then = {(row.holder, row.table): row.own for row in deletion.before}
    before = (
        *(row for row in deletion.before if row.holder not in names),
        *(_since(row, then, gone) for row in proposed.seen if row.holder in names),
    )
    maps = tuple(sorted({**dict(deletion.maps), **names}.items()))
    return replace(with_holders(deletion, again), before=before, maps=maps, proposed=None)


def _others(deletion: Deletion, read: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Give the maps that are others than those of the case, by holder."""
    known = dict(deletion.maps)
    return tuple((name, sha256) for name, sha256 in read if known.get(name) != sha256)


def _due(holder: Holder, now: datetime) -> Holder:
    return replace(holder, status="late", reason=holder.reason or "unanswered", due=now)


def _since(row: Seen, then: dict[tuple[str, str], int], gone: dict[tuple[str, str], int]) -> Seen:
    """Count what the holder has deleted by now as well: it was there, and what it says has to come up to that."""
    deleted = gone.get((row.holder, row.table), 0)
    return replace(row, own=max(row.own + deleted, then.get((row.holder, row.table), 0))) if deleted else row
