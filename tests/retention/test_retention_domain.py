"""The 90 days, the deletion, the proof and the end: P3's clock, P7, P8 and P11 as sentences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.retention.certificate import certificate_of
from services.retention.course import considered
from services.retention.domain import decide, wakes_at
from services.retention.policy import HolderPolicy, RetentionPolicy
from services.retention.proof import certify
from services.retention.right import NoRightToDeleteError, insist
from services.retention.states import (
    Awaiting,
    Certifying,
    Checking,
    Closed,
    Deleting,
    Held,
    InWindow,
    Known,
    Serving,
    Stalled,
    Surveying,
)
from services.retention.tasks import (
    Certify,
    CertifyFailed,
    Check,
    Checked,
    CheckFailed,
    Survey,
    Surveyed,
    SurveyFailed,
)
from shared.decision import Ignored, Outcome, Task
from shared.events.event import Event
from shared.events.notice import DeadlineApproaching
from shared.events.platform import CustomerInformed, ExportConfirmed
from shared.events.retention import (
    AccountClosed,
    DeletionCompleted,
    DeletionRequested,
    DeletionStalled,
    RetentionExpired,
)
from tests.casework import Casework, at
from tests.retention.language import (
    CLOSES,
    DAY,
    DELETION,
    HOLDERS,
    OVER,
    POLICY,
    SEARCHED,
    answers_of,
    casework,
    contract,
    deleting,
    erased,
    held_by_all,
    hold,
    not_erased,
    performed,
    readings,
    release,
    silent,
    terminated,
)

STRICT = POLICY.model_copy(update={"bystanders": "strict"})
MOMENT = timedelta(microseconds=1)
LOAD = {"due": 1, "customers": 1000, "usual_rows": None}


def test_the_whole_way() -> None:
    """A customer leaves: the window closes, every holder deletes, it is checked, certified, and the account closed."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)

    told = [type(event) for _, event in work.published if not isinstance(event, DeadlineApproaching)]
    assert told == [RetentionExpired, *[DeletionRequested] * 3, DeletionCompleted, AccountClosed]
    assert isinstance(work.state, Closed)
    assert work.one(AccountClosed).rows_deleted == 30
    assert {event.holder for event in work.all(DeletionRequested)} == set(HOLDERS)
    assert work.one(AccountClosed).deletion_id == DELETION


def test_window_to_the_moment() -> None:
    """Nothing happens before 90 full local days are over, and then at once."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES - MOMENT)
    assert not work.all(RetentionExpired)
    assert not work.ordered
    work.until(CLOSES)

    expired = work.one(RetentionExpired)
    assert (expired.terminated_at, expired.window_closed_at, expired.window_days) == (OVER, CLOSES, 90)
    assert [type(task) for _, task in work.ordered] == [Survey]


def test_no_contract_known() -> None:
    """A customer of whom only a hold is known waits for nothing and loses nothing."""
    work = casework()
    work.tell(hold(OVER))
    work.until(OVER + 3000 * DAY)

    assert not work.published


def test_all_contracts() -> None:
    """The window opens only when all contracts are over, and closes 90 days after the last."""
    work = casework()
    later = at("2027-02-01T00:00")
    work.tell(contract("c1"), contract("c2"), terminated("c1"))
    work.until(CLOSES)
    assert isinstance(work.state, Serving)
    work.tell(terminated("c2", later))

    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == at("2027-05-03T00:00")


def test_registered_anew_in_the_window() -> None:
    """A contract registered during the window brings the customer back, and later a window of its own."""
    work = casework()
    work.tell(contract(), terminated(), contract("c2", period_end=date(2027, 12, 31)))
    work.until(CLOSES + 100 * DAY)
    assert isinstance(work.state, Serving)
    assert not work.all(RetentionExpired)
    work.tell(terminated("c2", at("2028-01-01T00:00"), period_end=date(2027, 12, 31)))

    assert isinstance(work.state, InWindow)


def test_prolonged_after_its_end() -> None:
    """A newer revision of the ended contract, for a later period, brings the customer back too."""
    work = casework()
    work.tell(contract(), terminated(), contract(revision=2, period_end=date(2027, 12, 31)))

    assert isinstance(work.state, Serving)


@pytest.mark.parametrize("stage", ["surveying", "held"])
def test_registered_anew_before_commands(stage: str) -> None:
    """A contract registered before commands are out stops the deletion quietly: nothing was touched."""
    work = casework()
    work.tell(contract(), terminated())
    if stage == "held":
        work.tell(hold(OVER))
    work.until(CLOSES)
    assert isinstance(work.state, Held if stage == "held" else Surveying)
    work.tell(contract("c2", period_end=date(2027, 12, 31)))
    work.perform(performed)
    work.until(CLOSES + 100 * DAY)

    assert isinstance(work.state, Serving)
    assert not work.all(DeletionRequested)


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_registered_anew_after_commands(answers: int) -> None:
    """A contract registered while commands are out is an operator's business; with it over, all begins anew."""
    work = deleting()
    work.tell(*answers_of(work)[:answers])
    work.tell(contract("c2", period_end=date(2027, 12, 31)), contract("c2", revision=2, period_end=date(2027, 11, 30)))
    work.perform(performed)
    work.until(CLOSES + 100 * DAY)
    work.tell(*answers_of(work))
    work.perform(performed)

    assert (work.one(DeletionStalled).reason, work.one(DeletionStalled).holders) == (
        "contract_active",
        HOLDERS[answers:],
    )
    assert not work.all(AccountClosed)
    assert (work.state.reason, work.state.deletion.deletion_id) == ("contract_active", DELETION)
    work.tell(terminated("c2", at("2027-12-01T00:00"), period_end=date(2027, 11, 30)))
    work.until(at("2028-03-01T00:00"))
    work.perform(performed)
    work.tell(*answers_of(work, "acme:2027-12-01"))
    work.perform(performed)

    assert work.one(AccountClosed).deletion_id == "acme:2027-12-01"


