"""Deletion before the window is over: confirmed by the customer, and asked for; never without (P10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.retention.domain import decide
from services.retention.states import InWindow
from shared.decision import Ignored
from shared.events.exporter import ExportReady
from shared.events.notice import DeadlineApproaching
from shared.events.platform import EarlyDeletionRequested, ExportConfirmed
from shared.events.retention import (
    AccountClosed,
    DeletionRequested,
    EarlyDeletionAccepted,
    EarlyDeletionRefused,
    RetentionExpired,
)
from shared.events.vocabulary import TableCount
from tests.casework import Casework, at
from tests.retention.language import (
    CLOSES,
    DAY,
    OVER,
    POLICY,
    answers_of,
    casework,
    contract,
    hold,
    performed,
    release,
    terminated,
    unreached,
)

SUM = "1" * 64
# Seven days of warning after the day on which it was asked for.
EARLY = at("2027-02-18T00:00")


def ready(sha256: str = SUM) -> ExportReady:
    return ExportReady(
        customer_id="acme",
        request_id="r-1",
        export_id="e-1",
        place="s3://exports/acme/e-1.zip",
        size_bytes=1,
        sha256=sha256,
        tables=(TableCount(table="users", rows=10),),
        media=TableCount(table="media", rows=0),
        map_sha256="2" * 64,
        snapshot_at=OVER + DAY,
        available_until=CLOSES,
    )


def confirmed(sha256: str = SUM) -> ExportConfirmed:
    return ExportConfirmed(
        customer_id="acme", export_id="e-1", sha256=sha256, confirmed_by="head-1", confirmed_at=OVER + 2 * DAY
    )


def asked(export_id: str = "e-1", request_id: str = "q-1") -> EarlyDeletionRequested:
    return EarlyDeletionRequested(
        customer_id="acme", request_id=request_id, export_id=export_id, requested_by="head-1", requested_at=OVER
    )


def in_the_window(work: Casework) -> Casework:
    work.tell(contract(), terminated())
    work.until(at("2027-02-10T12:00"))
    return work


def test_confirmed_and_asked_for() -> None:
    """Who confirmed the transfer and asks for it is deleted as soon as it can be warned, and is told of the change."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), asked())
    accepted = work.one(EarlyDeletionAccepted)
    assert (accepted.sha256, accepted.closes_at, accepted.terminated_at) == (SUM, EARLY, OVER)
    work.until(EARLY - timedelta(seconds=1))
    moved = [event for event in work.all(DeadlineApproaching) if event.change == "moved"]
    assert {(event.before, event.due_at) for event in moved} == {(CLOSES, EARLY)}
    assert not work.all(RetentionExpired)
    work.until(EARLY)
    work.perform(performed)
    assert work.when(DeletionRequested) == [EARLY] * 3
    assert {event.window_closed_at for event in work.all(DeletionRequested)} == {EARLY}
    work.tell(*answers_of(work))
    work.perform(performed)

    assert work.one(AccountClosed)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((asked(),), "not_confirmed"),
        ((ready(), asked()), "not_confirmed"),
        ((confirmed(), asked()), "not_confirmed"),
        ((ready(), confirmed("9" * 64), asked()), "not_confirmed"),
        ((ready(), confirmed(), asked("e-2")), "not_confirmed"),
        ((ready(), confirmed(), hold(OVER), asked()), "held"),
    ],
)
def test_never_without(said: Any, reason: str) -> None:
    """Without the export, its confirmation with its checksum, or under a hold, everything stays, and why is said."""
    work = in_the_window(casework())
    work.tell(*said)
    work.until(CLOSES - timedelta(seconds=1))

    assert work.one(EarlyDeletionRefused).reason == reason
    assert not work.all(DeletionRequested)
    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == CLOSES


def test_answered_once() -> None:
    """The same request read twice is answered once; another one later is answered anew."""
    work = in_the_window(casework())
    work.tell(asked(), asked(), ready(), confirmed(), asked(), asked(request_id="q-2"))

    assert len(work.all(EarlyDeletionRefused)) == 1
    assert work.one(EarlyDeletionAccepted).request_id == "q-2"
    for request_id in ("q-1", "q-2"):
        known = decide(work.state, asked(request_id=request_id), work.now, POLICY)
        assert known == Ignored("answered already")


def test_of_two_exports() -> None:
    """Each export is confirmed by its own checksum, the second one as well as the first."""
    work = in_the_window(casework())
    second = {"export_id": "e-2", "sha256": "3" * 64}
    work.tell(ready(), ready().model_copy(update=second), confirmed().model_copy(update=second), asked("e-2"))

    assert work.one(EarlyDeletionAccepted).sha256 == "3" * 64


def test_asked_for_at_the_close() -> None:
    """At the very moment of the close, before anybody woke, there is nothing left to cut short."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed())
    work.until(CLOSES - timedelta(seconds=1))
    work.now = CLOSES
    work.tell(asked())

    assert work.one(EarlyDeletionRefused).reason == "not_in_window"


@pytest.mark.parametrize("over", [False, True])
def test_a_hold_with_an_end(*, over: bool) -> None:
    """A hold with an end of its own stands against it up to then."""
    work = in_the_window(casework())
    ends_at = work.now + DAY
    work.tell(ready(), confirmed(), hold(OVER, ends_at=ends_at))
    work.until(ends_at if over else ends_at - timedelta(seconds=1))
    work.tell(asked())

    assert bool(work.all(EarlyDeletionAccepted)) == over


@pytest.mark.parametrize("when", ["before", "after"])
def test_not_in_a_window(when: str) -> None:
    """Before the contract is over, and when the window has closed, there is nothing to cut short."""
    work = casework()
    work.tell(contract(), ready(), confirmed())
    if when == "after":
        work.tell(terminated(), hold(OVER))
        work.until(CLOSES)
    work.tell(asked())

    assert work.one(EarlyDeletionRefused).reason == "not_in_window"


def test_never_later_than_without() -> None:
    """Asked for in the last days, it makes the window no longer."""
    work = in_the_window(casework())
    work.until(CLOSES - 2 * DAY)
    work.tell(ready(), confirmed(), asked())

    assert work.one(EarlyDeletionAccepted).closes_at == CLOSES


def test_back_before_it_comes() -> None:
    """Who comes back and leaves again has the whole window anew: what was asked for was for another one."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), asked(), contract("c2", period_start=work.now.date()))
    again = at("2027-02-12T00:00")
    work.until(again)
    work.tell(terminated("c2", again, basis="breach", period_end=again.date()))

    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == at("2027-05-14T00:00")


def test_still_nobody_told() -> None:
    """Asking for it doesn't replace the warning: it has to be delivered all the same."""
    work = in_the_window(unreached())
    work.tell(ready(), confirmed(), asked())
    work.until(EARLY)
    work.perform(performed)

    assert not work.all(DeletionRequested)


def test_held_meanwhile() -> None:
    """A hold that comes before the early day keeps everything; released in time, the early day stands."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), asked(), hold(work.now), release(work.now))
    work.until(EARLY)
    work.perform(performed)

    assert work.when(DeletionRequested) == [EARLY] * 3
