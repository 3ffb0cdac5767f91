"""Which requests are served and when the archives go: P3, P4 and P7 as sentences."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.exporter.domain import decide
from services.exporter.states import Deleting, Erased, Keeping
from services.exporter.tasks import BuildArchive, DeleteArchives, DeleteFailed
from shared.decision import Ignored
from shared.events.event import Event
from shared.events.exporter import ExportDeleted, ExportFailed, ExportReady, ExportRefused
from shared.events.platform import (
    DeletionAcknowledged,
    Everything,
    HoldScope,
    NotErased,
    OfCategories,
    OfPersons,
    OfTables,
)
from shared.events.platform import Erased as ErasedAnswer
from shared.events.retention import Keep
from shared.events.vocabulary import TableCount
from tests.casework import at
from tests.exporter.language import (
    CLOSES,
    KEY,
    LAST_DAY,
    OVER,
    POLICY,
    built,
    casework,
    command,
    contract,
    deleted,
    expired,
    hold,
    in_window,
    not_built,
    outcome_of,
    performed,
    release,
    request,
    terminated,
)

DAY = timedelta(days=1)
BUCKET = "offramp-media", 2
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("requested_at", "served"),
    [(OVER, True), (CLOSES - MOMENT, True), (CLOSES, False), (CLOSES + DAY, False)],
)
def test_inside_the_window(requested_at: object, *, served: bool) -> None:
    """A request is served from the termination to the end of the last day; later ones are told when it closed."""
    work = in_window()
    work.until(requested_at)  # type: ignore[arg-type]
    work.tell(request(work.now))
    work.perform(performed)

    assert bool(work.all(ExportReady)) is served
    assert [event.closed_on for event in work.all(ExportRefused)] == ([] if served else [LAST_DAY])


def test_ready_to_the_end_of_the_window() -> None:
    """An archive is available to the end of the window, and as many are made as are asked for."""
    work = in_window()
    work.tell(request(OVER), request(OVER, "r2"), request(OVER))
    work.perform(performed)

    assert [event.request_id for event in work.all(ExportReady)] == ["r1", "r2"]
    assert {(event.available_until, event.signed_by) for event in work.all(ExportReady)} == {(CLOSES, KEY)}
    assert len({event.export_id for event in work.all(ExportReady)}) == 2
    assert [(one.table, one.rows) for event in work.all(ExportReady) for one in event.objects] == [BUCKET, BUCKET]


def test_what_was_asked_for_is_ordered() -> None:
    """Scope, formats and language go from the request to the work, and to the second try of it."""
    work = in_window()
    asked = {"scope": ("user",), "formats": ("csv", "pdf"), "language": "sv"}
    work.tell(request(OVER).model_copy(update=asked))
    first = work.ordered.pop(0)[1]
    work.tell(not_built(first))
    again = work.ordered.pop(0)[1]
    work.tell(request(OVER, "r2"))
    unasked = work.ordered.pop(0)[1]

    assert [order.model_dump(include=set(asked)) for order in (first, again)] == [asked, asked]
    assert unasked.model_dump(include=set(asked)) == {"scope": (), "formats": (), "language": "en"}


def test_read_late() -> None:
    """A request made inside the window is served after it, while retention hasn't said that the data may go."""
    work = in_window()
    work.until(CLOSES + DAY)
    work.tell(request(CLOSES - MOMENT))
    work.perform(performed)
    assert work.one(ExportReady)
    work.tell(expired(), request(CLOSES - MOMENT, "r2"))

    assert (work.one(ExportRefused).request_id, work.one(ExportRefused).reason) == ("r2", "window_closed")


def test_made_in_the_future() -> None:
    """A request can't have been made later than it was read: a sender's wrong clock doesn't refuse it."""
    work = in_window()
    work.tell(request(CLOSES + 100 * DAY))
    work.perform(performed)

    assert work.one(ExportReady)


def test_too_early() -> None:
    """A request while the contract goes on waits for topics that lag, and is then told that it is too early."""
    work = casework(OVER - DAY)
    work.tell(contract(), request(OVER - DAY))
    assert not work.published
    work.until(OVER - DAY + POLICY.not_open_wait)

    assert work.one(ExportRefused).reason == "window_not_open"
    assert work.one(ExportRefused).closed_on is None


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]])
def test_read_in_any_order(order: list[int]) -> None:
    """A request is served whether it is read before the contract, before its end, or after both."""
    events: list[Event] = [contract(), terminated(), request(OVER)]
    work = casework()
    work.tell(*[events[place] for place in order])
    work.perform(performed)

    assert work.one(ExportReady)