@pytest.mark.parametrize("stage", ["window", "held", "surveying", "surveyed"])
def test_a_hold_always_wins(stage: str) -> None:
    """Whenever a hold is placed before the commands, none is given until it is released; then it goes on."""
    work = casework()
    work.tell(contract(), terminated())
    if stage == "window":
        work.tell(hold(OVER))
    work.until(CLOSES)
    if stage == "surveyed":
        outcome = performed(work.ordered.pop(0)[1])
        # The outcome is in, the waking that gives the commands has not come.
        work.tell(outcome)
    if stage != "window":
        work.tell(hold(CLOSES))
    work.perform(performed)
    work.until(CLOSES + 500 * DAY)
    assert isinstance(work.state, Held)
    assert not work.all(DeletionRequested)
    assert work.one(RetentionExpired)
    work.tell(release(work.now))
    work.perform(performed)
    # The customer was told of no deletion while there was a hold, so it is told now, and has until tomorrow.
    assert not work.all(DeletionRequested)
    work.until(work.now + 2 * DAY)

    assert isinstance(work.state, Deleting | Stalled)
    assert len(work.all(DeletionRequested)) == 3


def test_two_holds() -> None:
    """Only the release of the last hold lets anything go on."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, "h1"), hold(OVER, "h2"))
    work.until(CLOSES)
    work.tell(release(CLOSES, "h1"))
    assert isinstance(work.state, Held)
    work.tell(release(CLOSES, "h2"))

    assert isinstance(work.state, Surveying)


@pytest.mark.parametrize("release_first", [True, False])
def test_release_read_before_its_placing(*, release_first: bool) -> None:
    """A hold whose release was read first holds nothing; one placed again later does."""
    work = casework()
    both: list[Event] = [hold(OVER), release(OVER + DAY)]
    work.tell(contract(), terminated(), *(both[::-1] if release_first else both))
    work.until(CLOSES)
    assert isinstance(work.state, Surveying)
    work.tell(hold(CLOSES))

    assert isinstance(work.state, Held)


def test_held_while_deleting() -> None:
    """A hold placed after the commands: no command is repeated, nothing closes; who refused is asked on release."""
    work = deleting()
    work.tell(hold(CLOSES), erased(HOLDERS[0]), not_erased(HOLDERS[1], "held"))
    work.until(CLOSES + 100 * DAY)
    assert len(work.all(DeletionRequested)) == 3
    work.tell(release(work.now))
    work.until(work.now)

    assert sorted(event.holder for event in work.all(DeletionRequested)[3:]) == sorted(HOLDERS[1:])
    work.tell(erased(HOLDERS[1]), erased(HOLDERS[2]))
    work.perform(performed)
    assert isinstance(work.state, Closed)


def test_refused_because_of_a_hold() -> None:
    """A holder that refused because of a hold is commanded at once when it is released, not days later."""
    work = deleting()
    work.tell(hold(CLOSES), not_erased(HOLDERS[0], "held"), release(CLOSES))
    work.until(CLOSES)

    assert [event.holder for event in work.all(DeletionRequested)[3:]] == [HOLDERS[0]]


@pytest.mark.parametrize("revision", [1, 2])
def test_older_revisions(revision: int) -> None:
    """A revision that is known, or older than the one known, ends nothing and brings nobody back."""
    work = casework()
    work.tell(contract(revision=2, period_end=date(2027, 12, 31)), terminated())
    older = contract(revision=revision)
    assert decide(work.state, older, OVER, POLICY) == Ignored("an older revision")

    assert isinstance(work.state, Serving)


@pytest.mark.parametrize("state", [Checking, Certifying])
def test_held_while_proving(state: type) -> None:
    """A hold placed while the proof is made keeps the case open; on release the step is made again."""
    work = deleting()
    work.tell(*answers_of(work))
    if state is Certifying:
        work.tell(performed(work.ordered.pop(0)[1]))
    assert isinstance(work.state, state)
    work.tell(hold(CLOSES))
    work.perform(performed)
    assert isinstance(work.state, state)
    assert not work.all(AccountClosed)
    work.tell(release(CLOSES))
    work.perform(performed)

    assert work.one(AccountClosed)
    assert work.one(DeletionCompleted)


def test_unanswered() -> None:
    """A holder that doesn't answer stalls the deletion, once per command; it is commanded again, and nothing closes."""
    work = deleting()
    work.tell(erased(HOLDERS[0]), erased(HOLDERS[1]))
    due = work.all(DeletionRequested)[2].respond_by
    work.until(due - MOMENT)
    assert not work.all(DeletionStalled)
    work.until(due)
    assert work.one(DeletionStalled).reason == "unanswered"
    assert work.one(DeletionStalled).holders == (HOLDERS[2],)
    work.until(due + DAY)
    assert work.all(DeletionRequested)[3].holder == HOLDERS[2]
    # 1, 2, 4, 7, 7 ... days after each silence, each command with a day to answer in.
    work.until(due + 40 * DAY)

    commanded = work.when(DeletionRequested)[3:]
    assert [(moment - due).days for moment in commanded] == [1, 4, 9, 17, 25, 33]
    assert not work.all(AccountClosed)
    work.tell(erased(HOLDERS[2]))
    work.perform(performed)
    assert isinstance(work.state, Closed)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (not_erased(HOLDERS[0]), "refused"),
        (not_erased(HOLDERS[0], "held"), "held"),
        (erased(HOLDERS[0], left=1), "residue"),
        (erased(HOLDERS[0], touched=1), "bystanders"),
        (silent(HOLDERS[0]), "bystanders"),
    ],
)
def test_bad_answers(answer: Event, reason: str) -> None:
    """A refusal, a residue, others' rows touched or not compared: stalled until the answer is good."""
    work = deleting()
    work.tell(answer, *answers_of(work)[1:])
    assert isinstance(work.state, Stalled)
    assert (work.one(DeletionStalled).reason, work.one(DeletionStalled).holders) == (reason, HOLDERS[:1])
    work.perform(performed)
    work.until(CLOSES + DAY)
    # What can be done again is; where others were touched an operator has to look first.
    assert len(work.all(DeletionRequested)) == (3 if reason == "bystanders" else 4)
    assert not work.all(DeletionCompleted)
    work.tell(erased(HOLDERS[0]))
    work.perform(performed)

    assert isinstance(work.state, Closed)


