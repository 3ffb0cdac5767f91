"""Links that were given can be taken back, and none outlives the window, however short that has become (P3, P4)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from services.exporter.link import LONGEST, NoLinkError, grant
from services.exporter.states import Deleting, Keeping
from services.exporter.tasks import DeleteArchives, RevokeFailed, RevokeLinks
from shared.events.exporter import ExportReady, LinkRevocationFailed, LinksRevoked
from shared.events.platform import LinkRevocationRequested, WindowChanged
from shared.events.retention import EarlyDeletionAccepted, RetentionExpired
from tests.casework import Casework, at
from tests.exporter.language import (
    CLOSES,
    OVER,
    POLICY,
    command,
    contract,
    expired,
    in_window,
    performed,
    replaced,
    request,
)

DAY = timedelta(days=1)


def exported(now: datetime = OVER, archives: int = 1) -> Casework:
    """Give a customer with archives, at *now*."""
    work = in_window()
    work.tell(*(request(OVER, f"r{number}") for number in range(archives)))
    work.perform(performed)
    work.until(now)
    return work


def revoke(export_id: str) -> LinkRevocationRequested:
    return LinkRevocationRequested(
        customer_id="acme", request_id="q-1", export_id=export_id, requested_by="staff-1", requested_at=OVER
    )


def change(last_day: date, moment: datetime = OVER) -> WindowChanged:
    return WindowChanged(
        customer_id="acme", change_id=f"w-{last_day}", last_day=last_day, changed_by="staff-1", changed_at=moment
    )


def early(last_day: date) -> EarlyDeletionAccepted:
    return EarlyDeletionAccepted(
        customer_id="acme",
        request_id="e-1",
        export_id="e-1",
        sha256="0" * 64,
        terminated_at=OVER,
        last_day=last_day,
        closes_at=at(f"{last_day + DAY}T00:00"),
        accepted_at=OVER + DAY,
    )


def orders(work: Casework) -> list[RevokeLinks]:
    return [task for _, task in work.ordered if isinstance(task, RevokeLinks)]


def test_asked_for() -> None:
    """Links to the archive that was named are taken back; until that is done none is given, and then one is again."""
    work = exported(archives=2)
    first, second = (event.export_id for event in work.all(ExportReady))
    work.tell(revoke(first))
    (order,) = orders(work)
    assert (order.export_id, order.place, order.sha256) == (first, f"s3://exports/acme/{first}.zip", "0" * 64)
    with pytest.raises(NoLinkError, match="being taken back"):
        grant(work.state, first, OVER, POLICY)
    assert grant(work.state, second, OVER, POLICY).archive.export_id == second
    work.perform(performed)

    revoked = work.one(LinksRevoked)
    assert (revoked.export_id, revoked.request_id) == (first, "q-1")
    assert grant(work.state, first, OVER, POLICY).archive.export_id == first


def test_asked_for_twice() -> None:
    """While it is under way no link is given, so one replacement answers both; two at once would undo each other."""
    work = exported()
    ready = work.one(ExportReady)
    first, second = revoke(ready.export_id), revoke(ready.export_id).model_copy(update={"request_id": "q-2"})
    work.tell(first, second)
    assert len(orders(work)) == 1
    work.perform(performed)
    assert [one.request_id for one in work.all(LinksRevoked)] == ["q-1", "q-2"]
    work.tell(first.model_copy(update={"request_id": "q-3"}))

    assert len(orders(work)) == 1


def test_the_version_is_known() -> None:
    """An archive lies in the version that was read back, and after a revocation in the one that took its place."""
    work = exported()
    ready = work.one(ExportReady)
    work.tell(revoke(ready.export_id))
    (order,) = orders(work)
    assert order.object_version == ready.volumes[-1].object_version == "v1"
    work.perform(performed)

    assert work.one(LinksRevoked).object_version == "v1.1"
    assert grant(work.state, ready.export_id, OVER, POLICY).archive.version == "v1.1"


def test_of_no_such_export() -> None:
    """What there is not has no links."""
    work = exported()
    work.tell(revoke("e-9"))

    assert work.one(LinkRevocationFailed).reason == "unknown_export"
    assert not work.ordered


def test_what_fails_is_said() -> None:
    """If the store can't take them back, nobody says that they are."""
    work = exported()
    work.tell(revoke(work.one(ExportReady).export_id))
    (order,) = orders(work)
    failed = RevokeFailed(customer_id="acme", export_id=order.export_id, attempt=order.attempt, reason="not_versioned")
    other = {"attempt": 9}
    work.tell(failed.model_copy(update=other), replaced(order).model_copy(update=other), failed, failed)

    said = work.one(LinkRevocationFailed)
    assert (said.reason, said.request_id) == ("not_versioned", "q-1")
    assert not work.all(LinksRevoked)


