"""Every way a contract ends, each with its own clock, and every way not to end it, each with its own reason."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.notice.states import Ended, Leaving, Running
from shared.contracts import registered
from shared.contracts import terminated as contracts_terminated
from shared.decision import Ignored
from shared.events.notice import (
    ContractTerminated,
    NoticeAccepted,
    NoticeRejected,
    ProlongationAccepted,
    ProlongationRejected,
    WithdrawalAccepted,
    WithdrawalRejected,
)
from shared.events.platform import Appointed, WorkingDays
from tests.casework import Casework, at
from tests.notice.language import POLICY, breach, casework, contract, domain, notice, prolongation, withdrawal


def leaving(**changes: Any) -> Casework:
    """Give a contract, renewed by a year, under a notice of 8 June to switch: it ends on 7 August 2026."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12, **changes), notice("2026-06-08T12:00", ground="switch"))
    return work


def last_day(work: Casework) -> date:
    (known,) = work.state.contracts
    assert isinstance(known, Leaving)
    return known.last_day


def test_a_late_notice_stands() -> None:
    """A late notice is refused for the date that it asks, and ends the contract at the earliest that is possible."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(months=12), notice("2026-12-03T09:00"))
    work.until(at("2028-06-01T00:00"))

    rejected, terminated = work.one(NoticeRejected), work.one(ContractTerminated)
    assert (rejected.reason, rejected.earliest_end) == ("late", date(2027, 12, 31))
    assert (terminated.basis, terminated.terminated_at) == ("notice", rejected.stands_until)


def test_a_late_notice_can_be_taken_back() -> None:
    """Withdrawn, a late notice stands for nothing."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(months=12), notice("2026-12-03T09:00"), withdrawal("2026-12-04T09:00"))
    work.until(at("2030-06-01T00:00"))

    assert work.one(WithdrawalAccepted).ends_on is None
    assert not work.all(ContractTerminated)


def test_late_for_a_contract_that_ends_anyway() -> None:
    """A notice that came too late for a contract without renewal changed nothing: it expires."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(), notice("2026-12-03T09:00"))
    work.until(at("2027-06-01T00:00"))

    assert work.one(ContractTerminated).basis == "expiry"


def test_notice_longer_than_a_period() -> None:
    """With more days of notice than a period has, a notice still ends the contract, once."""
    work = casework(at("2026-01-15T00:00"))
    work.tell(contract(period_end=date(2026, 1, 31), months=1, notice_days=60), notice("2026-01-15T00:00"))
    work.until(at("2027-01-01T00:00"))

    assert work.one(ContractTerminated).period_end == date(2026, 3, 31)


@pytest.mark.parametrize(
    ("changes", "said", "reason"),
    [
        ({}, {"channel": "phone"}, "not_in_writing"),
        ({"notice_channels": ("phone",)}, {"channel": "phone"}, "not_in_writing"),
        ({}, {"channel": "fax"}, "channel_not_accepted"),
        ({"authority": Appointed(by=("staff:1",))}, {}, "no_authority"),
        ({"authority": Appointed(by=("staff:1",))}, {"given_by": "staff:2"}, "no_authority"),
        ({"authority": Appointed(by=())}, {"given_by": "staff:1"}, "no_authority"),
    ],
)
def test_what_is_no_notice(changes: dict[str, Any], said: dict[str, Any], reason: str) -> None:
    """One that isn't in writing, or by a channel or a person that the contract doesn't name, changes nothing."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12, **changes), notice(**said))

    assert work.one(NoticeRejected).reason == reason
    assert isinstance(work.state.contracts[0], Running)


