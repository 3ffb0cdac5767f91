"""What is true of every history in which laws keep rows: with holds, with contracts that come back, and early ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.retention.states import Closed, Retaining
from services.retention.tasks import Amend, Certify, Check, Checked, HolderReading, Survey, Surveyed, TableReading
from shared import contracts as ledger
from shared import holds
from shared.decision import Outcome, Task
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    DeletionAcknowledged,
    ErasedInPart,
    HeldRows,
    LegalHoldPlaced,
    LegalHoldReleased,
    OfTables,
    RetainedRows,
)
from shared.events.retention import (
    AccountClosed,
    CertificateAmended,
    DeletionRequested,
    EarlyDeletionAccepted,
    EarlyDeletionWithdrawn,
    HolderRetained,
)
from shared.events.vocabulary import TableCount, TableFingerprint
from shared.window import window_of
from tests.casework import Casework
from tests.retention.early import asked, confirmed, found, ready, void
from tests.retention.language import (
    CLOSES,
    DAY,
    HOLDERS,
    OVER,
    POLICY,
    by_law,
    casework,
    contract,
    erased,
    hold,
    performed,
    release,
    terminated,
)

# At two holders, the last days of laws that keep rows; the third has none such.
UNTIL = (date(2027, 3, 31), date(2027, 4, 2), date(2027, 4, 20), date(2028, 12, 31))
laws = st.lists(st.sampled_from(UNTIL), min_size=1, max_size=4)
OFTEN = ("perform", "perform", "perform", "answer", "answer", "answer", "answer")
SELDOM = ("hold", "part", "release", "again", "end", "early", "compare", "void")
steps = st.sampled_from((*OFTEN, *SELDOM))
BEGINS = st.sampled_from((30, 0, -1))
waits = st.sampled_from((0, 0, 0, 0, 1, 24, 24 * 8, 24 * 40))
histories = st.lists(st.tuples(steps, st.integers(0, 2), waits), max_size=40)


@dataclass
class Platform:
    """A customer's rows: at each holder those that nothing keeps, and the last days of those that laws do."""

    laws: dict[str, list[date]]
    free: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOLDERS, 7))

    def lawful(self, holder: str, now: datetime) -> list[date]:
        """Give the last days of what laws keep at *now*; a holder that keeps its days in UTC."""
        return [day for day in self.laws[holder] if now < datetime.combine(day + DAY, time(), UTC)]

    def rows(self, holder: str) -> int:
        """Count all that the customer has there."""
        return self.free[holder] + len(self.laws[holder])

    def answer(self, command: DeletionRequested, now: datetime) -> DeletionAcknowledged | Event:
        """Delete at once all that has to go, and answer."""
        name, held = command.holder, command.keep
        if held:
            # The hold covers the only table.
            kept, gone = self.rows(name), 0
        else:
            kept, gone = len(self.lawful(name, now)), self.rows(name) - len(self.lawful(name, now))
            self.laws[name], self.free[name] = self.lawful(name, now), 0
        if not kept:
            answer: Any = erased(name, rows=gone, deletion_id=command.deletion_id)
            return answer.model_copy(update={"answered_at": now})
        outcome = ErasedInPart(
            deleted=(TableCount(table="users", rows=gone),),
            kept=(TableCount(table="users", rows=kept),),
            held=tuple(HeldRows(table="users", rows=kept, hold_id=one.hold_id) for one in held),
            needed=(),
            remaining=(TableCount(table="users", rows=0),),
            bystanders=(TableFingerprint(table="users", rows_before=5, rows_after=5, before="aa", after="aa"),),
            retained=_by_day(self.lawful(name, now)),
        )
        return DeletionAcknowledged(
            customer_id="acme", deletion_id=command.deletion_id, holder=name, outcome=outcome, answered_at=now
        )

    def survey(self, task: Survey) -> Surveyed:
        """Read all."""
        rows = tuple(_reading(name, self.rows(name), 0) for name in task.holders)
        step = {"customer_id": "acme", "deletion_id": task.deletion_id, "attempt": task.attempt}
        return Surveyed(**step, readings=rows, due=1, customers=1000, usual_rows=None)

    def check(self, task: Check, now: datetime) -> Checked:
        """Read what is left, and what of that has to be."""
        held = {one.holder for one in task.held}
        rows = tuple(self._left(name, now, held=name in held) for name in task.holders)
        step = {"customer_id": "acme", "deletion_id": task.deletion_id, "attempt": task.attempt}
        return Checked(**step, readings=rows)

    def _left(self, name: str, now: datetime, *, held: bool) -> HolderReading:
        lawful = self.lawful(name, now)
        kept = self.rows(name) if held else len(lawful)
        read = _reading(name, self.rows(name) - kept, kept)
        return read.model_copy(update={"retained": _by_day(lawful)})