def test_deleted_but_not_read_again() -> None:
    """An answer that doesn't say what remains of a table counts as a residue."""
    work = deleting()
    answer = erased(HOLDERS[0])
    outcome = answer.outcome.model_copy(update={"remaining": ()})  # type: ignore[attr-defined]
    work.tell(answer.model_copy(update={"outcome": outcome}))

    assert work.one(DeletionStalled).reason == "residue"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (erased(HOLDERS[0], deletion_id="acme:2020-01-01"), "the answer to another deletion"),
        (erased("nobody"), "not one of the holders that were commanded"),
        (erased(HOLDERS[1]), "the holder has answered"),
    ],
)
def test_answers_that_do_not_count(answer: Event, reason: str) -> None:
    """An answer for another deletion, by another holder, or given a second time is ignored, with the reason."""
    work = deleting()
    work.tell(erased(HOLDERS[1]))

    assert decide(work.state, answer, work.now, POLICY) == Ignored(reason)


def test_answer_after_the_end() -> None:
    """An answer after the account was closed is ignored."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)

    assert decide(work.state, erased(HOLDERS[0]), work.now, POLICY) == Ignored("no answer is awaited")


def _failing(kind: type[Task], outcome: Callable[..., Outcome], **values: Any) -> Callable[[Task], Outcome]:
    done: list[Task] = []

    def perform(task: Task) -> Outcome:
        if isinstance(task, kind) and not done:
            done.append(task)
            ids = {"deletion_id": DELETION, "attempt": task.attempt}  # type: ignore[attr-defined]
            return outcome(customer_id="acme", **ids, **values)
        return performed(task)

    return perform


@pytest.mark.parametrize(
    ("policy", "kind", "outcome", "values", "reason"),
    [
        (POLICY, Survey, SurveyFailed, {"reason": "unreachable"}, "check_failed"),
        (POLICY, Survey, Surveyed, {"readings": readings(HOLDERS[:2]), **LOAD}, "check_failed"),
        (POLICY, Check, CheckFailed, {"reason": "unreachable"}, "check_failed"),
        (POLICY, Check, Checked, {"readings": ()}, "check_failed"),
        (POLICY, Check, Checked, {"readings": readings(HOLDERS[:2])}, "check_failed"),
        (POLICY, Check, Checked, {"readings": readings(table="courses")}, "check_failed"),
        (POLICY, Check, Checked, {"readings": readings(own=1)}, "residue"),
        (POLICY, Check, Checked, {"readings": readings(copied={HOLDERS[1]: 3})}, "residue"),
        (STRICT, Check, Checked, {"readings": readings(fingerprint="bb")}, "bystanders"),
        (POLICY, Check, Checked, {"readings": readings(fingerprint="bb")}, None),
        (POLICY, Certify, CertifyFailed, {"reason": "no_key"}, "check_failed"),
    ],
)
def test_proof_fails(
    policy: RetentionPolicy, kind: type[Task], outcome: type[Outcome], values: dict[str, Any], reason: str | None
) -> None:
    """A survey, check or certificate that fails, reads too little or finds something stalls; tried again it goes on."""
    work, perform = casework(policy), _failing(kind, outcome, **values)
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(perform)
    work.tell(*answers_of(work))
    work.perform(perform)
    if reason is None:
        assert work.one(AccountClosed)
        return
    assert work.one(DeletionStalled).reason == reason
    assert not work.all(AccountClosed)
    work.until(CLOSES + 8 * DAY)
    work.perform(perform)
    work.tell(*answers_of(work))
    work.perform(perform)

    assert work.one(AccountClosed)
    assert work.one(DeletionCompleted)


def test_old_outcome() -> None:
    """The outcome of an earlier attempt doesn't count for a later one."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    stale = performed(work.ordered.pop(0)[1])
    work.tell(hold(CLOSES), release(CLOSES))

    assert decide(work.state, stale, CLOSES, POLICY) == Ignored("no survey is awaited")


