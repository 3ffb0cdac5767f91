"""What is true of every history of notices, contracts and withdrawals."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.notice import workdays
from services.notice.calendar import counting_day, last_day_for_notice, over_at, period_at
from services.notice.contract import goes_on
from services.notice.grounds.non_renewal import non_renewal
from services.notice.judging import FLAWS
from services.notice.terms import terms_of
from shared.days import first_moment_after
from shared.events.event import Event
from shared.events.notice import ContractTerminated, DeadlineApproaching, NoticeAccepted, NoticeRejected
from shared.events.platform import (
    AutomaticRenewal,
    ByCustomer,
    ByProvider,
    CalendarDays,
    ContractRegistered,
    Ground,
    NoRenewal,
    NoticeReceived,
    NoticeWithdrawn,
    OpenEnded,
    SwitchCompleted,
    TransitionProlonged,
    UntilFurtherNotice,
    Vouched,
    WorkingDays,
)
from tests.casework import Casework
from tests.notice.language import POLICY, casework
from tests.orders import reading_orders

ZONES = ("Europe/Stockholm", "America/Sao_Paulo", "Pacific/Apia", "America/St_Johns", "UTC")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(0, 3 * 365 * 24 * 4).map(lambda quarters: FIRST + timedelta(minutes=15 * quarters))
ids = st.sampled_from(("n1", "n2", "n3", "n4", "n5"))
contract_ids = st.sampled_from(("c1", "c2"))

rules = st.one_of(
    st.sampled_from((0, 1, 30, 60)).map(lambda days: CalendarDays(days=days)),
    st.sampled_from((1, 10)).map(lambda days: WorkingDays(days=days, country="SE")),
)
renewals = st.one_of(
    st.just(NoRenewal()),
    st.builds(AutomaticRenewal, months=st.sampled_from((1, 3, 12))),
    st.builds(UntilFurtherNotice, notice=rules),
    st.just(OpenEnded()),
)


# Many end soon, so that some of their dates have passed when they are heard of.
period_ends = st.one_of(st.dates(date(2026, 1, 31), date(2026, 3, 31)), st.dates(date(2026, 1, 31), date(2027, 6, 30)))


@st.composite
def contracts_under(draw: st.DrawFn, renewal: Any = renewals, notice: Any = rules) -> ContractRegistered:
    """Draw a contract; an open-ended one has no end."""
    drawn = draw(renewal)
    return ContractRegistered(
        customer_id="acme",
        contract_id=draw(contract_ids),
        revision=draw(st.integers(1, 3)),
        period_start=date(2026, 1, 1),
        period_end=None if isinstance(drawn, OpenEnded) else draw(period_ends),
        time_zone=draw(st.sampled_from(ZONES)),
        renewal=drawn,
        notice=draw(notice),
        notice_channels=("email", "letter"),
        authority=Vouched(),
    )


contracts = contracts_under()
# The library of holidays takes its time when it is first asked.
workdays.after(workdays.Rule(1, "SE", ("public",)), date(2026, 1, 1))
# One id, one ground: the same notice isn't given for two.
GROUNDS: dict[str, Ground] = dict(
    zip(("n1", "n2", "n3", "n4", "n5"), ("non_renewal", "switch", "non_renewal", "erasure", "on_premises"), strict=True)
)
notices = st.builds(
    lambda contract_id, notice_id, channel, received_at: NoticeReceived(
        customer_id="acme",
        contract_id=contract_id,
        notice_id=notice_id,
        channel=channel,
        received_at=received_at,
        ground=GROUNDS[notice_id],
    ),
    contract_ids,
    ids,
    st.sampled_from(("email", "email", "letter", "fax", "phone")),
    moments,
)
prolongations = st.builds(
    TransitionProlonged,
    customer_id=st.just("acme"),
    contract_id=contract_ids,
    notice_id=ids,
    prolongation_id=st.sampled_from(("p1", "p2")),
    by=st.one_of(st.just(ByProvider(reason="volume")), st.just(ByCustomer())),
    until=st.dates(date(2026, 3, 1), date(2028, 6, 30)),
    prolonged_at=moments,
)
withdrawals = st.builds(
    NoticeWithdrawn, customer_id=st.just("acme"), contract_id=contract_ids, notice_id=ids, withdrawn_at=moments
)
completions = st.builds(
    SwitchCompleted,
    customer_id=st.just("acme"),
    contract_id=contract_ids,
    notice_id=ids,
    completed_at=moments,
    confirmed_by=st.just("contact:1"),
)
endings = st.builds(
    ContractTerminated,
    customer_id=st.just("acme"),
    contract_id=contract_ids,
    basis=st.sampled_from(("breach", "bankruptcy", "expiry")),
    period_end=st.dates(date(2026, 1, 31), date(2027, 6, 30)),
    terminated_at=moments,
    time_zone=st.just("Europe/Stockholm"),
)
histories = st.lists(
    st.tuples(st.one_of(contracts, notices, withdrawals, prolongations, completions, endings), st.integers(0, 24 * 90)),
    max_size=14,
)


STOCKHOLM = ZoneInfo("Europe/Stockholm")


@st.composite
def switches(draw: st.DrawFn) -> list[tuple[Event, int]]:
    """Draw a contract that is left by a switch, and reports of its completion among all else but ends by others."""
    contract = contracts.map(
        lambda one: one.model_copy(
            update={
                "contract_id": "c1", "revision": 1, "time_zone": "Europe/Stockholm", "period_end": date(2029, 12, 31),
                "renewal": AutomaticRenewal(months=12), "notice": CalendarDays(days=30),
            }
        )
    )  # fmt: skip
    given = notices.map(
        lambda one: one.model_copy(
            update={"contract_id": "c1", "notice_id": "n2", "channel": "email", "ground": "switch"}
        )
    )
    told = st.one_of(completions, completions, prolongations).map(
        lambda one: one.model_copy(update={"contract_id": "c1", "notice_id": "n2"})
    )
    apart = st.integers(0, 24 * 30)
    later = draw(st.lists(st.tuples(told, apart), max_size=6))
    return [(draw(contract), 0), (draw(given), draw(apart)), *later]


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


@given(switches())
def test_no_transition_ends_early_unless_it_was_complete(history: list[tuple[Event, int]]) -> None:
    """A switch ends with its notice, the whole transition and what prolongs it, or with a day on which it was complete.

    That day lies after the notice, and the contract isn't over before it is, nor before it was reported (P2).
    """
    work, heard_at = live(history), FIRST + timedelta(days=30)
    given_notice = next(event for event, _ in history if isinstance(event, NoticeReceived))
    reports: list[tuple[date, datetime]] = []
    for event, hours in history:
        if isinstance(event, SwitchCompleted):
            reports.append((min(event.completed_at, heard_at).astimezone(STOCKHOLM).date(), heard_at))
        heard_at += timedelta(hours=hours)
    received = min(given_notice.received_at, FIRST + timedelta(days=30)).astimezone(STOCKHOLM).date()

    for over in work.all(ContractTerminated):
        notice_ends = received + timedelta(days=30)
        early = [at for day, at in reports if day == over.period_end]
        assert over.period_end > notice_ends
        assert early or over.period_end >= notice_ends + timedelta(days=30)
        if over.period_end < notice_ends + timedelta(days=30):
            assert over.terminated_at >= min(early)


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
    channel = {"contract_id": contract.contract_id, "channel": "email", "ground": "non_renewal"}
    notice, read_at = notice.model_copy(update=channel), max(read_at, notice.received_at)
    terms = terms_of(contract, POLICY)
    work = casework(FIRST)
    work.tell(contract)
    work.until(read_at)
    work.tell(notice)
    work.until(read_at + timedelta(days=900))

    over = over_at(terms, 0)
    if over is not None and notice.received_at >= over and not goes_on(terms):
        assert work.one(NoticeRejected).reason == "contract_ended"
        return
    last = last_day_for_notice(terms, period_at(terms, notice.received_at))
    if last is None or notice.received_at < first_moment_after(last, contract.time_zone):
        assert work.one(NoticeAccepted).terminates_at >= notice.received_at
    else:
        assert work.one(NoticeRejected).reason == "late"
    assert work.one(ContractTerminated).period_end >= contract.period_start


@given(contracts, notices, moments, st.sampled_from(sorted(GROUNDS.values())))
def test_every_notice_leads_to_an_end(
    contract: ContractRegistered, notice: NoticeReceived, read_at: datetime, ground: Ground
) -> None:
    """No terms hold a customer for ever: a notice without a fault ends the contract, on any ground, late or not."""
    notice = notice.model_copy(update={"contract_id": contract.contract_id, "channel": "email", "ground": ground})
    read_at = max(read_at, notice.received_at)
    work = casework(FIRST)
    work.tell(contract)
    work.until(read_at)
    work.tell(notice)
    work.until(read_at + timedelta(days=1200))

    assert work.one(ContractTerminated)


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """Draw events, and an order in which they are read.

    What was found in time stays so under a later revision, which is a decision carried out: so here all revisions of a
    contract have the same rules, and a notice is in time for each of them or for none.
    """
    same = contracts_under(renewal=st.just(draw(renewals)), notice=st.just(draw(rules)))
    registered = draw(st.lists(same, min_size=1, max_size=4, unique_by=lambda one: (one.contract_id, one.revision)))
    others = st.one_of(notices, withdrawals, prolongations, completions, endings)
    said = [one for one in draw(st.lists(others, max_size=8, unique_by=_identity)) if _is_past(one)]
    events = [*registered, *said]
    assume(all(_alike(one, registered) for one in events if isinstance(one, NoticeReceived)))
    return events, draw(st.permutations(events))


def _is_past(event: Event) -> bool:
    """Tell whether it was said before it is read; only an end that somebody decided on may be still to come."""
    said_at = (getattr(event, name, FIRST) for name in ("received_at", "withdrawn_at", "prolonged_at", "completed_at"))
    return max(said_at) < READ_AT


def _identity(event: Event) -> tuple[object, ...]:
    names = ("contract_id", "notice_id", "prolongation_id", "channel", "withdrawn_at", "completed_at", "terminated_at")
    return (event.type(), *(getattr(event, name, None) for name in names))


def _alike(notice: NoticeReceived, registered: list[ContractRegistered]) -> bool:
    found = set()
    for one in registered:
        if one.contract_id == notice.contract_id:
            terms = terms_of(one, POLICY)
            found.add(non_renewal(terms, counting_day(min(notice.received_at, READ_AT), terms.zone), kept=False).late)
    return len(found) <= 1


READ_AT = FIRST + timedelta(days=500)


@settings(max_examples=int(os.environ.get("ORDERS", "300")), deadline=None)
@given(shuffled())
def test_any_order(drawn: tuple[list[Event], list[Event]]) -> None:
    """The same contracts end, at the same moments and on the same day, in whatever order everything is read."""
    outcomes = []
    for order in drawn:
        work = casework(READ_AT)
        work.tell(*order)
        work.until(READ_AT + timedelta(days=1500))
        outcomes.append(
            sorted((one.contract_id, one.period_end, one.terminated_at) for one in work.all(ContractTerminated))
        )

    assert outcomes[0] == outcomes[1]


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
