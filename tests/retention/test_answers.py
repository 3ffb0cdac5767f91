"""Holders that lie, answer twice, for others, too late or never: none of it closes an account or loses a count (P7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.retention.certificate import Certificate, certificate_of
from services.retention.domain import decide
from services.retention.policy import HolderPolicy, RetentionPolicy
from services.retention.states import Awaiting, Certifying, Checking, Closed, Deleting, Stalled
from services.retention.tasks import Certify, CertifyFailed, Check, Checked, Survey, Surveyed, TableReading
from shared.decision import Ignored, Outcome, Task
from shared.events.event import Event
from shared.events.notice import DeadlineApproaching
from shared.events.platform import DeletionAcknowledged, DeletionApproved, Erased, NotErased
from shared.events.retention import AccountClosed, DeletionRequested, DeletionStalled
from shared.events.vocabulary import TableCount, TableFingerprint
from tests.casework import Casework, at
from tests.retention.early import ready
from tests.retention.language import (
    CLOSES,
    DAY,
    DELETION,
    HOLDERS,
    OVER,
    POLICY,
    answers_of,
    by_law,
    casework,
    contract,
    deleting,
    erased,
    not_erased,
    performed,
    readings,
    retains,
    surveyed,
    terminated,
)

COUNTED = "an answer that has been counted, or one before it"
ACCESS = "single-sign-on"
WITH_ACCESS: RetentionPolicy = POLICY.model_copy(
    update={"holders": (*POLICY.holders, HolderPolicy(name=ACCESS, respond_within=DAY, access_only=True))}
)


@pytest.mark.parametrize(
    "outcome",
    [
        NotErased(reason="failed", deleted=(TableCount(table="users", rows=2**53 - 1),)),
        NotErased(reason="failed", saved=(TableCount(table="users", rows=10**12 + 1),)),
        Erased(
            deleted=(TableCount(table="users", rows=2**53 - 1), TableCount(table="users", rows=1)),
            remaining=(TableCount(table="users", rows=0),),
            bystanders=(TableFingerprint(table="users", rows_before=5, rows_after=5, before="aa", after="aa"),),
        ),
    ],
)
def test_a_number_that_is_no_systems_is_in_no_sum(outcome: Any) -> None:
    """One such answer is told to an operator; those that follow are added up, and the case can end."""
    work = deleting()
    work.tell(erased(HOLDERS[0]).model_copy(update={"outcome": outcome}))
    told = work.one(DeletionStalled)
    work.until(CLOSES + 2 * DAY)
    work.tell(*answers_of(work))
    work.perform(performed)

    assert (told.reason, told.holders) == ("counts", HOLDERS[:1])
    assert work.one(AccountClosed).rows_deleted == 10 * len(HOLDERS)


def test_nor_does_it_hide_that_others_were_touched() -> None:
    """Commanding it again could only hide what happened, whatever it says it counted."""
    work = deleting()
    work.tell(erased(HOLDERS[0], rows=10**12 + 1, touched=1))
    work.until(CLOSES + 30 * DAY)

    assert work.all(DeletionStalled)[0].reason == "bystanders"
    assert [one.holder for one in work.all(DeletionRequested)].count(HOLDERS[0]) == 1
    assert next(one for one in work.state.deletion.holders if one.name == HOLDERS[0]).differed


def test_a_law_may_keep_until_the_last_day_of_all() -> None:
    """Nobody's answer is buried for a date that can be written."""
    work = deleting()
    work.tell(retains(HOLDERS[0], by_law(date.max)))

    assert not work.all(DeletionStalled)


def test_counts_that_cannot_be_true() -> None:
    """A holder that says it deleted less than there was stops the case, though nothing is left; a person decides."""
    work = deleting()
    work.tell(erased(HOLDERS[0], rows=9), *[erased(name) for name in HOLDERS[1:]])
    work.perform(performed)
    told = work.one(DeletionStalled)
    assert (told.reason, told.holders) == ("counts", HOLDERS[:1])
    work.until(CLOSES + 30 * DAY)
    work.perform(performed)
    assert not work.all(AccountClosed)
    work.tell(
        DeletionApproved(
            customer_id="acme",
            deletion_id=DELETION,
            in_spite_of=("counts",),
            rows=30,
            requested_by="staff-1",
            approved_by="staff-2",
            approved_at=work.now,
        )
    )
    work.until(work.now + 8 * DAY)
    work.perform(performed)

    assert work.one(AccountClosed).rows_deleted == 29


def test_more_than_there_was() -> None:
    """Rows that were written since the survey are counted, and stop nothing."""
    work = deleting()
    work.tell(erased(HOLDERS[0], rows=12), *[erased(name) for name in HOLDERS[1:]])
    work.perform(performed)

    assert work.one(AccountClosed).rows_deleted == 32


