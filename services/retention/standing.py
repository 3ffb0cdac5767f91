"""Whether a case may go on as it is: contracts and windows change while it is under way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from shared import contracts
from shared.decision import Decided, Decision, Ignored
from shared.events.retention import EarlyDeletionAccepted, EarlyDeletionWithdrawn
from shared.holds import all_held
from shared.windowchanges import Change, early_of, taken, withdrawn_of

from . import course
from .holders import DONE, Trouble, stalled_event
from .policy import RetentionPolicy
from .right import window_under
from .states import (
    Certifying,
    Checking,
    Closed,
    Deleting,
    Held,
    InWindow,
    Keeping,
    Known,
    Retaining,
    Serving,
    Stalled,
    State,
    Unknown,
    window_of_state,
)
from .statutory import came_back, follow_up
from .telling import in_window


def under(state: State, news: contracts.Contracts, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Go on under changed contracts."""
    return _under_window(state, replace(state.known, contracts=news), now, policy)


def changed(state: State, change: Change, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Go on under a changed window; once commands are out there is nothing left to prolong."""
    if commanded(state) or (not isinstance(state, Retaining) and follow_up(state.known)):
        return Ignored("the deletion is under way")
    news = taken(state.known.changes, change)
    if news is None:
        return Ignored("the change is known")
    return _under_window(state, replace(state.known, changes=news), now, policy)


def cut_short(state: State, accepted: EarlyDeletionAccepted, now: datetime, policy: RetentionPolicy) -> Decided[State]:
    """Go on under a window that closes as soon as was *accepted* (P10)."""
    changes = taken(state.known.changes, early_of(accepted)) or state.known.changes
    news = _under_window(state, replace(state.known, changes=changes), now, policy)
    return Decided(news.state, (accepted,))


def as_before(
    state: State, withdrawn: EarlyDeletionWithdrawn, now: datetime, policy: RetentionPolicy
) -> Decided[State]:
    """Go on under the window as it was before it was cut short."""
    changes = taken(state.known.changes, withdrawn_of(withdrawn)) or state.known.changes
    news = _under_window(state, replace(state.known, changes=changes), now, policy)
    return Decided(news.state, (withdrawn, *news.events), news.tasks)


def _under_window(state: State, known: Known, now: datetime, policy: RetentionPolicy) -> Decided[State]:
    """Go on with what is *known* now; if the right to delete is gone, nothing goes on as if it weren't."""
    if isinstance(state, Unknown | Serving):
        return course.from_contracts(known, now, policy)
    window, before = window_under(known), window_of_state(state)
    out = commanded(state)
    stands = window == before or (out and window is not None and window.closes_at <= now)
    if stands and not waits(state):
        return Decided(with_known(state, known, now, policy))
    if out:
        return _lost_the_right(state, known, now, policy)
    if window is None or window.opens_at != before.opens_at:
        return course.from_contracts(_given_up(state, known), now, policy)
    if isinstance(state, Closed | Retaining) or follow_up(known):
        # What is gone can't be kept for longer.
        return Decided(replace(state, known=known))
    # The same window, changed: its days are those that it began with, whatever the policy says by now.
    return Decided(in_window(known, window, now, policy))


def _lost_the_right(state: Any, known: Known, now: datetime, policy: RetentionPolicy) -> Decided[State]:
    """Tell an operator that a contract goes on though commands are out; with it over again, all begins anew."""
    deletion = state.deletion
    names = tuple(holder.name for holder in deletion.holders if holder.status not in DONE)
    event = stalled_event(known, deletion.deletion_id, Trouble("contract_active", names), 1, policy)
    events = () if waits(state) else (event,)
    today = window_under(known)
    if today is not None:
        known = _given_up(state, known)
        if today == deletion.window and today.closes_at <= now:
            # That it is over was said.
            anew = Decided(Held(known, today)) if all_held(known.holds, now) else course.survey(known, today, policy)
        else:
            anew = course.from_contracts(known, now, policy)
        return Decided(anew.state, (*events, *anew.events), anew.tasks)
    return Decided(Stalled(known, deletion.window, "contract", "contract_active", names, deletion), events)


def _given_up(state: State, known: Known) -> Known:
    """Remember that a deletion was begun, for which nothing of a later one may be taken.

    What laws have kept can't be told from what comes now: it is the later deletion's, too.
    """
    known = replace(known, retained=came_back(known))
    if isinstance(state, Unknown | Serving | InWindow | Closed | Retaining):
        return known
    name = course.deletion_id(state.known, window_of_state(state))
    return replace(known, given_up=(*known.given_up, name))


def commanded(state: State) -> bool:
    """Tell whether commands are out and their end hasn't been certified."""
    return isinstance(state, Deleting | Checking | Keeping | Certifying) or (
        isinstance(state, Stalled) and state.deletion is not None
    )


def awaits_answers(state: Deleting | Stalled) -> bool:
    """Tell whether holders still have to answer."""
    return isinstance(state, Deleting) or state.step == "answers"


def waits(state: State) -> bool:
    """Tell whether commands are out though a contract goes on."""
    return isinstance(state, Stalled) and state.step == "contract"


def with_known(state: State, known: Known, now: datetime, policy: RetentionPolicy) -> State:
    """Keep *state*, with what is *known* now."""
    if isinstance(state, InWindow):
        return in_window(known, state.window, now, policy)
    return replace(state, known=known)