def test_unknown_customer() -> None:
    """A request of a customer never heard of is refused when it has waited long enough."""
    work = casework()
    work.tell(request(OVER))
    work.until(OVER + POLICY.unknown_customer_wait - MOMENT)
    assert not work.published
    work.until(OVER + POLICY.unknown_customer_wait)

    assert work.one(ExportRefused).reason == "unknown_customer"


def test_all_contracts() -> None:
    """While any of the customer's contracts goes on the window isn't open."""
    work = in_window()
    work.tell(contract("c2", date(2027, 6, 30)), request(OVER))
    work.until(OVER + DAY)

    assert work.one(ExportRefused).reason == "window_not_open"


def test_before_an_end_that_was_told_beforehand() -> None:
    """A termination that is told before it takes effect opens the window when it does."""
    work = casework(OVER - DAY)
    work.tell(contract(), terminated(), request(OVER - DAY))
    work.until(OVER)
    work.tell(request(OVER, "r2"))
    work.perform(performed)

    assert (work.one(ExportRefused).request_id, work.one(ExportReady).request_id) == ("r1", "r2")


def test_built_in_the_end() -> None:
    """An archive that fails is tried again, and the request is answered once."""
    work = in_window()
    work.tell(request(OVER))
    work.tell(not_built(work.ordered.pop(0)[1]))
    work.perform(performed)

    assert [event.type() for _, event in work.published] == ["ExportReady"]


def test_never_built() -> None:
    """After as many attempts as the policy says the request is answered with the reason."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(not_built)

    assert (work.one(ExportFailed).attempts, work.one(ExportFailed).reason) == (POLICY.attempts, "rows_disagree")
    assert not work.state.known.building


def test_old_attempt() -> None:
    """The failure of an earlier attempt isn't counted twice."""
    work = in_window()
    work.tell(request(OVER))
    first = not_built(work.ordered.pop(0)[1])
    work.tell(first)

    assert decide(work.state, first, OVER, POLICY) == Ignored("no such attempt is awaited")


def test_archives_are_copies() -> None:
    """On the command every archive is deleted, told, and the command answered with the counts."""
    work = in_window()
    work.tell(request(OVER), request(OVER, "r2"))
    work.perform(performed)
    work.until(CLOSES)
    work.tell(expired(), command(), command())
    work.perform(performed)

    assert isinstance(work.state, Erased)
    assert {event.export_id for event in work.all(ExportDeleted)} == {
        event.export_id for event in work.all(ExportReady)
    }
    assert outcome_of(work.one(DeletionAcknowledged)) == "erased"
    assert work.one(DeletionAcknowledged).holder == POLICY.holder


def test_asked_after_the_deletion() -> None:
    """A request after the deletion is told that all is erased; the command given again is answered again."""
    work = in_window()
    work.until(CLOSES)
    work.tell(command())
    work.perform(performed)
    work.tell(request(CLOSES - DAY), command())
    work.perform(performed)

    assert work.one(ExportRefused).reason == "already_erased"
    assert [outcome_of(answer) for answer in work.all(DeletionAcknowledged)] == ["erased", "erased"]


@pytest.mark.parametrize("reason", ["held", "window_open", "contract_active", "clock"])
def test_sees_for_itself(reason: str) -> None:
    """The command alone is not enough: this service looks at holds, contracts, window and clock itself."""
    work = in_window()
    work.until(CLOSES - MOMENT if reason == "window_open" else CLOSES)
    if reason == "held":
        work.tell(hold(OVER))
    if reason == "contract_active":
        work.tell(contract("c2", date(2028, 1, 1)))
    work.tell(command(window_closed_at=CLOSES + DAY if reason == "clock" else OVER))

    assert outcome_of(work.one(DeletionAcknowledged)) == reason
    assert not work.ordered
    assert isinstance(work.state, Keeping)


USERS = OfTables(tables=("users",))