def test_a_part_that_was_deleted_counts() -> None:
    """What a holder deleted before it had to stop is in the sum, once."""
    work = deleting()
    stopped = NotErased(reason="failed", deleted=(TableCount(table="users", rows=4),))
    work.tell(not_erased(HOLDERS[0]).model_copy(update={"outcome": stopped}))
    work.until(CLOSES + DAY)
    work.tell(erased(HOLDERS[0], rows=6), *[erased(name) for name in HOLDERS[1:]])
    work.perform(performed)

    assert work.one(AccountClosed).rows_deleted == 30


def test_an_answer_that_is_told_again_answers_no_other_command() -> None:
    """Something is left, and all are commanded again: what they said before is no answer to that, and counts once."""
    work = deleting()
    first = [erased(name) for name in HOLDERS]
    work.tell(*first)
    work.perform(_something_left)
    assert work.one(DeletionStalled).reason == "residue"
    work.until(work.now + 2 * DAY)
    assert len(work.all(DeletionRequested)) == 2 * len(HOLDERS)
    work.tell(*first)
    work.perform(performed)

    assert isinstance(work.state, Deleting)
    assert decide(work.state, first[0], work.now, POLICY) == Ignored(COUNTED)
    work.tell(*[erased(name, rows=0) for name in HOLDERS])
    work.perform(performed)
    assert work.one(AccountClosed).rows_deleted == 30


def test_no_answer_of_before_answers_another_command_in_a_case_of_a_former_release() -> None:
    """It has noted only when the last good answer was given, and that is enough."""
    work = deleting()
    first = [erased(name) for name in HOLDERS]
    work.tell(*first)
    assert isinstance(work.state, Checking)
    holders = tuple(replace(one, heard=None) for one in work.state.deletion.holders)
    state = replace(work.state, deletion=replace(work.state.deletion, holders=holders))
    work.case = replace(work.case, state=state)
    work.perform(_something_left)
    work.until(work.now + 2 * DAY)
    work.tell(*first)

    assert isinstance(work.state, Deleting)


def _something_left(task: Task) -> Outcome:
    outcome = performed(task)
    return outcome.model_copy(update={"readings": readings(own=1)}) if isinstance(outcome, Checked) else outcome


@pytest.mark.parametrize("residue", [False, True])
def test_what_went_is_counted_once_however_often_it_is_told(residue: bool) -> None:  # noqa: FBT001
    """A refusal, or a residue, is told again under another id: no more is gone than before."""
    work = deleting()
    stopped = NotErased(reason="failed", deleted=(TableCount(table="users", rows=4),))
    first: Any = erased(HOLDERS[0], rows=4, left=6)
    first = first if residue else first.model_copy(update={"outcome": stopped})
    work.tell(first, first)
    work.until(CLOSES + DAY)
    work.tell(first, erased(HOLDERS[0], rows=6), *[erased(name) for name in HOLDERS[1:]])
    work.perform(performed)

    assert work.one(AccountClosed).rows_deleted == 30


def test_what_stays_for_others_and_what_was_sampled_is_certified() -> None:
    """A certificate that kept silent about either would say more than was done."""
    work = deleting()
    answer: Any = erased(HOLDERS[0])
    said = {"shared": (TableCount(table="objects.files", rows=3),), "sampled": ("users",), "accounted": 4}
    outcome = answer.outcome.model_copy(update=said)
    work.tell(answer.model_copy(update={"outcome": outcome}), *[erased(name) for name in HOLDERS[1:]])
    told = _certified(work).holders[0]
    assert {
        "shared": told.shared, "sampled": told.verification.sampled, "accounted": told.verification.accounted,
    } == said  # fmt: skip


def test_what_differed_once_is_certified_beside_what_was_equal_later() -> None:
    """An operator looked and the holder answered well; whoever reads the certificate still sees what it first said."""
    work = deleting()
    work.tell(erased(HOLDERS[0], touched=1))
    assert work.one(DeletionStalled).reason == "bystanders"
    work.tell(*[erased(name, rows=0) for name in HOLDERS[:1]], *[erased(name) for name in HOLDERS[1:]])

    told, other, *_ = _certified(work).holders
    assert [(one.rows_before, one.rows_after) for one in told.verification.bystanders] == [(5, 5)]
    assert [(one.rows_before, one.rows_after) for one in told.verification.differed] == [(5, 4)]
    assert not other.verification.differed


def test_objects_that_were_exported_are_certified_beside_those_that_went() -> None:
    """What the exporter tells of each bucket, and what the service itself counted before and after, come together."""
    work = casework()
    media, by_bucket = TableCount(table="media", rows=7), (TableCount(table="media-bucket", rows=7),)
    work.tell(contract(), terminated(), ready().model_copy(update={"media": media, "objects": by_bucket}))
    work.until(CLOSES)
    work.perform(_with_bucket)
    work.tell(*answers_of(work))
    found = _certified(work, _with_bucket).symmetry

    assert found is not None
    [row] = found.objects
    assert (row.exported, row.deleted, row.shared, row.gone_before) == (7, 4, 2, 1)


