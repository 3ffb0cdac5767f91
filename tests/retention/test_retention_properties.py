"""What is true of every history of contracts, holds, answers and failures."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.retention.states import Closed
from services.retention.tasks import Certify, CertifyFailed, Check, Checked, CheckFailed, Survey, SurveyFailed
from shared import contracts as ledger
from shared import holds
from shared.decision import Outcome, Task
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import ContractRegistered, LegalHoldPlaced, LegalHoldReleased
from shared.events.retention import AccountClosed, DeletionCompleted, DeletionRequested, RetentionExpired
from shared.window import window_of
from tests.casework import Casework
from tests.orders import reading_orders
from tests.retention.language import (
    CLOSES,
    DAY,
    HOLDERS,
    OVER,
    POLICY,
    answers_of,
    casework,
    contract,
    deleting,
    erased,
    hold,
    not_erased,
    performed,
    readings,
    release,
    terminated,
)

# What happens oftener stands there oftener.
COMMON = ("perform", "perform", "answer", "answer", "answer", "release", "release")
RARE = ("fail", "refuse", "residue", "hold", "contract", "end", "back", "again")
steps = st.sampled_from((*COMMON, *RARE))
histories = st.lists(st.tuples(steps, st.integers(0, 2), st.sampled_from((0, 0, 1, 24, 24 * 5))), max_size=30)
_FAILED: dict[type[Task], type[Outcome]] = {Survey: SurveyFailed, Check: CheckFailed, Certify: CertifyFailed}


class Told:
    """A history as it is told, with what it says of contracts and holds kept apart from the service's own memory."""

    def __init__(self) -> None:
        self.work: Casework = casework()
        self.contracts: ledger.Contracts = ()
        self.holds: holds.Holds = ()
        self.judged = 0
        # Deletions that were commanded before the customer came back.
        self.spent: set[str] = set()

    def tell(self, event: Event) -> None:
        """Tell *event*, and judge what follows from it at once."""
        if isinstance(event, ContractRegistered):
            self.contracts = ledger.registered(self.contracts, event) or self.contracts
        elif isinstance(event, ContractTerminated):
            self.contracts = ledger.terminated(self.contracts, event) or self.contracts
        elif isinstance(event, LegalHoldPlaced):
            self.holds = holds.placed(self.holds, event)
        elif isinstance(event, LegalHoldReleased):
            self.holds = holds.released(self.holds, event)
        self.work.tell(event)
        self.judge()
        if window_of(self.contracts, POLICY.window_days) is None:
            self.spent = {one.deletion_id for one in self.work.all(DeletionRequested)}

    def judge(self) -> None:
        """See that nothing was commanded or closed without the right to, at the moment it was."""
        for moment, event in self.work.published[self.judged :]:
            if isinstance(event, DeletionRequested | AccountClosed):
                window = window_of(self.contracts, POLICY.window_days)
                assert window is not None
                assert moment >= window.closes_at
                assert not holds.held(self.holds)
                assert event.deletion_id not in self.spent
        self.judged = len(self.work.published)

    def happen(self, step: str, number: int) -> None:
        """Let one step happen."""
        work = self.work
        if step in ("perform", "fail"):
            if work.ordered:
                self.tell(_outcome(work.ordered.pop(0)[1], step, number))
            return
        commands = work.all(DeletionRequested)
        deletion_id = commands[-1].deletion_id if commands else "none"
        holder = HOLDERS[number]
        events: dict[str, Event] = {
            "answer": erased(holder, deletion_id=deletion_id),
            "refuse": not_erased(holder, "held", deletion_id),
            "residue": erased(holder, left=1, deletion_id=deletion_id),
            "hold": hold(work.now, f"h{number}"),
            "release": release(work.now, f"h{number}"),
            "contract": contract(f"c{number}", revision=number + 1, period_end=date(2027, 12, 31)),
            "end": terminated(f"c{number}", work.now, period_end=date(2027, 12, 31)),
            "back": terminated(f"c{number}"),
            "again": contract("c1"),
        }
        self.tell(events[step])


