"""A confirmation names the export and its checksum, and counts only while nothing changed since (P10)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.exporter.states import Deleting, Keeping
from services.exporter.tasks import Accounted, BuildArchive, CompareExport, CompareFailed
from shared.events.exporter import ConfirmationAccepted, ConfirmationRejected, ConfirmationVoided, ExportReady
from shared.events.platform import DeletionAcknowledged, NotErased
from shared.events.retention import EarlyDeletionAccepted, EarlyDeletionWithdrawn
from tests.casework import Casework, at
from tests.exporter.language import (
    ACCOUNT,
    CLOSES,
    OVER,
    POLICY,
    built,
    command,
    compared,
    confirmed,
    contract,
    expired,
    in_window,
    performed,
    request,
)

DAY = timedelta(days=1)
EARLY = at("2027-02-18T00:00")
USERS, MEDIA = ACCOUNT


def exported() -> tuple[Casework, str]:
    """Give a customer with one archive, and its export's id."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)
    return work, work.one(ExportReady).export_id


def early(export_id: str) -> EarlyDeletionAccepted:
    return EarlyDeletionAccepted(
        customer_id="acme",
        request_id="q-1",
        export_id=export_id,
        sha256="0" * 64,
        terminated_at=OVER,
        last_day=date(2027, 2, 17),
        closes_at=EARLY,
        accepted_at=OVER + DAY,
    )


def test_the_same_is_accepted() -> None:
    """What is as it was when it was exported is confirmed, with who confirmed it and as of when."""
    work, export_id = exported()
    work.tell(confirmed(export_id))
    (_, task) = work.ordered.pop()
    work.tell(compared(task, OVER + DAY, account=(MEDIA, USERS)))

    accepted = work.one(ConfirmationAccepted)
    assert (accepted.export_id, accepted.sha256, accepted.confirmed_by) == (export_id, "0" * 64, "head-1")
    assert (accepted.snapshot_at, accepted.compared_at) == (OVER, OVER + DAY)


@pytest.mark.parametrize(
    ("account", "changed"),
    [
        ((USERS.model_copy(update={"fingerprint": "a2"}), MEDIA), ("users",)),
        ((USERS.model_copy(update={"rows": 11}), MEDIA), ("users",)),
        ((USERS, MEDIA.model_copy(update={"fingerprint": "0"})), ("media",)),
        ((USERS,), ("media",)),
        ((USERS, MEDIA, Accounted(place="quizzes", rows=0, fingerprint="0")), ("quizzes",)),
    ],
)
def test_what_changed_voids_it(account: tuple[Accounted, ...], changed: tuple[str, ...]) -> None:
    """A row or object that is another, new or gone voids it; what changed is named, and a new export is offered."""
    work, export_id = exported()
    work.tell(confirmed(export_id))
    (_, task) = work.ordered.pop()
    work.tell(compared(task, OVER + DAY, account=account))

    void = work.one(ConfirmationVoided)
    assert (void.reason, void.changed, void.offered_until) == ("data_changed", changed, CLOSES)
    assert not work.all(ConfirmationAccepted)
    work.tell(request(OVER, "r2"))
    assert isinstance(work.ordered[0][1], BuildArchive)


def test_another_map_compares_nothing() -> None:
    """By another data map other rows may be meant: nobody can say that nothing changed."""
    work, export_id = exported()
    work.tell(confirmed(export_id))
    (_, task) = work.ordered.pop()
    work.tell(compared(task, OVER + DAY, map_sha256="9" * 64))

    assert work.one(ConfirmationVoided).reason == "map_changed"