def test_clock_went_back() -> None:
    """With a clock that went back no command is given until it has caught up with the last decision."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER))
    work.until(CLOSES)
    work.now = OVER
    work.tell(release(OVER))
    work.perform(performed)
    work.until(CLOSES - timedelta(minutes=2))
    assert not work.all(DeletionRequested)
    work.until(CLOSES + 2 * DAY)

    assert len(work.all(DeletionRequested)) == 3


def test_clock_went_back_after_the_close() -> None:
    """That holds even if the window had long closed: which of the two times is true nobody can say."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER))
    work.until(CLOSES + 100 * DAY)
    work.tell(hold(work.now, "h2"), release(work.now, "h2"))
    work.now = CLOSES + DAY
    work.tell(release(OVER))
    work.perform(performed)
    work.until(CLOSES + 100 * DAY - timedelta(minutes=2))
    assert not work.all(DeletionRequested)
    work.until(CLOSES + 102 * DAY)

    assert len(work.all(DeletionRequested)) == 3


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda known: replace(known, holds=held_by_all()), "a legal hold keeps everything"),
        (lambda known: replace(known, contracts=()), "a contract goes on"),
        (lambda known: replace(known, window_days=120), "the window is open"),
        (lambda known: replace(known, window_days=0), "a contract goes on"),
        (lambda known: replace(known, customer_id=""), "whose case it is, or by which policy, isn't known"),
        (lambda known: replace(known, decided_at=CLOSES + timedelta(minutes=1) + MOMENT), "the clock went back"),
    ],
)
def test_no_right_no_command(spoilt: Callable[[Known], Known], reason: str) -> None:
    """Even a state that is wrong gives no command without the right to: what is missing or strange is none."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.tell(performed(work.ordered.pop(0)[1]))
    state = work.state
    assert isinstance(considered(state, CLOSES, POLICY).state, Deleting)

    with pytest.raises(NoRightToDeleteError, match=f"^{reason}$"):
        insist(spoilt(state.known), state.window, CLOSES)
    with pytest.raises(NoRightToDeleteError):
        considered(replace(state, known=spoilt(state.known)), CLOSES, POLICY)


def test_by_no_policy() -> None:
    """A case that was counted by nobody knows which policy has no right either."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)

    with pytest.raises(NoRightToDeleteError, match=r"^whose case it is, or by which policy, isn't known$"):
        insist(replace(work.state.known, policy_version=""), work.state.window, CLOSES)