def _with_bucket(task: Task) -> Outcome:
    """Read of a bucket besides, at one holder, four objects before and none after, and two that are others', too."""
    outcome = performed(task)
    if not isinstance(outcome, Surveyed | Checked):
        return outcome
    objects, shared = (4, 2) if isinstance(outcome, Surveyed) else (0, 0)
    more = TableReading(table="media-bucket", own=0, others=5, fingerprint="aa", objects=objects, shared=shared)
    first, *rest = outcome.readings
    return outcome.model_copy(update={"readings": (first.model_copy(update={"tables": (*first.tables, more)}), *rest)})


def _certified(work: Casework, performed: Callable[[Task], Outcome] = performed) -> Certificate:
    """Give the certificate that is ordered in the end."""
    tasks: list[Task] = []

    def noted(task: Task) -> Outcome | None:
        tasks.append(task)
        return performed(task)

    work.perform(noted)
    [certify] = [task for task in tasks if isinstance(task, Certify)]
    return certificate_of(certify)


def _back_and_over(moment: datetime) -> Casework:
    """Let the customer come back while holders are commanded, and leave again, as of *moment*."""
    work = deleting()
    work.tell(contract("c2"), terminated("c2", moment))
    work.until(CLOSES + DAY)
    work.perform(performed)
    work.until(CLOSES + 10 * DAY)
    work.perform(performed)
    return work


@pytest.mark.parametrize("moment", [OVER, OVER + timedelta(hours=6)])
def test_a_deletion_that_begins_anew_has_a_name_of_its_own(moment: datetime) -> None:
    """Whoever came back may have new rows: answers to the former commands say nothing about them."""
    work = _back_and_over(moment)
    again = work.all(DeletionRequested)[len(HOLDERS) :]
    assert {event.deletion_id for event in again} == {f"{DELETION}:2"}
    assert {event.holder for event in again} == set(HOLDERS)
    for name in HOLDERS:
        assert decide(work.state, erased(name), work.now, POLICY) == Ignored("the answer to another deletion")
    work.tell(*answers_of(work, f"{DELETION}:2"))
    work.perform(performed)

    assert work.one(AccountClosed).deletion_id == f"{DELETION}:2"


def test_an_approval_of_a_deletion_that_was_given_up_lets_none_go_on() -> None:
    """It was of what there was then; who came back and left on the same day is looked at again."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(_a_thousand_due)
    approve = {"in_spite_of": ("blast_radius",), "rows": 30, "requested_by": "staff-1", "approved_by": "staff-2"}
    approval = DeletionApproved(customer_id="acme", deletion_id=DELETION, approved_at=work.now, **approve)
    work.tell(approval, contract("c2"), terminated("c2", OVER + timedelta(hours=6)))
    work.until(CLOSES + DAY)
    work.perform(_a_thousand_due)

    assert isinstance(work.state, Awaiting)
    assert not work.all(DeletionRequested)


@pytest.mark.parametrize("days", [0, 1])
def test_who_came_back_and_left_on_the_same_day_is_warned_of_that(days: int) -> None:
    """Its date is the same, so what was said looks right, but it was said of another end: there are days to object."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES - (1 - days) * DAY)
    if days:
        work.perform(_a_thousand_due)
    said = len(work.all(DeadlineApproaching))
    work.tell(terminated("c2", OVER + timedelta(hours=6)))
    work.until(CLOSES)
    work.perform(performed)
    assert isinstance(work.state, Awaiting)
    assert not work.all(DeletionRequested)
    [warning] = work.all(DeadlineApproaching)[said:]
    assert (warning.deadline, warning.change) == ("deletion", "moved")
    work.until(warning.due_at - timedelta(seconds=1))
    assert not work.all(DeletionRequested)
    work.until(warning.due_at)

    assert len(work.all(DeletionRequested)) == len(HOLDERS)
    assert warning.due_at >= CLOSES + min(POLICY.announce_before.deletion) * DAY


def _a_thousand_due(task: Task) -> Outcome:
    return surveyed(task, due=1000) if isinstance(task, Survey) else performed(task)


def test_silence_blocks_nobody() -> None:
    """One silent holder holds up no other, is asked again on its own, and who has to know grows with the silence."""
    work = deleting()
    work.tell(*[erased(name) for name in HOLDERS[1:]])
    work.until(CLOSES + 60 * DAY)

    assert {event.holder for event in work.all(DeletionRequested)[3:]} == {HOLDERS[0]}
    told = [event.escalate_to for event in work.all(DeletionStalled)]
    assert told[:5] == ["operators", "operators", "lead", "lead", "data-protection"]
    assert not work.all(AccountClosed)