@pytest.mark.parametrize(
    ("scope", "told", "outcome"),
    [
        # Whoever commands knows the hold, and that it is of other holders' tables only.
        (USERS, {"holds": ("h1",)}, "erased"),
        (USERS, {"holds": ("h2",)}, "held"),
        (USERS, {"holds": ("h1",), "keep": (Keep(hold_id="h1", scope=USERS),)}, "held"),
        # An archive is of every category and of every person.
        (OfCategories(categories=("user",)), {"holds": ("h1",)}, "held"),
        (OfPersons(refs=("p-1",)), {"holds": ("h1",)}, "held"),
        (Everything(), {"holds": ("h1",)}, "held"),
        (OfTables(tables=()), {"holds": ("h1",)}, "held"),
    ],
)
def test_a_hold_of_a_part(scope: HoldScope, told: dict[str, Any], outcome: str) -> None:
    """No part of an archive can be spared: it goes under a hold of others' tables, and stays under any other."""
    work = in_window()
    work.until(CLOSES)
    work.tell(hold(OVER).model_copy(update={"scope": scope}), command().model_copy(update=told))
    work.perform(performed)

    assert outcome_of(work.one(DeletionAcknowledged)) == outcome


def test_a_hold_that_was_placed_anew() -> None:
    """A hold that was placed again while an archive is waited for may be of more than whoever commanded knew."""
    work = in_window()
    work.tell(request(OVER))
    work.until(CLOSES)
    work.tell(hold(OVER).model_copy(update={"scope": USERS}), expired())
    work.tell(command().model_copy(update={"holds": ("h1",)}))
    work.tell(hold(CLOSES + MOMENT).model_copy(update={"scope": OfTables(tables=("offramp-exports",))}))
    work.perform(performed)

    assert outcome_of(work.one(DeletionAcknowledged)) == "held"


def test_hold_released() -> None:
    """After the release of a hold the command, given again, is carried out."""
    work = in_window()
    work.until(CLOSES)
    work.tell(hold(OVER), command(), release(CLOSES), command())
    work.perform(performed)

    assert [outcome_of(answer) for answer in work.all(DeletionAcknowledged)] == ["held", "erased"]


def test_unknown_customer_is_not_erased() -> None:
    """A command for a customer of whom no contract is known stops, and says so."""
    work = casework(CLOSES)
    work.tell(command())
    work.until(CLOSES + POLICY.unknown_customer_wait)

    assert outcome_of(work.one(DeletionAcknowledged)) == "not_declared"
    assert not work.ordered


@pytest.mark.parametrize("fails", [True, False])
def test_building_when_commanded(*, fails: bool) -> None:
    """An archive in the making is waited for and deleted with the others: no copy outlives the answer."""
    work = in_window()
    work.until(CLOSES - MOMENT)
    work.tell(request(work.now))
    (_, build) = work.ordered.pop(0)
    work.until(CLOSES)
    work.tell(expired(), command())
    assert isinstance(work.state, Deleting)
    assert not work.ordered
    work.tell(not_built(build) if fails else built(build))
    (_, delete) = work.ordered[0]
    assert isinstance(delete, DeleteArchives)
    assert len(delete.archives) == (0 if fails else 1)
    work.perform(performed)

    assert work.one(ExportFailed).reason == "deletion_requested"
    assert not work.all(ExportReady)
    assert isinstance(work.state, Erased)
    assert not work.state.known.archives


def test_held_while_building() -> None:
    """A hold placed while an archive is waited for stops the deletion that was to follow."""
    work = in_window()
    work.tell(request(OVER))
    work.until(CLOSES)
    work.tell(expired(), command(), hold(CLOSES))
    work.perform(performed)

    assert outcome_of(work.one(DeletionAcknowledged)) == "held"
    assert not work.all(ExportDeleted)


def test_built_after_the_end() -> None:
    """An archive that turns up after all was erased is deleted too."""
    work = in_window()
    work.tell(request(OVER))
    late = built(work.ordered.pop(0)[1]).model_copy(update={"export_id": "stray", "place": "s3://exports/acme/x.zip"})
    work.tell(not_built(BuildArchive(customer_id="acme", request_id="r1", export_id=_building(work), attempt=1)))
    work.perform(not_built)
    work.until(CLOSES)
    work.tell(command())
    work.perform(performed)
    assert isinstance(work.state, Erased)
    work.tell(late)
    work.perform(performed)

    assert work.one(ExportDeleted).export_id == "stray"
    assert isinstance(work.state, Erased)


