"""A window that was made longer or cut short is the same to the exporter as to retention (P3, P4, P10)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.exporter.domain import domain
from services.exporter.link import NoLinkError, grant
from services.exporter.states import Keeping
from services.exporter.tasks import BuildArchive, CompareExport
from shared.decision import Domain
from shared.events.exporter import (
    ConfirmationAccepted,
    ConfirmationRejected,
    ExportFailed,
    ExportReady,
    ExportRefused,
)
from shared.events.platform import DeletionAcknowledged, LegalHoldPlaced, NotErased, WindowChanged
from shared.events.retention import EarlyDeletionAccepted, RetentionExpired
from tests.casework import at
from tests.exporter.language import (
    CLOSES,
    OVER,
    POLICY,
    built,
    command,
    compared,
    confirmed,
    contract,
    in_window,
    performed,
    request,
    terminated,
)

EARLY = at("2027-02-18T00:00")


def prolonged() -> WindowChanged:
    return WindowChanged(
        customer_id="acme", change_id="w-1", last_day=date(2027, 5, 1), changed_by="staff-1", changed_at=OVER
    )


def early() -> EarlyDeletionAccepted:
    return EarlyDeletionAccepted(
        customer_id="acme",
        request_id="q-1",
        export_id="e-1",
        sha256="1" * 64,
        terminated_at=OVER,
        last_day=date(2027, 2, 17),
        closes_at=EARLY,
        accepted_at=at("2027-02-10T12:00"),
    )


def test_prolonged() -> None:
    """In a longer window data is handed out, and nothing deleted, to its new end."""
    work = in_window()
    work.tell(prolonged(), prolonged())
    work.until(CLOSES)
    work.tell(request(CLOSES), command())
    assert isinstance(work.ordered[0][1], BuildArchive)
    answer = work.one(DeletionAcknowledged).outcome
    assert isinstance(answer, NotErased)
    assert answer.reason == "window_open"
    work.until(at("2027-05-02T00:00"))
    work.tell(request(work.now, "r2"))

    assert work.one(ExportRefused).closed_on == date(2027, 5, 1)


def test_cut_short() -> None:
    """When the customer had it cut short, archives go on the early day and none is made after it."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)
    export_id = work.one(ExportReady).export_id
    work.tell(confirmed(export_id))
    work.perform(performed)
    work.until(EARLY)
    work.tell(command(window_closed_at=EARLY))
    answer = work.one(DeletionAcknowledged).outcome
    assert isinstance(answer, NotErased)
    work.tell(early().model_copy(update={"export_id": export_id}))
    work.until(EARLY)
    work.perform(lambda task: compared(task, EARLY) if isinstance(task, CompareExport) else performed(task))
    work.tell(request(EARLY, "r2"), command(window_closed_at=EARLY))

    assert work.one(ExportRefused).reason == "window_closed"
    assert not isinstance(work.state, Keeping)


def test_over_before_it_is_known_why() -> None:
    """Once retention has said that this very window is over, nothing read from it is called complete."""
    work = in_window()
    work.until(EARLY)
    over = RetentionExpired(customer_id="acme", terminated_at=OVER, window_days=90, window_closed_at=EARLY)
    work.tell(over, request(EARLY))

    assert work.one(ExportRefused).reason == "window_closed"


@pytest.mark.parametrize("known", [True, False])
def test_read_after_the_early_end(*, known: bool) -> None:
    """An archive whose snapshot lies after the early end isn't called ready, since its data may have been gone."""
    work = in_window()
    work.tell(request(OVER))
    task = work.ordered.pop(0)[1]
    over = RetentionExpired(customer_id="acme", terminated_at=OVER, window_days=90, window_closed_at=EARLY)
    work.tell(early() if known else over)
    work.until(EARLY)
    work.tell(built(task, snapshot_at=EARLY))

    assert not work.all(ExportReady)


def test_what_came_too_late_is_not_given_when_the_window_gets_longer() -> None:
    """It was never said to be ready: what it shows may be what a deletion had left over. A new one can be had."""
    work = in_window()
    work.tell(request(OVER))
    task = work.ordered.pop(0)[1]
    work.until(CLOSES)
    work.tell(built(task, snapshot_at=CLOSES), prolonged(), confirmed(task.export_id))

    assert work.one(ExportFailed).reason == "window_closed"
    assert [copy.announced for copy in work.state.known.archives] == [False]
    with pytest.raises(NoLinkError, match="No archive is ready"):
        grant(work.state, None, work.now, POLICY)
    assert not work.all(ConfirmationAccepted)
    assert work.one(ConfirmationRejected).reason == "unknown_export"
    work.tell(request(work.now, "r2"))
    work.tell(built(work.ordered.pop()[1], snapshot_at=work.now))
    assert grant(work.state, None, work.now, POLICY).archive.announced


def test_another_window() -> None:
    """What cut one window short does nothing to the next one."""
    work = in_window()
    work.tell(early(), contract("c2", date(2028, 12, 31)))
    again = at("2029-01-01T00:00")
    work.until(again)
    work.tell(terminated("c2", again).model_copy(update={"period_end": date(2028, 12, 31)}))
    work.until(at("2029-03-01T00:00"))
    work.tell(request(work.now))

    assert isinstance(work.ordered[0][1], BuildArchive)


def test_a_hold_that_has_ended() -> None:
    """A hold that has come to its end by itself keeps the archives no longer."""
    work = in_window()
    placed = LegalHoldPlaced(
        customer_id="acme", hold_id="h1", basis="T 1-26", placed_by="staff-7", placed_at=OVER, ends_at=CLOSES
    )
    work.until(CLOSES)
    work.tell(placed, command())

    assert not isinstance(work.state, Keeping)


def under(policy_days: int) -> Domain[Any, Any]:
    """Give the service under a policy with other days."""
    return domain(POLICY.model_copy(update={"window_days": policy_days}))


def test_the_window_keeps_the_days_that_it_opened_with() -> None:
    """A shorter policy since takes no day from a customer whose 90 days run, whatever is heard of its contracts."""
    work = in_window()
    work.domain = under(30)
    work.tell(contract().model_copy(update={"revision": 2}), terminated("c1"))
    work.until(at("2027-03-31T12:00"))
    work.tell(request(work.now), command())

    assert isinstance(work.ordered[0][1], BuildArchive)
    answer = work.one(DeletionAcknowledged).outcome
    assert isinstance(answer, NotErased)
    assert answer.reason == "window_open"


@pytest.mark.parametrize("back", [True, False])
def test_a_window_that_opens_later_has_the_days_of_its_policy(*, back: bool) -> None:
    """Who comes back and leaves again, or turns out to have left later, is counted by the policy of that moment."""
    work = in_window()
    work.domain = under(30)
    ended = terminated("c2", at("2027-02-01T00:00")).model_copy(update={"period_end": date(2027, 1, 31)})
    if back:
        work.tell(contract("c2", date(2027, 1, 31)))
    work.tell(ended)
    work.until(at("2027-03-04T00:00"))
    work.tell(request(work.now))

    assert work.one(ExportRefused).closed_on == date(2027, 3, 3)