@pytest.mark.parametrize("kept", [(), ACCOUNT])
def test_without_an_account_nothing_is_compared(kept: tuple[Accounted, ...]) -> None:
    """An archive from before accounts were kept, or a comparison that read nothing, is never taken for the same."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(lambda task: built(task).model_copy(update={"account": kept}))
    work.tell(confirmed(work.one(ExportReady).export_id))
    (_, task) = work.ordered.pop()
    work.tell(compared(task, OVER, account=()))

    assert work.one(ConfirmationVoided).reason == "not_compared"


@pytest.mark.parametrize(
    ("export_id", "sha256", "when", "reason"),
    [
        ("e-9", "0" * 64, OVER, "unknown_export"),
        (None, "9" * 64, OVER, "other_checksum"),
        (None, "0" * 64, CLOSES, "window_closed"),
    ],
)
def test_a_wrong_one_is_rejected(export_id: str | None, sha256: str, when: Any, reason: str) -> None:
    """Each wrong confirmation has a reason of its own, and nothing is compared for it."""
    work, right = exported()
    work.until(when)
    work.tell(confirmed(export_id or right, sha256))

    rejected = work.one(ConfirmationRejected)
    assert (rejected.reason, rejected.confirmed_by) == (reason, "head-1")
    assert not work.ordered


def test_no_window_no_confirmation() -> None:
    """While a contract goes on again there is nothing to confirm."""
    work, export_id = exported()
    work.tell(contract("c2", date(2028, 12, 31)), confirmed(export_id))

    assert work.one(ConfirmationRejected).reason == "window_not_open"


def test_compared_once_at_a_time() -> None:
    """A second confirmation while the first is compared adds no work; a later one is compared anew."""
    work, export_id = exported()
    work.tell(confirmed(export_id), confirmed(export_id, confirmed_by="head-2"))
    assert len(work.ordered) == 1
    work.perform(performed)
    work.tell(confirmed(export_id))

    assert len(work.ordered) == 1


@pytest.mark.parametrize(
    ("sha256", "when", "reason"), [("9" * 64, OVER, "other_checksum"), ("0" * 64, CLOSES, "window_closed")]
)
def test_a_wrong_one_is_rejected_while_another_is_compared(sha256: str, when: Any, reason: str) -> None:
    """Whoever names another checksum, or comes too late, is told so, though a right one is being compared."""
    work, export_id = exported()
    work.tell(confirmed(export_id))
    work.until(when)
    work.tell(confirmed(export_id, sha256, confirmed_by="head-2"))

    rejected = work.one(ConfirmationRejected)
    assert (rejected.reason, rejected.confirmed_by) == (reason, "head-2")
    work.perform(performed)
    assert work.one(ConfirmationAccepted).confirmed_by == "head-1"


def test_what_can_not_be_compared_is_tried_again_and_then_void() -> None:
    """A comparison that fails for good is tried as often as an archive; then the confirmation can't be relied on."""
    work, export_id = exported()
    work.tell(confirmed(export_id))
    attempts = []
    while work.ordered:
        task = work.ordered.pop()[1]
        assert isinstance(task, CompareExport)
        attempts.append(task.attempt)
        work.tell(CompareFailed(customer_id="acme", export_id=export_id, attempt=task.attempt, reason="map_disagrees"))

    assert attempts == list(range(1, POLICY.attempts + 1))
    assert work.one(ConfirmationVoided).reason == "not_compared"


def test_what_was_compared_is_what_was_exported() -> None:
    """Of an export of a part only that part is compared."""
    work = in_window()
    work.tell(request(OVER).model_copy(update={"scope": ("user",)}))
    work.perform(performed)
    work.tell(confirmed(work.one(ExportReady).export_id))
    (_, task) = work.ordered.pop()

    assert isinstance(task, CompareExport)
    assert task.scope == ("user",)


def cut_short() -> tuple[Casework, str]:
    """Give a customer whose confirmation closes the window early, at the moment at which it does."""
    work, export_id = exported()
    work.tell(confirmed(export_id))
    work.perform(performed)
    work.tell(early(export_id))
    work.until(EARLY - timedelta(microseconds=1))
    assert not work.ordered
    work.until(EARLY)
    return work, export_id


def test_it_is_compared_again_when_the_window_closes_early() -> None:
    """At the early end it is compared once more, and said once; then, and not before, the archives may go."""
    work, _ = cut_short()
    work.tell(command(window_closed_at=EARLY))
    answer = work.one(DeletionAcknowledged).outcome
    assert isinstance(answer, NotErased)
    assert answer.reason == "window_open"
    (_, task) = work.ordered.pop()
    work.tell(compared(task, EARLY))
    work.until(EARLY + DAY)
    assert [one.compared_at for one in work.all(ConfirmationAccepted)] == [OVER, EARLY]
    assert not work.ordered
    work.tell(command(window_closed_at=EARLY))

    assert isinstance(work.state, Deleting)


def test_void_at_the_early_end() -> None:
    """If it doesn't hold any more the archives stay, and when retention takes the early end back all is as before."""
    work, export_id = cut_short()
    (_, task) = work.ordered.pop()
    work.tell(compared(task, EARLY, account=(USERS,)), command(window_closed_at=EARLY))
    assert work.one(ConfirmationVoided).offered_until == CLOSES
    assert isinstance(work.state, Keeping)
    withdrawn = EarlyDeletionWithdrawn(
        customer_id="acme",
        request_id="q-1",
        export_id=export_id,
        reason="confirmation_void",
        terminated_at=OVER,
        last_day=date(2027, 4, 1),
        closes_at=CLOSES,
        withdrawn_at=EARLY,
    )
    work.tell(withdrawn, early(export_id), request(EARLY, "r2"))

    assert isinstance(work.ordered[0][1], BuildArchive)
    work.until(CLOSES)
    assert not [one for _, one in work.ordered if isinstance(one, CompareExport)]


def test_at_the_end_of_the_whole_window_no_confirmation_is_needed() -> None:
    """Archives whose early end nobody could vouch for go with the whole window."""
    work, _ = cut_short()
    work.until(CLOSES)
    work.tell(command())

    assert isinstance(work.state, Deleting)


def test_what_is_deleted_while_it_is_compared_is_answered() -> None:
    """A comparison that isn't over when the archives are gone would come to nothing: the confirmation is answered."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)
    export_id = work.one(ExportReady).export_id
    work.tell(confirmed(export_id))
    late = work.ordered.pop()[1]
    work.until(CLOSES)
    work.tell(expired(), command())
    work.perform(performed)

    assert (work.one(ConfirmationRejected).export_id, work.one(ConfirmationRejected).reason) == (
        export_id, "window_closed",
    )  # fmt: skip
    work.tell(compared(late, CLOSES))
    assert work.all(ConfirmationAccepted) == []