def test_who_may_give_notice() -> None:
    """One of those whom the contract appoints may."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(authority=Appointed(by=("staff:1", "staff:2"))), notice(given_by="staff:2"))

    assert work.one(NoticeAccepted)


@pytest.mark.parametrize("earlier_first", [True, False])
def test_one_notice_by_two_channels(*, earlier_first: bool) -> None:
    """The same notice by two channels is one notice, with one answer, and the earlier receipt counts."""
    work = casework(at("2026-12-10T00:00"))
    both = [notice("2026-12-01T12:00"), notice("2026-12-03T12:00", channel="letter")]
    work.tell(contract(months=12), *(both if earlier_first else both[::-1]))
    work.until(at("2027-02-01T00:00"))

    assert len(work.all(NoticeAccepted)) + len(work.all(NoticeRejected)) == 1
    assert work.one(ContractTerminated).period_end == date(2026, 12, 31)


def test_an_earlier_receipt_that_is_heard_of_after_the_period() -> None:
    """A letter that was in time, and was read when the contract had gone on, ends it then and not in the past."""
    work = casework(at("2026-12-10T12:00"))
    work.tell(contract(months=12), notice("2026-12-10T12:00"))
    work.until(at("2027-01-15T12:00"))
    work.tell(notice("2026-11-30T12:00", channel="letter"))
    work.until(work.now)

    assert work.one(ContractTerminated).terminated_at == at("2027-01-15T12:00")


@pytest.mark.parametrize("received_at", ["2026-11-20T12:00", "2026-10-20T12:00"])
def test_an_earlier_receipt_that_is_heard_of_after_an_outage(received_at: str) -> None:
    """A letter that is read when the end that was known has come puts it off no more than it lays it into the past."""
    work = casework(at("2026-11-28T12:00"))
    work.tell(contract(period_end=date(2026, 11, 30), months=1), notice("2026-11-28T12:00"))
    work.now = at("2027-01-15T12:00")
    work.tell(notice(received_at, channel="letter"))
    work.until(work.now)

    assert work.one(ContractTerminated).terminated_at == at("2026-12-31T00:00")


def test_a_call_and_then_a_letter() -> None:
    """A notice that was refused for its form counts when it comes in a good one."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice(channel="phone"), notice(channel="phone"), notice("2026-10-03T12:00"))

    assert work.one(NoticeRejected).reason == "not_in_writing"
    assert work.one(NoticeAccepted).received_at == at("2026-10-03T12:00")


@pytest.mark.parametrize(
    ("ground", "ends", "law"),
    [
        ("switch", date(2026, 8, 7), "art_25_2_a"),
        ("on_premises", date(2026, 8, 7), "art_25_2_a"),
        ("erasure", date(2026, 7, 8), "art_25_2_c"),
    ],
)
def test_by_the_data_act(ground: Any, ends: date, law: str) -> None:
    """A customer may leave in the middle of a period: after notice and transition; for erasure after notice alone."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground=ground))
    work.until(at("2027-06-01T00:00"))

    accepted, terminated = work.one(NoticeAccepted), work.one(ContractTerminated)
    assert (accepted.period_end, accepted.ground, accepted.because[-1].rule) == (ends, ground, law)
    assert (terminated.basis, terminated.period_end) == (ground, ends)


def test_the_answer_carries_the_reckoning() -> None:
    """Each step is there as values: from what, how many of what, which days were skipped, by which rules."""
    work = casework(at("2026-06-01T12:00"))
    rule = WorkingDays(days=5, country="SE")
    work.tell(contract(period_end=date(2026, 6, 26), notice=rule), notice("2026-06-02T00:00"))

    accepted = work.one(NoticeAccepted)
    step = accepted.because[-1]
    assert accepted.rules == POLICY.rules
    assert (step.figure, step.rule, step.start, step.direction) == (
        "last_day_for_notice", "p1", date(2026, 6, 26), "back",
    )  # fmt: skip
    assert (step.count, step.unit, step.country, step.result) == (5, "working_days", "SE", date(2026, 6, 21))
    assert step.skipped == ()


def test_skipped_holidays_are_named() -> None:
    """Of working days those that a holiday took are told, and weekends aren't."""
    work = casework(at("2026-06-01T12:00"))
    rule = WorkingDays(days=5, country="SE")
    work.tell(contract(period_end=date(2026, 6, 25), notice=rule), notice("2026-06-02T00:00"))

    assert work.one(NoticeAccepted).because[-1].skipped == (date(2026, 6, 19),)