def test_clocks_differ() -> None:
    """A clock that is a minute behind another one is no clock that went back."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)

    insist(replace(work.state.known, decided_at=CLOSES + timedelta(minutes=1)), work.state.window, CLOSES)


@pytest.mark.parametrize("days", [0, 89, 91])
def test_another_window(days: int) -> None:
    """The first command is given only for the very window that follows from what is known."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.tell(performed(work.ordered.pop(0)[1]))

    with pytest.raises(NoRightToDeleteError, match=r"^a contract goes on, or the window is another one$"):
        considered(replace(work.state, known=replace(work.state.known, window_days=days)), CLOSES + 9 * DAY, POLICY)


@pytest.mark.parametrize("spoilt", [{"seen": ()}, {"load": None}])
def test_nothing_read_no_command(spoilt: dict[str, Any]) -> None:
    """Without a survey of what there is, and of how much else is due, nothing is commanded."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.tell(performed(work.ordered.pop(0)[1]))

    with pytest.raises(NoRightToDeleteError, match=r"^what there is wasn't read$"):
        considered(replace(work.state, **spoilt), CLOSES, POLICY)


def test_no_command_before_the_close() -> None:
    """A moment before the window's close there is no right to delete."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.tell(performed(work.ordered.pop(0)[1]))

    with pytest.raises(NoRightToDeleteError, match=r"^the window is open$"):
        insist(work.state.known, work.state.window, CLOSES - MOMENT)
    assert isinstance(considered(work.state, CLOSES - MOMENT, POLICY).state, Awaiting)


def test_new_holder_in_the_policy() -> None:
    """A holder that was declared since the commands went out is commanded too, before all is called complete."""
    work = deleting()
    more = (*POLICY.holders, HolderPolicy(name="search", respond_within=DAY))
    work.domain = casework(POLICY.model_copy(update={"holders": more})).domain
    work.tell(*answers_of(work))
    work.until(work.now)

    assert work.all(DeletionRequested)[-1].holder == "search"
    assert isinstance(work.state, Deleting)


def test_announcements() -> None:
    """The end of the window and the deletion are told beforehand; under a hold no deletion is promised."""
    free, kept = casework(), casework()
    free.tell(contract(), terminated())
    kept.tell(contract(), terminated(), hold(OVER))
    for work in (free, kept):
        work.until(CLOSES - MOMENT)

    closing = [f"acme:window_closes:2027-04-01:{days}" for days in (60, 30, 7, 1)]
    told = [event.announcement_id for event in free.all(DeadlineApproaching)]
    assert sorted(told) == sorted([*closing, "acme:deletion:2027-04-01:7", "acme:deletion:2027-04-01:1"])
    assert [event.announcement_id for event in kept.all(DeadlineApproaching)] == closing
    assert {event.due_at for event in free.all(DeadlineApproaching)} == {CLOSES}