def _reading(holder: str, own: int, kept: int) -> HolderReading:
    row = TableReading(table="users", own=own, others=5, fingerprint="aa", kept=kept)
    return HolderReading(holder=holder, tables=(row,))


def _by_day(days: Iterable[date]) -> tuple[RetainedRows, ...]:
    return tuple(by_law(day, rows) for day, rows in sorted(Counter(days).items()))


class Told:
    """A history as it is told: what it says of contracts, holds and ends is kept apart from the service's memory."""

    def __init__(self, *days: list[date]) -> None:
        self.work: Casework = casework()
        self.platform = Platform(dict(zip(HOLDERS, (*days, []), strict=True)))
        self.contracts: ledger.Contracts = ()
        self.holds: holds.Holds = ()
        # When the window closes that is cut short now, and the comparisons that were heard of.
        self.early: datetime | None = None
        self.verdicts: list[tuple[datetime, bool]] = []
        self.first: set[str] = set()
        self.amended: list[Amend] = []
        self.done: set[tuple[str, datetime]] = set()
        self.judged = self.back = 0

    def tell(self, event: Event) -> None:
        """Tell *event*, and judge what follows."""
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

    def judge(self) -> None:
        """See that nothing that was said is untrue, at the moment at which it was said."""
        for moment, event in self.work.published[self.judged :]:
            self._judge(moment, event)
        self.judged = len(self.work.published)

    def _judge(self, moment: datetime, event: Event) -> None:
        match event:
            case EarlyDeletionAccepted():
                assert self.verdicts
                assert max(self.verdicts)[1]
                self.early = event.closes_at
            case EarlyDeletionWithdrawn():
                self.early = None
            case DeletionRequested():
                self._command(moment, event)
            case AccountClosed():
                self._names_what_stays(event.retained)
                self.first.add(event.deletion_id)
            case CertificateAmended():
                self._names_what_stays(event.retained)
                self._adds_up(event)

    def _command(self, moment: datetime, event: DeletionRequested) -> None:
        window = window_of(self.contracts, POLICY.window_days)
        assert window is not None
        assert not holds.all_held(self.holds, moment)
        if moment < window.closes_at:
            assert self.early is not None
            assert self.early <= moment
            last, same = max(self.verdicts)
            assert same
            assert last >= self.early
        if self.first and not self.back:
            # Of what was certified as kept nothing is commanded before the first of it has had its time.
            first = min(day for kept in self.platform.laws.values() for day in kept)
            assert moment >= datetime.combine(first + DAY, time(), UTC)

    def _names_what_stays(self, retained: tuple[HolderRetained, ...]) -> None:
        told = {at.holder: Counter({one.until: one.rows for one in at.retained}) for at in retained}
        assert told == {name: Counter(days) for name, days in self.platform.laws.items() if days}
        assert not any(self.platform.free.values())

    def _adds_up(self, event: CertificateAmended) -> None:
        (task,) = [one for one in self.amended if one.deletion_id == event.deletion_id][-1:]
        told = Counter({(one.holder, one.until): one.rows for one in (*task.gone, *task.retained)})
        retained = self.work.published[: self.judged + 1]
        before = [one for _, one in retained if isinstance(one, AccountClosed | CertificateAmended) and one != event]
        was = Counter({(at.holder, one.until): one.rows for at in before[-1].retained for one in at.retained})
        assert told == was

    def happen(self, step: str, number: int) -> None:
        """Let one step happen."""
        work = self.work
        if step == "perform":
            if work.ordered:
                self.tell(self.performed(work.ordered.pop(0)[1]))
                work.until(work.now)
                self.judge()
        elif step == "answer":
            self.answers(HOLDERS[number:])
        else:
            self.tell(self._said(step, number))

    def _said(self, step: str, number: int) -> Event:
        now = self.work.now
        match step:
            case "hold":
                return hold(now, f"h{number}")
            case "part":
                return hold(now, f"h{number}", scope=OfTables(tables=("users",)))
            case "release":
                return release(now, f"h{number}")
            case "again":
                self.back += 1
                # Whoever is back works.
                self.platform.free = dict.fromkeys(HOLDERS, 7)
                return contract(f"c{number + 2}", period_end=date(2030, 12, 31))
            case "end" if self.going_on():
                return terminated(self.going_on()[0], now, period_end=date(2030, 12, 31))
            case "early" | "end":
                return asked(request_id=f"q{len(self.work.published)}")
        self.verdicts.append((now, step == "compare"))
        return found(now) if step == "compare" else void(now)

    def carry_on(self) -> None:
        """Let everybody do what is theirs to do."""
        for _ in range(2):
            while self.work.ordered:
                self.happen("perform", 0)
            self.answers(HOLDERS)

    def going_on(self) -> list[str]:
        """Name the contracts that go on."""
        return [one.contract_id for one in self.contracts if one.active]

    def performed(self, task: Task) -> Outcome:
        """Perform *task* on what there is."""
        if isinstance(task, Survey):
            return self.platform.survey(task)
        if isinstance(task, Check):
            return self.platform.check(task, self.work.now)
        assert isinstance(task, Certify | Amend)
        if isinstance(task, Amend):
            self.amended.append(task)
        return performed(task)

    def answers(self, names: Iterable[str]) -> None:
        """Let holders carry out their last commands, if the right to is still there: their systems know who is back."""
        for name in names:
            every = (one for one in self.work.all(DeletionRequested) if one.holder == name)
            commands = [one for one in every if (name, one.respond_by) not in self.done]
            ended = window_of(self.contracts, POLICY.window_days) is not None
            if commands and ended and not holds.all_held(self.holds, self.work.now):
                current = {one.hold_id for one in holds.in_force(self.holds, self.work.now)}
                if current <= {one.hold_id for one in commands[-1].keep}:
                    self.done |= {(name, one.respond_by) for one in commands}
                    self.tell(self.platform.answer(commands[-1], self.work.now))


