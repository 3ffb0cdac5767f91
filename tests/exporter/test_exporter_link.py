"""A ready archive can be fetched again on any day of the window, and not a moment after (P4)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from services.exporter.link import LONGEST, NoLinkError, grant
from services.exporter.states import Copy, Deleting, Keeping, Known, State
from shared.windowchanges import Change
from tests.casework import at
from tests.exporter.language import CLOSES, OVER, POLICY, casework, contract, in_window

FIRST, SECOND = Copy("e1", "s3://exports/acme/e1.zip"), Copy("e2", "s3://exports/acme/e2.zip")
SECONDS = timedelta(seconds=1)


def keeping(*archives: Copy) -> State:
    """Give a customer in the window with *archives*."""
    state = in_window().state
    return replace(state, known=replace(state.known, archives=archives))


def test_the_newest_archive_for_a_week() -> None:
    """Without a name it is the newest; another link can be had later."""
    given = grant(keeping(FIRST, SECOND), None, OVER, POLICY)

    assert (given.archive, given.expires_at) == (SECOND, OVER + LONGEST)
    assert grant(keeping(FIRST, SECOND), "e1", OVER, POLICY).archive == FIRST


@pytest.mark.parametrize("before", [SECONDS, timedelta(days=3), timedelta(days=6, hours=23)])
def test_no_link_outlives_the_window(before: timedelta) -> None:
    """In the last week a link ends with the window."""
    assert grant(keeping(FIRST), None, CLOSES - before, POLICY).expires_at == CLOSES


def test_no_link_outside_the_window() -> None:
    """Not from the moment it closes, nor before it opens, nor once deletion was commanded or retention is over."""
    ready = keeping(FIRST)
    going_on = casework()
    going_on.tell(contract())
    over = replace(ready, known=replace(ready.known, expired_at=CLOSES))
    cases = [
        (ready, CLOSES, "closed with 2027-04-01"),
        (going_on.state, OVER, "not open"),
        (ready, OVER - SECONDS, "not open"),
        (Keeping(Known()), OVER, "not open"),
        (Deleting(ready.known, "d", CLOSES), OVER, "closed"),
        (over, OVER, "closed"),
    ]
    for state, now, says in cases:
        with pytest.raises(NoLinkError, match=says):
            grant(state, None, now, POLICY)


def test_what_is_not_there_is_told() -> None:
    """No archive yet, or another one's name: the archives that are there are named."""
    with pytest.raises(NoLinkError, match="No archive is ready"):
        grant(keeping(), None, OVER, POLICY)
    with pytest.raises(NoLinkError, match="There are: e1, e2"):
        grant(keeping(FIRST, SECOND), "e3", OVER, POLICY)


def test_a_link_follows_the_window_as_it_was_changed() -> None:
    """To the last day of a longer one; not after one that was cut short, nor once retention says that it is over."""
    ready = keeping(FIRST)
    longer = replace(ready, known=replace(ready.known, changes=(Change("w", date(2027, 5, 1), OVER),)))
    assert grant(longer, None, CLOSES, POLICY).expires_at == CLOSES + LONGEST
    shorter = replace(ready, known=replace(ready.known, changes=(Change("q", date(2027, 2, 17), OVER, OVER),)))
    told = replace(ready, known=replace(ready.known, expired_at=at("2027-02-18T00:00"), expired_from=OVER))
    for state in (shorter, told):
        with pytest.raises(NoLinkError, match="closed"):
            grant(state, None, at("2027-02-18T00:00"), POLICY)
