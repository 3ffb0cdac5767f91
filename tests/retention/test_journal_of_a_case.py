"""The journal of a case: each decision once, in order, with what led to it and what it said (P11)."""

from __future__ import annotations

from datetime import timedelta

from services.retention.journal import sealed
from tests.retention.language import (
    CLOSES,
    HOLDERS,
    OVER,
    answers_of,
    casework,
    contract,
    deleting,
    performed,
    terminated,
)


def test_from_the_beginning_to_the_end() -> None:
    """What was given, what the case was then and what was published stand there, sealed one with the other."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)
    entries = work.state.known.journal.entries
    told = [(one.given, one.state, one.events) for one in entries if "CustomerInformed" not in one.given]
    warnings = [one for one in told if one[2] and set(one[2]) == {"DeadlineApproaching"}]

    assert [one for one in told if one not in warnings] == [
        ("ContractRegistered", "serving", ()),
        ("ContractTerminated", "window", ()),
        ("Woke", "surveying", ("RetentionExpired",)),
        ("Surveyed", "surveying", ()),
        ("Woke", "deleting", ("DeletionRequested",) * len(HOLDERS)),
        *[("DeletionAcknowledged", "deleting", ())] * 2,
        ("DeletionAcknowledged", "checking", ()),
        ("Checked", "certifying", ("DeletionCompleted",)),
        ("Certified", "closed", ("AccountClosed",)),
    ]
    assert {(given, state) for given, state, _ in warnings} == {("Woke", "window")}
    assert sealed((one.at, one.given, one.state, one.events, one.seal) for one in entries)
    assert (entries[0].at, entries[-1].at) == (OVER, CLOSES)


def test_a_clock_that_goes_back() -> None:
    """An entry says when the service thought it was; the latest moment of all is what a clock is compared with."""
    work = casework()
    work.tell(contract())
    work.now = OVER - timedelta(hours=1)
    work.tell(terminated())
    known = work.state.known

    assert [one.at for one in known.journal.entries] == [OVER, OVER - timedelta(hours=1)]
    assert known.decided_at == OVER