def live(days_before: int, history: list[tuple[str, int, int]], *days: list[date]) -> Told:
    """Let a history happen, with an export that was confirmed: from so many days before a window's close, or after it.

    Afterwards all that goes then has gone.
    """
    told = Told(*days)
    for event in (contract(), terminated(), ready(), confirmed()):
        told.tell(event)
    told.verdicts.append((OVER + 2 * DAY, True))
    told.tell(found())
    told.work.until(CLOSES - days_before * DAY)
    if days_before < 0:
        told.carry_on()
    for step, number, hours in history:
        told.judge()
        told.happen(step, number)
        told.work.until(told.work.now + timedelta(hours=hours))
        told.judge()
    return told


@given(BEGINS, histories, laws, laws)
def test_what_is_said_of_it_is_true(
    days_before: int, history: list[tuple[str, int, int]], ours: list[date], other: list[date]
) -> None:
    """Just the rows that are named stay when an account is closed or amended, and nothing goes early without a word."""
    live(days_before, history, ours, other)


@given(BEGINS, histories, laws, laws)
def test_it_goes_in_the_end(
    days_before: int, history: list[tuple[str, int, int]], ours: list[date], other: list[date]
) -> None:
    """All contracts over, all holds released, everybody doing as told: once all has had its time nothing is left."""
    told = live(days_before, history, ours, other)
    for name in told.going_on():
        told.tell(terminated(name, told.work.now, period_end=date(2030, 12, 31)))
    for number in range(3):
        told.tell(release(told.work.now, f"h{number}"))
    for _ in range(90):
        told.carry_on()
        state = told.work.state
        retained = state.known.retained if isinstance(state, Retaining) else None
        told.work.until(told.work.now + 5 * DAY if retained is None else retained.due_at)
        told.judge()
        if isinstance(told.work.state, Closed):
            break

    assert isinstance(told.work.state, Closed)
    assert not any(told.platform.rows(name) for name in HOLDERS)
