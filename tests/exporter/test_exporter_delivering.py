"""An archive is sent to where it is wanted only with an agreement, inside the window, and only if it is ready (P9)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from msgspec.structs import replace

from services.exporter.delivering import objection
from services.exporter.states import Deleting, Keeping
from services.exporter.tasks import ArchivesDeleted, DeleteArchives, DeliverExport, NotDelivered
from shared.decision import Task
from shared.events.event import Event
from shared.events.exporter import DeliveryFailed, ExportDelivered, ExportReady
from shared.events.platform import DeletionAcknowledged, WindowChanged
from tests.casework import Casework
from tests.exporter.language import (
    CLOSES,
    OVER,
    POLICY,
    agreed,
    arrived,
    casework,
    command,
    contract,
    deliver,
    expired,
    hold,
    in_window,
    outcome_of,
    performed,
    request,
    terminated,
    withdrawn,
)
from tests.orders import reading_orders

SECOND = timedelta(seconds=1)


def exported(*events: Event, now: datetime = OVER) -> tuple[Casework, str]:
    """Give a customer with one archive, and its export, after *events*."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)
    work.tell(*events)
    work.until(now)
    return work, work.one(ExportReady).export_id


def order(work: Casework) -> DeliverExport:
    (task,) = (task for _, task in work.ordered if isinstance(task, DeliverExport))
    return task


def failed(task: Task, reason: str = "forbidden") -> NotDelivered:
    assert isinstance(task, DeliverExport)
    return NotDelivered(
        customer_id="acme", export_id=task.export_id, attempt=task.attempt, reason=reason, left_behind="parts"
    )


def test_with_an_agreement() -> None:
    """The archive that was named is sent to the place that was named, and said to lie there with its checksum."""
    work, export_id = exported(agreed())
    work.tell(deliver(export_id))
    task = order(work)
    assert (task.export_id, task.place, task.sha256) == (export_id, f"s3://exports/acme/{export_id}.zip", "0" * 64)
    assert task.destination == "new-provider"
    assert not work.all(ExportDelivered)
    work.perform(performed)

    said = work.one(ExportDelivered)
    assert (said.request_id, said.export_id, said.destination) == ("d1", export_id, "new-provider")
    assert (said.size_bytes, said.sha256, said.sent, said.checked) == (1000, "0" * 64, "copied", "read_back")


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ((), "not_agreed"),
        ((agreed(), withdrawn()), "agreement_withdrawn"),
        ((withdrawn(), agreed()), "agreement_withdrawn"),
        ((withdrawn(),), "agreement_withdrawn"),
        ((agreed(), contract("c2", date(2028, 12, 31))), "window_not_open"),
    ],
)
def test_without_the_right_nothing_is_sent(before: tuple[Event, ...], reason: str) -> None:
    """Without an agreement in force, or while a contract goes on: it waits for a late topic, then it is told why."""
    work, export_id = exported(*before)
    work.tell(deliver(export_id))
    assert not work.all(DeliveryFailed)
    work.until(OVER + POLICY.not_open_wait)

    assert work.one(DeliveryFailed).reason == reason
    assert not any(isinstance(task, DeliverExport) for _, task in work.ordered)
    assert not work.state.known.delivering


def test_of_a_customer_never_heard_of() -> None:
    """Whose contracts never come is told so."""
    work = casework()
    work.tell(agreed(), deliver("e-1"))
    work.until(OVER + POLICY.unknown_customer_wait)

    assert work.one(DeliveryFailed).reason == "unknown_customer"


def test_another_agreement_counts() -> None:
    """Only the agreement that was named is withdrawn; a new one has a name of its own."""
    work, export_id = exported(agreed(), withdrawn(), agreed("ta-2"))
    work.tell(deliver(export_id))

    assert order(work).export_id == export_id


@pytest.mark.parametrize(
    ("events", "now"),
    [((), CLOSES), ((expired(),), OVER), ((expired(), command()), CLOSES)],
    ids=["its end", "retention says so", "deletion"],
)
def test_after_the_window(events: tuple[Event, ...], now: datetime) -> None:
    """What was asked for in time and comes too late isn't sent: it would be sent from what has to be deleted."""
    work, export_id = exported(agreed(), now=now)
    work.tell(*events, deliver(export_id))

    assert work.one(DeliveryFailed).reason == "window_closed"
    assert not any(isinstance(task, DeliverExport) for _, task in work.ordered)


def test_once_a_deletion_was_taken_on() -> None:
    """From then on nothing is sent any more, even if the window is made longer while the deletion waits."""
    work, export_id = exported(agreed(), now=CLOSES - SECOND)
    work.tell(request(CLOSES - SECOND, "r2"))
    work.until(CLOSES)
    longer = WindowChanged(
        customer_id="acme", change_id="w-1", last_day=date(2027, 5, 1), changed_by="staff-1", changed_at=CLOSES
    )
    work.tell(command(), longer, deliver(export_id))
    assert isinstance(work.state, Deleting)

    assert work.one(DeliveryFailed).reason == "window_closed"


def test_to_the_last_moment() -> None:
    """A moment before the window closes an archive is still sent."""
    work, export_id = exported(agreed(), now=CLOSES - SECOND)
    work.tell(deliver(export_id))

    assert order(work)
    assert objection(work.state, CLOSES - SECOND, POLICY) is None
    assert objection(work.state, CLOSES, POLICY) == "window_closed"


def test_once_all_is_deleted() -> None:
    """When nothing is left, that is what is said."""
    work, export_id = exported(agreed(), now=CLOSES)
    work.tell(expired(), command())
    work.perform(performed)
    work.tell(deliver(export_id))

    assert work.one(DeliveryFailed).reason == "already_erased"


