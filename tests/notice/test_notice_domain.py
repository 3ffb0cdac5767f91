"""How a contract ends: P1, P2 and P12 as sentences."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.notice.domain import decide
from services.notice.states import Known, Leaving, Running, Unknown
from shared.contracts import Ending
from shared.decision import Ignored
from shared.events.notice import (
    ContractTerminated,
    DeadlineApproaching,
    NoticeAccepted,
    NoticeRejected,
    WithdrawalAccepted,
    WithdrawalRejected,
)
from tests.casework import at
from tests.notice.language import POLICY, START, breach, casework, contract, decided, notice, withdrawal


@pytest.mark.parametrize(
    ("received_at", "zone", "in_time"),
    [
        ("2026-12-01T23:59:59", "Europe/Stockholm", True),
        ("2026-12-02T00:00:00", "Europe/Stockholm", False),
        # The same moment is another day elsewhere: only the contract's zone counts.
        ("2026-12-02T00:00:00", "America/New_York", True),
        ("2026-12-01T16:30:00", "Asia/Tokyo", False),
    ],
)
def test_last_day_for_notice(received_at: str, zone: str, *, in_time: bool) -> None:
    """A notice is in time up to the end of the day 30 days before the period's last, in the contract's zone."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(time_zone=zone), notice(received_at))

    assert [type(event) for _, event in work.published] == [NoticeAccepted if in_time else NoticeRejected]
    answers: list[NoticeAccepted | NoticeRejected] = [*work.all(NoticeAccepted), *work.all(NoticeRejected)]
    assert answers[0].last_day_for_notice == date(2026, 12, 1)


def test_accepted_with_its_dates() -> None:
    """Service goes on to the period's last day; the contract is over at the midnight after it."""
    work = casework(at("2026-10-01T13:00"))
    work.tell(contract(), notice())

    accepted = work.one(NoticeAccepted)
    assert accepted.period_end == date(2026, 12, 31)
    assert accepted.terminates_at == at("2027-01-01T00:00")


@pytest.mark.parametrize(
    ("months", "earliest_end"), [(0, date(2026, 12, 31)), (1, date(2027, 1, 31)), (12, date(2027, 12, 31))]
)
def test_late(months: int, earliest_end: date) -> None:
    """A late notice is told the earliest end: the next period's, or this one's if there is no next."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(months=months), notice("2026-12-03T09:00"))

    rejected = work.one(NoticeRejected)
    assert (rejected.reason, rejected.earliest_end) == ("late", earliest_end)


def test_late_for_several_periods() -> None:
    """With more days of notice than a period has, the earliest end is the first that is still far enough away."""
    work = casework(at("2026-12-30T00:00"))
    work.tell(contract(months=1, notice_days=75), notice("2026-12-20T09:00"))

    # 31 March is 75 days after 15 January.
    assert work.one(NoticeRejected).earliest_end == date(2027, 3, 31)


def test_channel() -> None:
    """A notice by a channel that the contract doesn't name doesn't count."""
    work = casework()
    work.tell(contract(), notice("2026-05-01T09:00", channel="fax"))

    assert work.one(NoticeRejected).reason == "channel_not_accepted"


def test_unknown_contract_waits() -> None:
    """A notice that is read before its contract waits for it and is then answered."""
    work = casework(at("2026-10-02T00:00"))
    work.tell(notice())
    assert not work.published

    work.tell(contract())

    assert work.one(NoticeAccepted).notice_id == "n1"


def test_unknown_contract_answered() -> None:
    """A notice whose contract never comes is rejected with that reason when its time is up, once."""
    work = casework(at("2026-10-02T00:00"))
    work.tell(notice())
    work.until(at("2026-10-01T23:59") + timedelta(days=1))
    assert not work.published
    work.until(at("2026-10-04T00:00"))
    work.tell(contract(), notice())

    assert work.one(NoticeRejected).reason == "unknown_contract"


def test_second_notice() -> None:
    """A second notice changes nothing and is told so; the same one told twice gets no second answer."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice(), notice(), notice("2026-10-05T10:00", "n2"))
    work.until(at("2027-01-02T00:00"))

    assert work.one(NoticeAccepted).notice_id == "n1"
    assert (work.one(NoticeRejected).notice_id, work.one(NoticeRejected).reason) == ("n2", "already_given")
    assert work.one(ContractTerminated).terminated_at == at("2027-01-01T00:00")


def test_after_the_end() -> None:
    """A notice for a contract that had ended is told so."""
    work = casework()
    work.tell(contract())
    work.until(at("2027-01-01T10:00"))
    work.tell(notice("2027-01-01T09:00"))

    assert work.one(NoticeRejected).reason == "contract_ended"


def test_in_time_but_read_late() -> None:
    """A notice that was in time counts even if an outage held it up beyond the end of the period."""
    work = casework()
    work.tell(contract(months=12))
    work.until(at("2027-02-01T09:00"))
    work.tell(notice("2026-10-01T12:00"))
    work.until(at("2027-02-02T09:00"))

    assert work.one(NoticeAccepted).period_end == date(2026, 12, 31)
    # The 90 days begin when we came to know, not in the past.
    assert work.one(ContractTerminated).terminated_at == at("2027-02-01T09:00")