@pytest.mark.parametrize("stage", [Checking, Certifying, Closed])
def test_late_answers(stage: type) -> None:
    """An answer that comes when it is no longer awaited changes nothing and is counted nowhere."""
    work = deleting()
    work.tell(*answers_of(work))
    while not isinstance(work.state, stage):
        work.tell(performed(work.ordered.pop(0)[1]))
    for answer in (erased(HOLDERS[0]), not_erased(HOLDERS[0]), erased(HOLDERS[0], touched=1)):
        assert decide(work.state, answer, work.now, POLICY) == Ignored("no answer is awaited")
    work.perform(performed)

    assert work.one(AccountClosed).rows_deleted == 30


def test_closed_twice() -> None:
    """A certificate that is heard of a second time closes nothing a second time."""
    work = deleting()
    work.tell(*answers_of(work))
    outcomes: list[Outcome] = []

    def kept(task: Task) -> Outcome:
        outcomes.append(performed(task))
        return outcomes[-1]

    work.perform(kept)

    assert decide(work.state, outcomes[-1], work.now, POLICY) == Ignored("no certificate is awaited")
    assert work.one(AccountClosed)


def test_a_second_end_on_the_same_day() -> None:
    """A contract that turns out to have ended too, when all is closed, is deleted under an id of its own."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)
    work.tell(terminated("c2", at("2027-01-01T12:00"), period_end=at("2027-01-01T12:00").date()))
    work.until(work.now + 3 * DAY)
    work.perform(performed)
    work.until(work.now + 3 * DAY)
    work.tell(*answers_of(work, f"{DELETION}:2"))
    work.perform(performed)

    assert [event.deletion_id for event in work.all(AccountClosed)] == [DELETION, f"{DELETION}:2"]


def test_access_ends_everywhere() -> None:
    """A service that only ends access is commanded and must answer before anything closes; nothing of it is read."""
    work = casework(WITH_ACCESS)
    work.tell(contract(), terminated())
    work.until(CLOSES)
    (survey,) = [task for _, task in work.ordered if isinstance(task, Survey)]
    assert ACCESS not in survey.holders
    work.perform(performed)
    work.tell(*[erased(name) for name in HOLDERS])
    work.perform(performed)
    assert not work.all(AccountClosed)
    work.tell(_ended())
    checks = [task for _, task in work.ordered if isinstance(task, Check)]
    work.perform(performed)

    assert work.one(AccountClosed)
    assert all(ACCESS not in check.holders for check in checks)


def test_access_that_does_not_end() -> None:
    """A service that doesn't say that access has ended keeps the account open, by name."""
    work = casework(WITH_ACCESS)
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(performed)
    work.tell(*[erased(name) for name in HOLDERS])
    work.until(CLOSES + 30 * DAY)

    assert work.all(DeletionStalled)[-1].holders == (ACCESS,)
    assert isinstance(work.state, Stalled) or not work.all(AccountClosed)


def _ended() -> Event:
    outcome = Erased(deleted=(), remaining=(), bystanders=())
    return DeletionAcknowledged(
        customer_id="acme", deletion_id=DELETION, holder=ACCESS, outcome=outcome, answered_at=CLOSES
    )


def test_what_the_survey_was_read_by() -> None:
    """The data map by which a customer was counted is fixed in the case, and goes along with the command."""
    digest = "7" * 64

    def by_map(task: Task) -> Outcome:
        if not isinstance(task, Survey):
            return performed(task)
        done = surveyed(task)
        first = done.readings[0].model_copy(update={"map_sha256": digest})
        return done.model_copy(update={"readings": (first, *done.readings[1:])})

    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(by_map)
    work.until(work.now + timedelta(days=1, seconds=1))

    assert {event.holder: event.map_sha256 for event in work.all(DeletionRequested)} == {
        HOLDERS[0]: digest,
        HOLDERS[1]: None,
        HOLDERS[2]: None,
    }


def test_a_certificate_that_fails() -> None:
    """It is made again from the very readings that proved the deletion."""
    work = deleting()
    work.tell(*answers_of(work))
    work.tell(performed(work.ordered.pop(0)[1]))
    _, first = work.ordered.pop(0)
    assert isinstance(first, Certify)
    ids = {"customer_id": "acme", "deletion_id": DELETION, "attempt": first.attempt}
    work.tell(CertifyFailed(**ids, reason="no_key"))
    work.until(work.state.retry_at)
    _, second = work.ordered.pop(0)

    assert isinstance(second, Certify)
    assert (second.after, second.checked_at, second.attempt) == (first.after, first.checked_at, first.attempt + 1)
    assert len(first.after) == len(HOLDERS)