def test_only_what_is_ready() -> None:
    """An export that is being built, one that there isn't, one whose checksum nobody kept: none of them is sent."""
    work, export_id = exported(agreed())
    work.tell(request(OVER, "r2"))
    building = work.state.known.building[0].export_id
    work.tell(deliver(building), deliver("e-9", "d2"))
    assert [one.reason for one in work.all(DeliveryFailed)] == ["not_ready", "unknown_export"]

    known = work.state.known
    old = replace(known, archives=tuple(replace(copy, sha256="") for copy in known.archives))
    work.case = replace(work.case, state=Keeping(old))
    work.tell(deliver(export_id, "d3"))
    assert work.all(DeliveryFailed)[-1].reason == "checksum_unknown"
    assert not any(isinstance(task, DeliverExport) for _, task in work.ordered)


def test_asked_twice() -> None:
    """The same request is carried out once; another one for the same place while it is being sent is told so."""
    work, export_id = exported(agreed())
    work.tell(deliver(export_id), deliver(export_id), deliver(export_id, "d2"), deliver(export_id, "d3", "archive"))
    assert len(work.ordered) == 2
    said = work.one(DeliveryFailed)
    assert (said.request_id, said.reason) == ("d2", "under_way")
    work.perform(performed)
    work.tell(deliver(export_id), deliver(export_id, "d2"))
    assert not work.ordered

    work.tell(deliver(export_id, "d4"))
    assert order(work)


def test_what_fails_is_said() -> None:
    """Nobody says that it was delivered if it wasn't, and what may lie at the far end is told."""
    work, export_id = exported(agreed())
    work.tell(deliver(export_id))
    task = order(work)
    other = {"attempt": 9}
    work.tell(failed(task).model_copy(update=other), arrived(task).model_copy(update=other), failed(task), failed(task))

    said = work.one(DeliveryFailed)
    assert (said.request_id, said.reason, said.left_behind) == ("d1", "forbidden", "parts")
    assert not work.all(ExportDelivered)


def test_a_hold_stops_no_delivery() -> None:
    """A hold keeps what there is; that the customer gets a copy takes nothing away (P8)."""
    work, export_id = exported(agreed(), hold(OVER))
    work.tell(deliver(export_id))
    work.perform(performed)

    assert work.one(ExportDelivered).export_id == export_id


def test_a_hold_opens_no_window() -> None:
    """What is held after the window is held for the court, not to be sent."""
    work, export_id = exported(agreed(), hold(OVER), now=CLOSES)
    work.tell(deliver(export_id))

    assert work.one(DeliveryFailed).reason == "window_closed"


@pytest.mark.parametrize("ended", [arrived, failed])
def test_a_deletion_waits_for_what_is_on_its_way(ended: object) -> None:
    """While an archive is being sent nothing is deleted, and then all of it, whatever became of the delivery."""
    work, export_id = exported(agreed())
    work.tell(deliver(export_id))
    task = order(work)
    work.ordered.clear()
    work.until(CLOSES)
    work.tell(expired(), command())
    assert isinstance(work.state, Deleting)
    assert not work.ordered
    assert objection(work.state, CLOSES - SECOND, POLICY) == "window_closed"
    work.tell(ended(task))  # type: ignore[operator]

    (deletion,) = (task for _, task in work.ordered)
    assert isinstance(deletion, DeleteArchives)
    work.perform(performed)
    assert outcome_of(work.one(DeletionAcknowledged)) == "erased"


def test_what_arrived_has_arrived() -> None:
    """What was all there before the agreement was withdrawn is the customer's, and is said to lie there."""
    work, export_id = exported(agreed())
    work.tell(deliver(export_id))
    task = order(work)
    work.tell(withdrawn())
    assert objection(work.state, OVER, POLICY) == "agreement_withdrawn"
    work.tell(arrived(task))

    assert work.one(ExportDelivered).export_id == export_id


@given(reading_orders([contract(), terminated(), request(OVER), agreed(), withdrawn("ta-2"), agreed("ta-3")]))
def test_order_does_not_matter(order_of_reading: list[Event]) -> None:
    """Whatever is read first, the same is agreed, and a delivery is carried out once it is."""
    work = casework()
    work.tell(*order_of_reading, *order_of_reading)
    work.perform(performed)
    work.tell(deliver(work.one(ExportReady).export_id))

    assert order(work)


@given(reading_orders([agreed(), deliver("EXPORT")]))
def test_a_request_may_be_read_before_its_agreement(order_of_reading: list[Event]) -> None:
    """The topics have no order between them: it waits for what allows it."""
    work, export_id = exported()
    work.tell(
        *(one.model_copy(update={"export_id": export_id}) if "export_id" in type(one).model_fields else one
          for one in order_of_reading)
    )  # fmt: skip

    assert order(work).export_id == export_id
    assert not work.all(DeliveryFailed)


def test_nothing_is_called_erased_while_it_is_sent() -> None:
    """An archive that a delivery still reads is deleted after it, so the answer to the command comes after it too."""
    work, export_id = exported(agreed(), now=CLOSES - SECOND)
    work.tell(deliver(export_id))
    task = order(work)
    work.ordered.clear()
    work.until(CLOSES)
    work.tell(expired(), command())
    late = ArchivesDeleted(
        customer_id="acme", deletion_id="acme:2027-01-01", attempt=1, deleted=(), remaining=(), bystanders=()
    )
    work.tell(late)
    assert not work.all(DeletionAcknowledged)
    work.tell(failed(task, "window_closed"))
    work.perform(performed)

    assert work.one(DeliveryFailed).reason == "window_closed"
    assert outcome_of(work.one(DeletionAcknowledged)) == "erased"
