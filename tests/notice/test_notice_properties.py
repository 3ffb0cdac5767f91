"""What is true of every history of notices, contracts and withdrawals."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notice.calendar import last_day_for_notice, period_at
from services.notice.judging import FLAWS
from services.notice.terms import terms_of
from shared.days import first_moment, first_moment_after
from shared.events.event import Event
from shared.events.notice import ContractTerminated, DeadlineApproaching, NoticeAccepted, NoticeRejected
from shared.events.platform import (
    AutomaticRenewal,
    CalendarDays,
    ContractRegistered,
    NoRenewal,
    NoticeReceived,
    NoticeWithdrawn,
    Vouched,
)
from tests.casework import Casework
from tests.notice.language import POLICY, casework
from tests.orders import reading_orders

ZONES = ("Europe/Stockholm", "America/Sao_Paulo", "Pacific/Apia", "America/St_Johns", "UTC")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(0, 3 * 365 * 24 * 4).map(lambda quarters: FIRST + timedelta(minutes=15 * quarters))
ids = st.sampled_from(("n1", "n2", "n3"))
contract_ids = st.sampled_from(("c1", "c2"))

contracts = st.builds(
    ContractRegistered,
    customer_id=st.just("acme"),
    contract_id=contract_ids,
    revision=st.integers(1, 3),
    period_start=st.just(date(2026, 1, 1)),
    period_end=st.dates(date(2026, 1, 31), date(2027, 6, 30)),
    time_zone=st.sampled_from(ZONES),
    renewal=st.one_of(st.just(NoRenewal()), st.builds(AutomaticRenewal, months=st.sampled_from((1, 3, 12)))),
    notice=st.sampled_from((0, 1, 30, 60)).map(lambda days: CalendarDays(days=days)),
    notice_channels=st.just(("email",)),
    authority=st.just(Vouched()),
)
notices = st.builds(
    NoticeReceived,
    customer_id=st.just("acme"),
    contract_id=contract_ids,
    notice_id=ids,
    channel=st.sampled_from(("email", "email", "phone")),
    received_at=moments,
)
withdrawals = st.builds(
    NoticeWithdrawn, customer_id=st.just("acme"), contract_id=contract_ids, notice_id=ids, withdrawn_at=moments
)
endings = st.builds(
    ContractTerminated,
    customer_id=st.just("acme"),
    contract_id=contract_ids,
    basis=st.sampled_from(("breach", "expiry")),
    period_end=st.dates(date(2026, 1, 31), date(2027, 6, 30)),
    terminated_at=moments,
    time_zone=st.just("Europe/Stockholm"),
)
histories = st.lists(
    st.tuples(st.one_of(contracts, notices, withdrawals, endings), st.integers(0, 24 * 90)), max_size=14
)


def live(history: list[tuple[Event, int]]) -> Casework:
    """Let a history happen, each event some hours after the one before, and two years pass after it."""
    work = casework(FIRST + timedelta(days=30))
    for event, hours in history:
        work.tell(event)
        work.until(work.now + timedelta(hours=hours))
    work.until(work.now + timedelta(days=730))
    return work


@given(histories)
def test_never_before_the_end(history: list[tuple[Event, int]]) -> None:
    """Whatever happens, we never say that a contract is over before its period is, nor before it is so (P2)."""
    for moment, event in live(history).published:
        if isinstance(event, ContractTerminated):
            assert event.terminated_at >= first_moment_after(event.period_end, event.time_zone)
            assert moment >= event.terminated_at


@given(histories)
def test_one_answer(history: list[tuple[Event, int]]) -> None:
    """Every notice gets exactly one answer, by the time its waiting is over (P1).

    What was refused for its form is no notice yet: given again in a good form it gets the notice's answer.
    """
    work = live(history)

    answers = Counter((event.contract_id, event.notice_id) for event in work.all(NoticeAccepted))
    answers.update((event.contract_id, event.notice_id) for event in _rejected(work) if event.reason not in FLAWS)
    formless = Counter((event.contract_id, event.notice_id) for event in _rejected(work) if event.reason in FLAWS)
    asked = {(event.contract_id, event.notice_id) for event, _ in history if isinstance(event, NoticeReceived)}
    assert asked == answers.keys() | formless.keys()
    assert max([*answers.values(), *formless.values()], default=1) == 1


def _rejected(work: Casework) -> list[NoticeRejected]:
    return work.all(NoticeRejected)


@given(histories)
def test_told_beforehand_and_once(history: list[tuple[Event, int]]) -> None:
    """An announcement is made before the date that it tells of, and never twice (P12)."""
    work = live(history)

    told = [event.announcement_id for event in work.all(DeadlineApproaching)]
    assert len(told) == len(set(told))
    assert all(at < event.due_at for at, event in work.published if isinstance(event, DeadlineApproaching))


@given(contracts, notices, moments)
def test_in_time_is_never_refused(contract: ContractRegistered, notice: NoticeReceived, read_at: datetime) -> None:
    """A notice in time by a channel of the contract is accepted, whenever it is read, and ends the contract."""
    notice = notice.model_copy(update={"contract_id": contract.contract_id, "channel": "email"})
    terms, read_at = terms_of(contract, POLICY), max(read_at, notice.received_at)
    work = casework(FIRST)
    work.tell(contract)
    work.until(read_at)
    work.tell(notice)
    work.until(read_at + timedelta(days=730))

    period = period_at(terms, notice.received_at)
    over = notice.received_at >= first_moment_after(contract.period_end, contract.time_zone)
    last = last_day_for_notice(terms, period)
    in_time = last is not None and notice.received_at < first_moment_after(last, contract.time_zone)
    if in_time and not (over and not terms.months):
        assert work.one(NoticeAccepted).terminates_at >= first_moment(contract.period_end, contract.time_zone)
        assert work.one(ContractTerminated)
    else:
        assert work.one(NoticeRejected).reason == ("contract_ended" if over and not terms.months else "late")


def _story(months: int) -> list[Event]:
    renewal = AutomaticRenewal(months=months) if months else NoRenewal()

    def contract(contract_id: str, revision: int, end: date) -> ContractRegistered:
        return ContractRegistered(
            customer_id="acme",
            contract_id=contract_id,
            revision=revision,
            period_start=date(2026, 1, 1),
            period_end=end,
            time_zone="America/St_Johns",
            renewal=renewal,
            notice=CalendarDays(days=30),
            notice_channels=("email",),
            authority=Vouched(),
        )

    def notice(contract_id: str, notice_id: str, days: int) -> NoticeReceived:
        return NoticeReceived(
            customer_id="acme",
            contract_id=contract_id,
            notice_id=notice_id,
            channel="email",
            received_at=FIRST + timedelta(days=days),
        )

    return [
        contract("c1", 1, date(2026, 12, 31)),
        contract("c1", 2, date(2027, 2, 28)),
        contract("c2", 1, date(2026, 11, 30)),
        notice("c1", "n1", 40),
        notice("c2", "n2", 45),
        NoticeWithdrawn(customer_id="acme", contract_id="c1", notice_id="n1", withdrawn_at=FIRST + timedelta(days=50)),
        notice("c1", "n3", 60),
        contract("c2", 2, date(2027, 1, 31)),
        ContractTerminated(
            customer_id="acme",
            contract_id="c3",
            basis="breach",
            period_end=date(2026, 12, 31),
            terminated_at=FIRST + timedelta(days=61),
            time_zone="UTC",
        ),
        contract("c3", 1, date(2026, 12, 31)),
    ]


@given(st.sampled_from((0, 1, 12)).flatmap(lambda months: reading_orders(_story(months))))
def test_order_does_not_matter(order: list[Event]) -> None:
    """The same contracts end at the same moments, in whatever order the topics are read, and read twice."""
    work = casework(FIRST + timedelta(days=70))
    work.tell(*order, *order)
    work.until(FIRST + timedelta(days=800))

    ended = sorted((event.contract_id, event.basis, str(event.period_end)) for event in work.all(ContractTerminated))
    assert ended == [("c1", "notice", "2027-02-28"), ("c2", "notice", "2027-01-31")]