def test_the_ground_that_ends_sooner() -> None:
    """A second notice on another ground counts if it ends the contract sooner, and is a second notice if not."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00"), notice("2026-06-08T12:00", "n2", ground="switch"))
    work.tell(notice("2026-06-08T12:00", "n3"))

    assert [one.notice_id for one in work.all(NoticeAccepted)] == ["n1", "n2"]
    assert work.one(NoticeRejected).reason == "already_given"
    assert last_day(work) == date(2026, 8, 7)


def test_both_sides_prolong() -> None:
    """The provider prolongs for a reason, the customer once on top of it; service goes on until then."""
    work = leaving()
    work.tell(prolongation("provider", date(2026, 10, 31), at("2026-06-08T12:00")))
    work.until(at("2026-09-01T00:00"))
    work.tell(prolongation("customer", date(2026, 12, 31), at("2026-09-01T00:00"), "p2"))
    work.until(at("2027-02-01T00:00"))

    assert [one.until for one in work.all(ProlongationAccepted)] == [date(2026, 10, 31), date(2026, 12, 31)]
    assert work.one(ContractTerminated).period_end == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("by", "until", "made_at", "reason", "at_most"),
    [
        ("provider", date(2026, 12, 31), "2026-06-30T00:00", "too_late", date(2027, 2, 8)),
        ("provider", date(2027, 2, 9), "2026-06-09T00:00", "too_long", date(2027, 2, 8)),
        ("provider", date(2026, 8, 7), "2026-06-09T00:00", "no_longer", date(2027, 2, 8)),
        ("customer", date(2026, 8, 7), "2026-06-09T00:00", "no_longer", None),
        ("customer", date(2026, 12, 31), "2026-08-08T00:00", "too_late", None),
    ],
)
def test_what_prolongs_nothing(by: str, until: date, made_at: str, reason: str, at_most: date | None) -> None:
    """A prolongation against the law is refused with its reason, and how far it could go; the end stays."""
    work = leaving()
    work.until(at(made_at))
    work.tell(prolongation(by, until, at(made_at)))

    rejected = work.one(ProlongationRejected)
    assert (rejected.reason, rejected.at_most) == (reason, at_most)
    work.until(at("2026-08-08T00:00"))
    assert work.one(ContractTerminated).period_end == date(2026, 8, 7)


@pytest.mark.parametrize("by", ["customer", "provider"])
def test_each_side_prolongs_once(by: str) -> None:
    """A second prolongation by the same side is refused, and one that is told twice gets one answer."""
    work = leaving()
    first = prolongation(by, date(2026, 9, 30), at("2026-06-08T12:00"))
    work.tell(first, first, prolongation(by, date(2026, 10, 31), at("2026-06-08T12:00"), "p2"))

    assert work.one(ProlongationAccepted).prolongation_id == "p1"
    assert (work.one(ProlongationRejected).prolongation_id, work.one(ProlongationRejected).reason) == (
        "p2", "already_prolonged",
    )  # fmt: skip


def test_only_a_transition_can_be_prolonged() -> None:
    """A notice not to renew has none."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice(), prolongation("customer", date(2027, 3, 31), at("2026-10-10T00:00")))

    assert work.one(ProlongationRejected).reason == "no_transition"