def test_a_deletion_waits_for_it() -> None:
    """While a version is being put in another's place nothing is deleted: it would turn up after the deletion."""
    work = exported()
    work.tell(revoke(work.one(ExportReady).export_id))
    work.until(CLOSES)
    (order,) = orders(work)
    work.ordered.clear()
    work.tell(expired(), command())
    assert isinstance(work.state, Deleting)
    assert not work.ordered
    work.tell(replaced(order))

    assert isinstance(work.ordered[0][1], DeleteArchives)


def test_asked_for_while_it_is_deleted() -> None:
    """During a deletion it waits; if that takes too long, somebody is told that nothing was taken back for it."""
    work = exported()
    export_id = work.one(ExportReady).export_id
    work.until(CLOSES)
    work.tell(expired(), command(), revoke(export_id))
    assert not orders(work)
    work.until(CLOSES + POLICY.not_open_wait)

    assert work.one(LinkRevocationFailed).reason == "deletion_requested"


@pytest.mark.parametrize(("days", "taken_back"), [(1, True), (6, True), (7, False), (30, False)])
def test_a_window_that_closes_sooner_than_links_live(days: int, *, taken_back: bool) -> None:
    """Cut short to within a link's longest life, all links that were given are taken back; else they end before."""
    work = exported(at("2027-02-10T00:00"), archives=2)
    work.tell(early(date(2027, 2, 9) + days * DAY))

    assert len(orders(work)) == (2 if taken_back else 0)
    work.perform(performed)
    assert [one.request_id for one in work.all(LinksRevoked)] == ([None, None] if taken_back else [])


def test_a_longer_window_that_is_taken_back() -> None:
    """A link that was given in a window made longer doesn't outlive it when that is taken back."""
    work = exported(CLOSES - DAY)
    work.tell(change(date(2027, 4, 20)))
    assert not orders(work)
    assert grant(work.state, None, work.now, POLICY).expires_at == work.now + LONGEST
    work.tell(change(date(2027, 4, 1), OVER + DAY))

    assert len(orders(work)) == 1


def test_a_contract_that_goes_on_again() -> None:
    """Who comes back has no window, so no link outlives it."""
    work = exported()
    work.tell(contract("c2", date(2028, 12, 31)))

    assert len(orders(work)) == 1


def test_over_sooner_than_this_service_knew() -> None:
    """If retention says that the window is over, and links live on, they are taken back."""
    work = exported(CLOSES - 3 * DAY)
    over = RetentionExpired(customer_id="acme", terminated_at=OVER, window_days=90, window_closed_at=CLOSES - 4 * DAY)
    work.tell(over, over)

    assert len(orders(work)) == 1


def test_the_ordinary_end_costs_nothing() -> None:
    """A window that closes on its day has no links left; that its end is read a moment early changes nothing."""
    work = exported(CLOSES - timedelta(seconds=1))
    work.tell(expired())
    work.until(CLOSES)
    work.tell(expired())

    assert not orders(work)
    assert isinstance(work.state, Keeping)