def _outcome(task: Task, step: str, number: int) -> Outcome:
    if step == "perform":
        return performed(task)
    if isinstance(task, Check) and number:
        left = readings(task.holders, own=1)
        return Checked(customer_id="acme", deletion_id=task.deletion_id, attempt=task.attempt, readings=left)
    ids = {"deletion_id": task.deletion_id, "attempt": task.attempt}  # type: ignore[attr-defined]
    return _FAILED[type(task)](customer_id="acme", reason="unreachable", **ids)


def live(history: list[tuple[str, int, int]]) -> Told:
    """Let a history happen, from just before a window's close."""
    told = Told()
    told.tell(contract())
    told.tell(terminated())
    told.work.until(CLOSES - DAY)
    for step, number, hours in history:
        told.happen(step, number)
        told.work.until(told.work.now + timedelta(hours=hours))
        told.judge()
    return told


@given(histories)
def test_no_command_without_the_right(history: list[tuple[str, int, int]]) -> None:
    """No command is given and no account closed before the close, under a hold, or while a contract goes on."""
    live(history)


@given(histories)
def test_closed_means_erased(history: list[tuple[str, int, int]]) -> None:
    """An account is closed only when every holder answered that all is erased and a check found nothing left."""
    work = live(history).work

    for closed in work.all(AccountClosed):
        published = [event for _, event in work.published]
        before = published[: published.index(closed)]
        done = [event for event in before if isinstance(event, DeletionCompleted)]
        assert done[-1].deletion_id == closed.deletion_id
        assert {one.holder for one in done[-1].holders} == set(HOLDERS)


@given(histories)
def test_it_ends(history: list[tuple[str, int, int]]) -> None:
    """Once all contracts are over, all holds released and everybody does as told, the account is closed."""
    told = live(history)
    work = told.work
    for number in range(3):
        told.tell(terminated(f"c{number}", work.now, period_end=date(2027, 12, 31)))
        told.tell(release(work.now, f"h{number}"))
    for _ in range(40):
        work.perform(performed)
        for event in work.all(DeletionRequested)[-9:]:
            told.tell(erased(event.holder, deletion_id=event.deletion_id))
        work.until(work.now + 5 * DAY)
        told.judge()

    assert isinstance(work.state, Closed)


@given(
    reading_orders(
        [
            contract(),
            contract("c2"),
            contract("c2", revision=2),
            terminated(),
            terminated("c2", OVER + DAY),
            hold(OVER),
            release(OVER + 2 * DAY),
            hold(OVER + DAY, "h2"),
        ]
    ),
    st.data(),
)
def test_order_does_not_matter(order: list[Event], data: st.DataObject) -> None:
    """The same window, the same hold, the same end, in whatever order topics are read, and read twice."""
    work = casework(now=OVER + 3 * DAY)
    for event in [*order, *order]:
        work.tell(event)
        work.until(work.now)
    work.until(CLOSES + 2 * DAY)
    assert not work.all(DeletionRequested)
    assert work.one(RetentionExpired).window_closed_at == CLOSES + DAY
    work.tell(release(work.now, "h2"))
    work.perform(performed)
    work.until(work.now + 2 * DAY)
    answers = answers_of(work, "acme:2027-01-02")
    work.tell(*data.draw(st.permutations(answers)))
    work.perform(performed)

    assert isinstance(work.state, Closed)
    assert work.one(AccountClosed).rows_deleted == 30


@given(
    hours=st.lists(st.integers(0, 20), min_size=1, max_size=3),
    before=st.sets(st.sampled_from(HOLDERS)),
    last=st.sets(st.sampled_from(HOLDERS)),
)
def test_only_answers_to_the_last_commands_count(hours: list[int], before: set[str], last: set[str]) -> None:
    """Who comes back and leaves again on one day is deleted once more; what was answered before is worth nothing."""
    work = deleting()
    for number, hour in enumerate(hours, start=2):
        deletion_id = work.all(DeletionRequested)[-1].deletion_id
        work.tell(contract(f"c{number}"), terminated(f"c{number}", OVER + timedelta(hours=hour)))
        work.until(work.now + 10 * DAY)
        work.perform(performed)
        work.until(work.now + 10 * DAY)
        work.tell(*[erased(name, deletion_id=deletion_id) for name in before])
    deletion_id = work.all(DeletionRequested)[-1].deletion_id
    work.tell(*[erased(name, deletion_id=deletion_id) for name in last])
    work.perform(performed)

    assert bool(work.all(AccountClosed)) == (last == set(HOLDERS))