def test_read_late_after_expiry() -> None:
    """A notice that was in time is accepted even if the contract has expired by itself meanwhile."""
    work = casework()
    work.tell(contract())
    work.until(at("2027-02-01T09:00"))
    work.tell(notice("2026-10-01T12:00"))

    assert work.one(NoticeAccepted).terminates_at == at("2027-01-01T00:00")
    assert work.one(ContractTerminated).basis == "expiry"


def test_received_in_the_future() -> None:
    """A notice can't have been received later than it was read: a sender's wrong clock doesn't make it late."""
    work = casework(at("2026-11-30T09:00"))
    work.tell(contract(), notice("2027-06-01T00:00"))

    assert work.one(NoticeAccepted).received_at == at("2026-11-30T09:00")


def test_expiry() -> None:
    """A contract that isn't prolonged is over at the end of its period, with no notice."""
    work = casework()
    work.tell(contract())
    work.until(at("2027-01-01T00:00") - timedelta(microseconds=1))
    assert not work.all(ContractTerminated)
    work.until(at("2027-01-01T00:00"))

    terminated = work.one(ContractTerminated)
    assert (terminated.basis, terminated.period_end) == ("expiry", date(2026, 12, 31))
    assert terminated.terminated_at == at("2027-01-01T00:00")


def test_known_too_late() -> None:
    """A contract registered after its end ends when we came to know of it, so that nobody loses days of export."""
    work = casework()
    work.tell(contract(period_start=date(2020, 1, 1), period_end=date(2020, 12, 31)))
    work.until(START)

    assert work.one(ContractTerminated).terminated_at == START


def test_prolonged() -> None:
    """Without a notice an automatic contract goes on, counted from the original day of the month, with no event."""
    work = casework(at("2026-01-15T00:00"))
    work.tell(contract(period_end=date(2026, 1, 31), months=1))
    work.until(at("2026-03-10T00:00"))
    assert work.state.contracts[0].period == 2
    work.tell(notice("2026-03-10T00:00"))
    work.until(at("2028-01-01T00:00"))

    assert work.one(NoticeRejected).earliest_end == date(2026, 4, 30)
    assert work.one(ContractTerminated).period_end == date(2026, 4, 30)


def test_month_ends() -> None:
    """Of a contract from the 31st on each period ends on the 31st, or on the month's last day."""
    work = casework(at("2026-02-10T00:00"))
    work.tell(contract(period_end=date(2026, 1, 31), months=1, notice_days=5))
    work.until(at("2026-03-10T00:00"))
    work.tell(notice("2026-02-10T00:00"))
    work.until(at("2026-03-10T00:00"))

    assert work.one(NoticeAccepted).period_end == date(2026, 2, 28)
    assert work.one(ContractTerminated).terminated_at == at("2026-03-10T00:00")

    work = casework(at("2026-03-10T00:00"))
    work.tell(contract(period_end=date(2026, 1, 31), months=1, notice_days=5), notice("2026-03-10T00:00"))
    assert work.one(NoticeAccepted).period_end == date(2026, 3, 31)


def test_withdrawn() -> None:
    """A notice taken back before the end is undone: an automatic contract is prolonged, another notice is possible."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice(), withdrawal("2026-10-09T00:00"))
    work.until(at("2027-05-01T00:00"))
    assert not work.all(ContractTerminated)
    work.tell(notice("2027-05-01T00:00", "n2"))
    work.until(at("2028-05-01T00:00"))

    assert work.one(ContractTerminated).period_end == date(2027, 12, 31)


def test_withdrawn_before_it_was_read() -> None:
    """A withdrawal that is read before its notice waits for it."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), withdrawal("2026-10-09T00:00"), notice())
    work.until(at("2027-05-01T00:00"))

    assert work.one(NoticeAccepted)
    assert not work.all(ContractTerminated)


def test_withdrawn_too_late() -> None:
    """Up to the end a notice can be taken back, from its very moment on no more; either way there is an answer."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice())
    work.until(at("2027-01-01T00:00") - timedelta(microseconds=1))
    last, late = withdrawal("2026-12-31T23:59:59"), withdrawal("2027-01-01T00:00")
    (accepted,) = decided(work, last).events[:1]
    work.until(at("2027-01-01T00:00"))
    (refused,) = decided(work, late).events

    assert isinstance(accepted, WithdrawalAccepted)
    assert isinstance(refused, WithdrawalRejected)
    assert refused.reason == "contract_ended"


@pytest.mark.parametrize("second_read_first", [True, False])
def test_withdrawn_then_given_again(*, second_read_first: bool) -> None:
    """A notice given after another was withdrawn ends the contract, whichever of the two topics is read first."""
    work = casework(at("2026-11-10T00:00"))
    later = [withdrawal("2026-10-09T00:00"), notice("2026-10-20T00:00", "n2")]
    work.tell(contract(months=12), notice(), *(later[::-1] if second_read_first else later))
    work.until(at("2027-05-01T00:00"))

    assert work.one(ContractTerminated).terminated_at == at("2027-01-01T00:00")


def test_revision_moves_the_end() -> None:
    """A newer revision moves the end of a contract under notice; an older one, read late, doesn't."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice(), contract(revision=3, period_end=date(2027, 3, 31)), contract(revision=2))
    work.until(at("2027-12-01T00:00"))

    assert work.one(ContractTerminated).terminated_at == at("2027-04-01T00:00")


