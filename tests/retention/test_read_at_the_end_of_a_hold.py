"""What is read when a hold has just come to its end, before anybody woke: both happen, and neither is lost (P8)."""

from __future__ import annotations

from services.retention.states import Held, InWindow, Serving, Surveying
from services.retention.tasks import Survey
from shared.events.event import Event
from shared.events.notice import DeadlineApproaching
from shared.events.platform import ExportConfirmed
from tests.casework import Casework
from tests.retention.language import CLOSES, DAY, OVER, casework, contract, hold, release, terminated

ENDS = CLOSES + 30 * DAY
CONFIRMED = ExportConfirmed(customer_id="acme", export_id="e1", sha256="1" * 64, confirmed_by="p-1", confirmed_at=OVER)


def read_at_the_end(*events: Event) -> Casework:
    """Read *events* at the moment at which a hold of everything comes to its end."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, ends_at=ENDS))
    work.until(CLOSES)
    assert isinstance(work.state, Held)
    work.now = ENDS
    work.tell(*events)
    return work


def test_evidence() -> None:
    """A confirmation is kept, and what there is is surveyed, once."""
    work = read_at_the_end(CONFIRMED)
    work.until(ENDS)

    assert isinstance(work.state, Surveying)
    assert [one.export_id for one in work.state.known.confirmed] == ["e1"]
    assert [(type(task), task.attempt) for _, task in work.ordered] == [(Survey, 1)]  # type: ignore[attr-defined]


def test_nothing_new() -> None:
    """An event that says nothing new lets the case go on all the same."""
    work = read_at_the_end(contract())

    assert isinstance(work.state, Surveying)
    assert [type(task) for _, task in work.ordered] == [Survey]


def test_a_contract() -> None:
    """A contract that goes on brings the customer back."""
    work = read_at_the_end(contract("c2"))
    work.until(ENDS)

    assert isinstance(work.state, Serving)


def test_another_hold() -> None:
    """Another hold keeps everything as it is."""
    work = read_at_the_end(hold(ENDS, "h2"))
    work.until(ENDS + 100 * DAY)

    assert isinstance(work.state, Held)


def test_the_promise_stands_again() -> None:
    """When a hold comes to its end in the window, the deletion that it took back is told of again, by itself or not."""
    for event in (None, CONFIRMED):
        work = casework()
        work.tell(contract(), terminated())
        work.until(CLOSES - 5 * DAY)
        work.tell(hold(work.now, ends_at=work.now + DAY))
        assert work.all(DeadlineApproaching)[-1].change == "cancelled"
        work.now += DAY
        if event is not None:
            work.tell(event)
        work.until(work.now)

        told = work.all(DeadlineApproaching)[-1]
        assert isinstance(work.state, InWindow)
        assert (told.deadline, told.change, told.due_at) == ("deletion", "moved", CLOSES)


def test_a_release_that_was_read_first() -> None:
    """A release of a hold that nobody heard of is remembered, whatever ends meanwhile."""
    work = read_at_the_end(release(ENDS, "h9"))

    assert isinstance(work.state, Surveying)
    assert [one.hold_id for one in work.state.known.holds] == ["h1", "h9"]