def test_a_prolongation_waits_for_its_notice() -> None:
    """One that is read first waits; if its notice never comes it is answered so."""
    early, lost = casework(at("2026-06-08T12:00")), casework(at("2026-06-08T12:00"))
    said = prolongation("customer", date(2026, 9, 30), at("2026-06-08T12:00"))
    early.tell(said, contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    lost.tell(contract(), said)
    lost.until(at("2026-06-10T12:00"))

    assert early.one(ProlongationAccepted)
    assert lost.one(ProlongationRejected).reason == "unknown_notice"


def test_an_end_that_is_to_come() -> None:
    """What another service decided takes effect on its date: until then notices are taken, and may end it before."""
    work = casework()
    work.tell(contract(months=12), breach("2026-12-01T00:00", date(2026, 11, 30)))
    assert isinstance(work.state.contracts[0], Ended)

    work.tell(notice("2026-06-01T12:00", ground="erasure"))
    work.until(at("2027-06-01T00:00"))

    assert work.one(NoticeAccepted).period_end == date(2026, 7, 1)
    assert work.one(ContractTerminated).basis == "erasure"


def test_a_later_notice_does_not_put_off_what_was_decided() -> None:
    """A notice that would end the contract later than another service does changes nothing of that."""
    work = casework()
    work.tell(contract(months=12), notice("2026-06-01T12:00"), breach("2026-09-01T00:00", date(2026, 8, 31)))
    work.until(at("2027-06-01T00:00"))

    assert not work.all(ContractTerminated)
    assert work.state.contracts[0].basis == "breach"


def test_expiry_before_what_was_decided() -> None:
    """A contract that ends by itself before the date that another service named does so."""
    work = casework()
    work.tell(contract(), breach("2027-03-01T00:00", date(2027, 2, 28)))
    work.until(at("2027-01-01T00:00"))

    assert work.one(ContractTerminated).basis == "expiry"


def test_a_withdrawal_undoes_copies() -> None:
    """Whoever stays isn't ended by a second notice that was given before the withdrawal, read before it or after."""
    for second_first in (True, False):
        work = casework(at("2026-10-10T00:00"))
        later = [notice("2026-10-02T12:00", "n2"), withdrawal("2026-10-09T00:00")]
        work.tell(contract(months=12), notice(), *(later if second_first else later[::-1]))
        work.until(at("2028-06-01T00:00"))

        assert not work.all(ContractTerminated)
        assert work.all(NoticeRejected)[-1].reason == ("already_given" if second_first else "withdrawn")


def test_what_a_withdrawal_leaves() -> None:
    """The answer to a withdrawal tells the day with which the contract ends all the same, if there is one."""
    ends, goes_on, open_ended = (casework(at("2026-10-10T00:00")) for _ in range(3))
    for work, terms in ((ends, {}), (goes_on, {"months": 12}), (open_ended, {"open_ended": True})):
        work.tell(contract(**terms), notice(), withdrawal("2026-10-09T00:00"))

    assert [work.one(WithdrawalAccepted).ends_on for work in (ends, goes_on, open_ended)] == [
        date(2026, 12, 31), None, None,
    ]  # fmt: skip


def test_a_withdrawal_of_nothing() -> None:
    """A withdrawal of a refused notice, and one whose notice never comes, are answered with the reason."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice(channel="fax"), withdrawal("2026-10-09T00:00"), withdrawal("2026-10-09T00:00", "n9"))
    work.until(at("2026-10-12T00:00"))

    assert [one.reason for one in work.all(WithdrawalRejected)] == ["notice_does_not_count", "unknown_notice"]


def test_until_further_notice() -> None:
    """Without an end a contract goes on, wakes nobody, and ends so many days after a notice."""
    work = casework()
    work.tell(contract(open_ended=True))
    assert work.state.wakes_at is None
    work.until(at("2030-01-01T00:00"))
    work.tell(notice("2030-01-01T00:00"))
    work.until(at("2030-03-01T00:00"))

    assert work.one(ContractTerminated).period_end == date(2030, 1, 31)


def test_the_end_of_an_open_contract_counts_for_its_revision() -> None:
    """An open-ended contract is over with the end of its own revision; registered anew, it goes on."""
    work = casework()
    work.tell(contract(open_ended=True), notice("2026-06-01T12:00"))
    work.until(at("2026-08-01T00:00"))
    terminated = work.one(ContractTerminated)
    work.tell(terminated)
    assert isinstance(work.state.contracts[0], Ended)
    work.tell(contract(open_ended=True, revision=2))

    assert terminated.revision == 1
    assert isinstance(work.state.contracts[0], Running)


def test_answers_are_remembered_within_bounds() -> None:
    """However many notices come, what is kept of them doesn't grow without end."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), *(notice("2026-10-01T12:00", f"n{number}") for number in range(300)))
    known = work.state.contracts[0]

    assert len(work.state.answered) == 200
    assert len(known.standby) == 20
    assert known.notice.notice_id == "n0"


def test_an_end_told_again_is_no_news() -> None:
    """Our own event comes back, and so may another's, twice."""
    work = casework()
    work.tell(contract(), breach("2026-06-01T10:00"))

    assert domain(POLICY).decide(work.state, breach("2026-06-01T10:00"), work.now, POLICY) == Ignored(
        "known to be over"
    )


def test_a_period_that_had_ended() -> None:
    """A contract that is heard of after its period, and its notice with it, ends when it was heard of."""
    work = casework(at("2027-03-01T12:00"))
    work.tell(contract(), notice())
    work.until(work.now + timedelta(days=1))

    assert work.one(ContractTerminated).terminated_at == at("2027-03-01T12:00")


def test_erasure_goes_beyond_a_period_that_is_renewed() -> None:
    """Erasure alone isn't cut off by the end of a period after which the contract would have gone on."""
    work = casework(at("2026-12-15T12:00"))
    work.tell(contract(months=12), notice("2026-12-15T12:00", ground="erasure"))

    assert work.one(NoticeAccepted).period_end == date(2027, 1, 14)


def test_the_reckoning_of_what_ends_sooner_by_itself() -> None:
    """Erasure of a contract that ends before is reckoned by the contract; a late open notice by the first open day."""
    sooner, late = casework(at("2026-12-15T12:00")), casework(at("2026-12-10T12:00"))
    sooner.tell(contract(), notice("2026-12-15T12:00", ground="erasure"))
    late.tell(contract(then=14), notice("2026-12-10T12:00"))

    last, first = sooner.one(NoticeAccepted).because[-1], late.one(NoticeRejected).because[-1]
    assert (last.rule, last.start, last.count, last.result) == ("contract", date(2026, 12, 31), 0, date(2026, 12, 31))
    assert (first.start, first.count, first.result) == (date(2026, 12, 31), 1, date(2027, 1, 1))


@pytest.mark.parametrize("latest_first", [True, False])
def test_two_ends_of_a_contract_that_was_never_registered(*, latest_first: bool) -> None:
    """Of several ends the latest counts, in whatever order they are read, and the contract is taken on as over."""
    work = casework()
    ends = [breach("2026-05-01T00:00", date(2026, 4, 30)), breach("2026-04-01T00:00", date(2026, 3, 31))]
    work.tell(*(ends if latest_first else ends[::-1]))
    unregistered = work.state.contracts[0]
    work.tell(contract(months=12))

    assert unregistered.ending.terminated_at == at("2026-05-01T00:00")
    assert isinstance(work.state.contracts[0], Ended)
    assert work.state.contracts[0].ending == unregistered.ending


def test_a_notice_for_a_contract_of_which_only_the_end_is_known() -> None:
    """It waits for the contract, and is then told that this had ended; told again, it gets no second answer."""
    work = casework()
    work.tell(breach("2026-05-01T00:00"), notice("2026-05-20T12:00"))
    work.until(work.now + timedelta(days=2))
    work.tell(notice("2026-05-20T12:00"))
    work.until(work.now + timedelta(days=2))

    rejected = work.one(NoticeRejected)
    assert (rejected.reason, rejected.rules) == ("contract_ended", POLICY.rules)
    assert work.state.answered[0].reason == "contract_ended"


def test_withdrawals_in_any_order() -> None:
    """Of two withdrawals the later one says how far notices are undone."""
    for order in (1, -1):
        work = casework(at("2026-10-20T00:00"))
        work.tell(contract(months=12), notice(), notice("2026-10-02T12:00", "n2"), notice("2026-10-05T12:00", "n3"))
        both = [withdrawal("2026-10-03T00:00"), withdrawal("2026-10-09T00:00", "n3")]
        work.tell(*both[::order])

        assert isinstance(work.state.contracts[0], Running)
        assert work.state.contracts[0].undone_until == at("2026-10-09T00:00")


def test_a_withdrawal_dated_before_its_notice() -> None:
    """Whatever its sender's clock says, a withdrawal undoes the notice that it names."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice(), withdrawal("2026-09-30T00:00"))

    assert work.one(WithdrawalAccepted)
    assert isinstance(work.state.contracts[0], Running)


def test_a_withdrawn_notice_stays_withdrawn() -> None:
    """Told again by another channel, a notice that was taken back counts no more, nor one first told in a bad form."""
    given, called = casework(at("2026-10-10T00:00")), casework(at("2026-10-10T00:00"))
    given.tell(
        contract(months=12), notice(), withdrawal("2026-10-02T00:00"), notice("2026-10-03T12:00", channel="letter")
    )
    called.tell(contract(months=12), notice(channel="phone"), withdrawal("2026-10-02T00:00"))
    called.tell(notice("2026-10-03T12:00", channel="letter"))

    assert isinstance(given.state.contracts[0], Running)
    assert isinstance(called.state.contracts[0], Running)
    assert [work.state.answered[0].reason for work in (given, called)] == ["withdrawn", "withdrawn"]


def test_a_withdrawal_after_the_end_undoes_for_the_time_to_come() -> None:
    """Refused for the contract that is over, a withdrawal still keeps what was given before it from ending it anew."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice())
    work.until(at("2027-01-10T00:00"))
    work.tell(notice("2027-01-05T00:00", "n2"), withdrawal("2027-01-08T00:00", "n2"))
    work.tell(contract(revision=2, period_start=date(2027, 1, 1), period_end=date(2027, 12, 31), months=12))

    assert work.one(WithdrawalRejected).reason == "contract_ended"
    assert isinstance(work.state.contracts[0], Running)


def test_a_bad_form_does_not_date_a_notice() -> None:
    """A call before the letter doesn't make the letter's notice earlier."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract(months=12), notice("2026-12-03T12:00"), notice("2026-11-20T12:00", channel="phone"))

    assert work.state.contracts[0].last_day == date(2027, 12, 31)


@pytest.mark.parametrize(
    ("terms", "ground", "ends"),
    [
        ({"open_ended": True}, "non_renewal", date(2026, 9, 1)),
        ({"months": 12}, "erasure", date(2026, 9, 1)),
        ({"months": 12}, "switch", date(2026, 10, 1)),
    ],
)
def test_notice_ahead_of_the_contract(terms: dict[str, Any], ground: Any, ends: date) -> None:
    """A notice that is given before the contract's first day ends it with that day at the earliest, for everybody."""
    work = casework(at("2026-05-01T12:00"))
    work.tell(contract(period_start=date(2026, 9, 1), **terms), notice("2026-05-01T12:00", ground=ground))
    work.until(at("2026-11-01T00:00"))
    terminated = work.one(ContractTerminated)
    seen = registered((), contract(period_start=date(2026, 9, 1), **terms))
    over = () if seen is None else contracts_terminated(seen, terminated)

    assert terminated.period_end == ends
    assert over is not None
    assert not over[0].active


def test_what_ended_one_time_does_not_end_the_next() -> None:
    """A notice that ended a contract has done its work: registered anew, the contract goes on without it."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice())
    work.until(at("2027-01-10T00:00"))
    work.tell(work.one(ContractTerminated))
    work.tell(contract(revision=2, months=12, period_start=date(2027, 1, 1), period_end=date(2027, 12, 31)))
    work.tell(notice("2026-10-05T12:00", "n2"))

    assert isinstance(work.state.contracts[0], Running)
    assert work.one(NoticeRejected).reason == "contract_ended"


@pytest.mark.parametrize("moment", ["2027-01-01T00:00", "2027-01-10T00:00"])
def test_the_moment_between_two_times(moment: str) -> None:
    """What was received until the end of one time is about it; from that very moment on, about the next."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice())
    work.until(at("2027-01-01T00:00"))
    work.now = at(moment)
    work.tell(work.one(ContractTerminated))
    work.tell(contract(revision=2, months=12, period_start=date(2027, 1, 1), period_end=date(2027, 12, 31)))
    work.tell(notice("2026-12-31T23:59", "n2"), notice("2027-01-01T00:00", "n3"))

    assert work.one(NoticeRejected).reason == "contract_ended"
    assert [one.notice_id for one in work.all(NoticeAccepted)] == ["n1", "n3"]
    assert last_day(work) == date(2027, 12, 31)


def test_a_notice_at_the_moment_of_a_withdrawal() -> None:
    """What was received by the moment of a withdrawal, and at it, was taken back."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice(), withdrawal("2026-10-09T00:00"), notice("2026-10-09T00:00", "n2"))

    assert work.one(NoticeRejected).reason == "withdrawn"


def test_of_two_ends_at_one_moment_the_decided_one_counts() -> None:
    """A breach that takes effect with the period's end is a breach, and nothing ends the contract again."""
    work = casework()
    work.tell(contract(), breach("2027-01-01T00:00"))
    work.until(at("2027-02-01T00:00"))

    assert not work.all(ContractTerminated)
    assert work.state.contracts[0].basis == "breach"


@pytest.mark.parametrize("registered_first", [True, False])
def test_an_expiry_that_another_service_tells(*, registered_first: bool) -> None:
    """An end by the calendar covers what ends by its day, without naming a revision."""
    work = casework(at("2027-01-01T00:00"))
    told = breach("2027-01-01T00:00").model_copy(update={"basis": "expiry"})
    events = [contract(), told]
    work.tell(*(events if registered_first else events[::-1]))
    work.until(at("2027-02-01T00:00"))

    assert not work.all(ContractTerminated)
    assert isinstance(work.state.contracts[0], Ended)


@pytest.mark.parametrize("revisions", [[], [{"notice_days": 200}]], ids=["as registered", "late by a newer revision"])
def test_the_basis_of_an_end_by_notice(revisions: list[dict[str, Any]]) -> None:
    """A contract that wouldn't have gone on ends by notice if one was in time, and it stays so."""
    work = casework(at("2026-10-01T13:00"))
    work.tell(contract(), notice(), *(contract(revision=2, **changes) for changes in revisions))
    work.until(at("2027-02-01T00:00"))

    assert work.one(ContractTerminated).basis == "notice"


def test_in_time_for_a_period_that_a_revision_ended_on_the_day_of_receipt() -> None:
    """A notice that was in time stays so on the last day of the shortened period too."""
    work = casework(at("2026-10-01T12:00"))
    work.tell(contract(months=12), notice(), contract(months=12, revision=2, period_end=date(2026, 10, 1)))
    work.until(at("2027-02-01T00:00"))

    assert work.one(ContractTerminated).period_end == date(2026, 10, 1)


@pytest.mark.parametrize(
    ("received_at", "ends"), [("2026-10-01T12:00", date(2026, 11, 30)), ("2027-03-01T12:00", date(2027, 4, 14))]
)
def test_a_switch_has_the_notice_of_its_time(received_at: str, ends: date) -> None:
    """In the fixed period the period's notice, afterwards that of the time until further notice; then 30 days."""
    work = casework(at("2026-06-01T12:00"))
    work.tell(contract(then=14))
    work.until(at(received_at))
    work.tell(notice(received_at, ground="switch"))

    assert work.one(NoticeAccepted).period_end == ends


@pytest.mark.parametrize(
    ("days", "law", "ends"),
    [(61, "contract", date(2026, 8, 8)), (62, "art_25_2_d", date(2026, 8, 8)), (60, "contract", date(2026, 8, 7))],
)
def test_a_notice_of_exactly_two_months(days: int, law: str, ends: date) -> None:
    """The contract's own days count as long as they aren't more than two months."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12, notice_days=days), notice("2026-06-08T12:00", ground="erasure"))

    assert (work.one(NoticeAccepted).because[0].rule, work.one(NoticeAccepted).period_end) == (law, ends)


def test_erasure_that_ends_with_the_period() -> None:
    """It is by the law as long as it isn't later than the contract's own end."""
    work = casework(at("2026-12-01T12:00"))
    work.tell(contract(), notice("2026-12-01T12:00", ground="erasure"))

    assert (work.one(NoticeAccepted).period_end, work.one(NoticeAccepted).because[-1].rule) == (
        date(2026, 12, 31), "art_25_2_c",
    )  # fmt: skip


@pytest.mark.parametrize(("days", "steps"), [(30, 2), (31, 1)])
def test_the_reckoning_of_a_notice_ahead_of_the_contract(days: int, steps: int) -> None:
    """That it waits for the contract's first day is a step of its own, if it has to wait."""
    work = casework(at("2026-08-01T12:00"))
    terms = contract(period_start=date(2026, 9, 1), open_ended=True, notice_days=days)
    work.tell(terms, notice("2026-08-01T12:00"))

    because = work.one(NoticeAccepted).because
    assert work.one(NoticeAccepted).period_end == date(2026, 9, 1)
    assert [one.count for one in because] == [days, 1][:steps]
    assert because[-1].result == date(2026, 9, 1)


@pytest.mark.parametrize(("days", "steps"), [(31, [0, 31, 31]), (30, [0, 31, 30, 1])])
def test_the_reckoning_of_a_late_notice_before_the_time_until_further_notice(days: int, steps: list[int]) -> None:
    """That it waits for the first day of that time is a step of its own, if it has to wait."""
    work = casework(at("2026-12-01T23:00"))
    work.tell(contract(then=days, notice_days=31), notice("2026-12-01T12:00"))

    assert work.one(NoticeRejected).earliest_end == date(2027, 1, 1)
    assert [one.count for one in work.one(NoticeRejected).because] == steps


def test_what_a_second_notice_is_told() -> None:
    """It is told the end that the first leads to, by which rules, and stands for no date of its own."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"), notice("2026-06-08T12:00", "n2"))

    rejected = work.one(NoticeRejected)
    assert (rejected.reason, rejected.earliest_end) == ("already_given", date(2026, 8, 7))
    assert (rejected.rules, rejected.stands_until) == (POLICY.rules, None)


def test_what_a_notice_after_a_breach_is_told() -> None:
    """It is told the day with which the contract had ended, whatever its own reckoning would be."""
    work = casework()
    work.tell(contract(months=12), breach("2026-06-01T10:00", date(2026, 6, 1)), notice("2026-06-01T11:00"))

    rejected = work.one(NoticeRejected)
    assert (rejected.reason, rejected.earliest_end) == ("contract_ended", date(2026, 6, 1))


def test_the_earlier_receipt_says_on_which_ground() -> None:
    """A notice told again with an earlier receipt is what it was then."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice("2026-10-02T12:00"), notice("2026-10-01T12:00", ground="switch"))

    assert last_day(work) == date(2026, 11, 30)


def test_a_notice_whose_answer_is_forgotten_can_be_taken_back() -> None:
    """However many answers were given since, what counts can be undone."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), *(notice(notice_id=f"n{number}") for number in range(250)))
    work.tell(withdrawal("2026-10-09T00:00", "n0"))

    assert work.one(WithdrawalAccepted).notice_id == "n0"


def test_a_refused_withdrawal_leaves_the_answer() -> None:
    """Nobody is shown a notice as withdrawn that ended the contract."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), notice())
    work.until(at("2027-01-10T00:00"))
    work.tell(withdrawal("2027-01-05T00:00"))

    assert work.one(WithdrawalRejected)
    assert [one.reason for one in work.state.answered] == [None]


def test_a_withdrawn_switch_cannot_be_prolonged() -> None:
    """With the notice its transition is gone."""
    work = leaving()
    work.tell(withdrawal("2026-06-08T12:00"), prolongation("customer", date(2026, 9, 30), at("2026-06-08T12:00")))

    assert work.one(ProlongationRejected).reason == "no_transition"


def test_a_prolongation_at_the_moment_of_a_breach() -> None:
    """From the very moment at which another service ended the contract nothing is prolonged."""
    work = leaving()
    work.tell(breach("2026-06-08T12:00", date(2026, 6, 8)))
    work.tell(prolongation("customer", date(2026, 9, 30), at("2026-06-08T12:00")))

    assert work.one(ProlongationRejected).reason == "too_late"


@pytest.mark.parametrize("until", [date(2026, 9, 30), date(2026, 10, 31)])
def test_a_prolongation_that_adds_nothing_to_the_other_sides(until: date) -> None:
    """What the customer asks for has to be longer than what the provider had said already."""
    work = leaving()
    work.tell(prolongation("provider", date(2026, 10, 31), at("2026-06-08T12:00")))
    work.until(at("2026-06-09T12:00"))
    work.tell(prolongation("customer", until, at("2026-06-09T12:00"), "p2"))

    assert work.one(ProlongationRejected).reason == "no_longer"