def _building(work: object) -> str:
    return str(work.state.known.building[0].export_id)  # type: ignore[attr-defined]


@pytest.mark.parametrize("heard", [(), (expired(),)])
def test_snapshot_after_the_window(heard: tuple[Event, ...]) -> None:
    """An archive read after the window isn't called ready, told that the data may go or not: some may be gone."""
    work = in_window()
    work.tell(request(OVER))
    work.until(CLOSES)
    work.tell(*heard)
    work.tell(built(work.ordered.pop(0)[1], snapshot_at=CLOSES))

    assert work.one(ExportFailed).reason == "window_closed"
    assert len(work.state.known.archives) == 1


def test_residue() -> None:
    """Archives that remain are answered as they are, and aren't said to be gone."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)
    work.until(CLOSES)
    work.tell(command())
    work.tell(deleted(work.ordered.pop(0)[1], remaining=1))

    assert not work.all(ExportDeleted)
    assert work.one(DeletionAcknowledged).outcome.remaining[0].rows == 1  # type: ignore[union-attr]
    assert isinstance(work.state, Keeping)


def test_delete_fails() -> None:
    """A deletion that fails is answered as not erased, and can be commanded again."""
    work = in_window()
    work.until(CLOSES)
    work.tell(command())
    work.ordered.clear()
    work.tell(DeleteFailed(customer_id="acme", deletion_id="acme:2027-01-01", attempt=1, reason="unreachable"))
    assert outcome_of(work.one(DeletionAcknowledged)) == "failed"
    work.tell(command())
    work.perform(performed)

    assert isinstance(work.state, Erased)


def test_what_went_before_a_deletion_failed_is_answered() -> None:
    """An object lock keeps some: the certificate counts the others, and an operator sees until when."""
    work = in_window()
    work.until(CLOSES)
    work.tell(command())
    work.ordered.clear()
    gone, left = (TableCount(table="exports", rows=4),), (TableCount(table="exports", rows=2),)
    step = {"customer_id": "acme", "deletion_id": "acme:2027-01-01", "attempt": 1}
    work.tell(DeleteFailed(**step, reason="failed", deleted=gone, saved=left, until=CLOSES + 9 * DAY))

    told = work.one(DeletionAcknowledged).outcome
    assert told == NotErased(reason="failed", deleted=gone, saved=left, until=CLOSES + 9 * DAY)


def test_a_hold_in_the_store_is_answered_as_held() -> None:
    """It is no failure: waiting for another try doesn't help, its end does."""
    work = in_window()
    work.until(CLOSES)
    work.tell(command())
    work.ordered.clear()
    work.tell(DeleteFailed(customer_id="acme", deletion_id="acme:2027-01-01", attempt=1, reason="held"))

    assert outcome_of(work.one(DeletionAcknowledged)) == "held"


def test_what_was_only_sampled_is_answered_so() -> None:
    """Else the certificate would say that all of the others' archives were compared."""
    work = in_window()
    work.until(CLOSES)
    work.tell(command())
    work.perform(lambda task: deleted(task).model_copy(update={"sampled": ("exports",)}))

    answer = work.one(DeletionAcknowledged).outcome
    assert isinstance(answer, ErasedAnswer)
    assert answer.sampled == ("exports",)


def test_not_ours() -> None:
    """A command to another holder is none of our business."""
    work = in_window()

    assert decide(work.state, command("platform-media"), CLOSES, POLICY) == Ignored("for another holder")


def test_back_after_the_end() -> None:
    """A customer that comes back is served again, in the window of its new contract."""
    work = in_window()
    work.until(CLOSES)
    work.tell(command())
    work.perform(performed)
    work.tell(contract("c2", date(2028, 12, 31)))
    assert isinstance(work.state, Keeping)
    work.until(at("2029-01-01T00:00"))
    end = terminated("c2", work.now).model_copy(update={"period_end": date(2028, 12, 31)})
    work.tell(end, request(work.now))
    work.perform(performed)

    assert work.one(ExportReady)