def test_evidence() -> None:
    """Who was told what, which export was confirmed and which holds there were goes into the certificate."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER), release(OVER + DAY))
    work.until(CLOSES - DAY)
    told = CustomerInformed(
        customer_id="acme",
        announcement_id="acme:window_closes:2027-04-01:7",
        channel="email",
        outcome="delivered",
        informed_at=work.now,
    )
    confirmed = ExportConfirmed(
        customer_id="acme", export_id="e1", sha256="1" * 64, confirmed_by="staff-7", confirmed_at=work.now
    )
    work.tell(told, confirmed, told, confirmed, told.model_copy(update={"announcement_id": "c1:period_end:x"}))
    work.until(CLOSES)
    tasks = _tasks(work)

    (certify,) = [task for task in tasks if isinstance(task, Certify)]
    assert told in certify.informed
    assert {one.announcement_id for one in certify.informed} == {
        event.announcement_id for event in work.all(DeadlineApproaching)
    }
    assert certify.confirmed == (confirmed,)
    assert [(one.hold_id, one.released_at) for one in certify.holds] == [("h1", OVER + DAY)]
    assert [answer.deleted[0].rows for answer in certify.answers] == [10, 10, 10]
    assert (certify.window_closed_at, certify.policy_version) == (CLOSES, POLICY.version)


def _tasks(work: Casework) -> list[Task]:
    """Carry a case to its end, and give the tasks on the way."""
    tasks: list[Task] = []

    def perform(task: Task) -> Outcome:
        tasks.append(task)
        return performed(task)

    work.perform(perform)
    work.tell(*answers_of(work))
    work.perform(perform)
    return tasks


def test_back_after_the_end() -> None:
    """A customer that comes back after its account was closed is served, and can leave again."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)
    work.tell(contract("c9", period_end=date(2028, 12, 31)))
    assert isinstance(work.state, Serving)
    work.tell(terminated("c9", at("2029-01-01T00:00"), period_end=date(2028, 12, 31)))
    work.until(at("2029-06-01T00:00"))
    work.perform(performed)
    work.tell(*answers_of(work, "acme:2029-01-01"))
    work.perform(performed)

    assert [event.deletion_id for event in work.all(AccountClosed)] == [DELETION, "acme:2029-01-01"]


def test_nothing_is_due_under_a_hold() -> None:
    """While a hold is placed a deletion under way wants no waking at all."""
    work = deleting()
    work.tell(hold(CLOSES))

    assert wakes_at(work.state) is None


def test_a_clock_that_is_behind() -> None:
    """With a clock that is half a minute behind another one nothing is commanded before the close all the same."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.now = CLOSES - timedelta(seconds=30)
    work.tell(performed(work.ordered.pop(0)[1]))

    assert wakes_at(work.state) == CLOSES


def test_the_certificate_says_where_the_id_was_looked_for() -> None:
    """What the last check searched is told of each holder, also when an earlier one had found copies."""
    work, perform = casework(), _failing(Check, Checked, readings=readings(copied={HOLDERS[1]: 3}))
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(perform)
    work.tell(*answers_of(work))
    work.perform(perform)
    assert work.one(DeletionStalled).holders == HOLDERS[1:2]
    work.until(CLOSES + 8 * DAY)
    work.perform(perform)
    work.tell(*answers_of(work))
    orders: list[Certify] = []
    work.perform(lambda task: orders.append(task) or performed(task) if isinstance(task, Certify) else perform(task))
    (order,) = orders

    assert [one.searched for one in order.after] == [SEARCHED] * len(HOLDERS)
    told = certificate_of(order).validation.holders
    assert [one.searched and one.searched.model_dump() for one in told] == [
        {"columns": 12, "passed_over": ("plans",), "identifiers": 3, "left_out": 1, "others_unknown": False}
    ] * len(HOLDERS)


def test_what_a_former_release_searched_for_is_not_taken_for_all() -> None:
    """It looked for the one id; of others that there may have been it kept nothing."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(performed)
    work.tell(*answers_of(work))
    work.perform(lambda task: None if isinstance(task, Certify) else performed(task))
    assert isinstance(work.state, Certifying)
    deletion = replace(work.state.deletion, sought=())
    order = certify(work.state.known, deletion, work.state.after, work.state.checked_at, POLICY)
    told = {one.searched for one in certificate_of(order).validation.holders}

    assert {(one.identifiers, one.left_out, one.others_unknown) for one in told if one} == {(1, 0, True)}