def test_breach() -> None:
    """An end that another service decided on ends the contract at once, and nothing ends it a second time."""
    work = casework()
    work.tell(contract(months=12), notice("2026-05-01T00:00"), breach("2026-06-01T10:00"))
    work.until(at("2028-01-01T00:00"))

    assert not work.all(ContractTerminated)
    assert work.state.contracts[0].ending.terminated_at == at("2026-06-01T10:00")


@pytest.mark.parametrize("breach_first", [True, False])
def test_breach_in_any_order(*, breach_first: bool) -> None:
    """A breach covers the contract whether it is read before or after the contract."""
    work = casework()
    events = [contract(months=12), breach("2026-06-01T10:00", date(2026, 6, 1))]
    work.tell(*(events[::-1] if breach_first else events))

    assert work.state.contracts[0].ending == Ending(
        decided=True, period_end=date(2026, 6, 1), terminated_at=at("2026-06-01T10:00"), zone="Europe/Stockholm"
    )


def test_registered_anew() -> None:
    """A contract that ended and is registered for a later period runs again, and ends again."""
    work = casework()
    work.tell(contract())
    work.until(at("2027-01-10T00:00"))
    work.tell(work.one(ContractTerminated), contract(revision=2, period_end=date(2027, 6, 30)))
    assert isinstance(work.state.contracts[0], Running)
    work.until(at("2028-01-10T00:00"))

    assert [event.period_end for event in work.all(ContractTerminated)] == [date(2026, 12, 31), date(2027, 6, 30)]


def test_two_contracts() -> None:
    """A notice ends the contract that it names and no other of the same customer."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), contract(contract_id="c2", months=12), notice(contract_id="c2"))
    work.until(at("2027-05-01T00:00"))

    assert work.one(ContractTerminated).contract_id == "c2"


def test_announcements() -> None:
    """Each date is told as many days ahead as the policy says, at the start of the day, once."""
    work = casework(at("2026-08-01T00:00"))
    work.tell(contract(months=12))
    work.until(at("2026-12-20T00:00"))

    told = zip(work.when(DeadlineApproaching), work.all(DeadlineApproaching), strict=True)
    assert [(moment, event.announcement_id) for moment, event in told] == [
        (at("2026-10-02T00:00"), "c1:notice_deadline:2026-12-01:60"),
        (at("2026-11-01T00:00"), "c1:notice_deadline:2026-12-01:30"),
        (at("2026-11-24T00:00"), "c1:notice_deadline:2026-12-01:7"),
        (at("2026-11-30T00:00"), "c1:notice_deadline:2026-12-01:1"),
    ]
    assert work.all(DeadlineApproaching)[0].due_at == at("2026-12-02T00:00")


def test_announcements_missed() -> None:
    """Of announcements that were missed only the nearest is made; none after the date has passed."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract())
    work.until(at("2026-12-10T00:00"))

    assert [event.announcement_id for event in work.all(DeadlineApproaching)] == ["c1:period_end:2026-12-31:30"]


def test_announced_once() -> None:
    """A revision that changes no date tells nothing; one that does is told as a change, and nothing is told twice."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract())
    work.until(work.now)
    for revision, end in ((2, 31), (3, 30), (4, 31)):
        work.tell(contract(revision=revision, period_end=date(2026, 12, end)))
        work.until(work.now)

    told = [(event.announcement_id, event.change, event.before) for event in work.all(DeadlineApproaching)]
    assert told == [
        ("c1:period_end:2026-12-31:30", None, None),
        ("c1:period_end:changed:1", "moved", at("2027-01-01T00:00")),
        ("c1:period_end:changed:2", "moved", at("2026-12-31T00:00")),
    ]


def test_nothing_is_known_at_first() -> None:
    """A customer never heard of has no date."""
    work = casework()

    assert work.state == Unknown()
    assert work.domain.wakes_at(work.state) is None


def test_state_under_notice() -> None:
    """A contract under notice is in the state that the diagram calls Leaving."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice())

    assert isinstance(work.state, Known)
    assert isinstance(work.state.contracts[0], Leaving)


@pytest.mark.parametrize("revision", [1, 2])
def test_older_revisions(revision: int) -> None:
    """A revision that is known, or older than the one known, is no news."""
    work = casework()
    work.tell(contract(revision=2))

    assert decide(work.state, contract(revision=revision), START, POLICY) == Ignored("an older revision")
