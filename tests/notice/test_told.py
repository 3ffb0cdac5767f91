"""Every date is told, every change of one too, and what became of the telling is kept as evidence (P12)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.notice.explain import explain
from shared.decision import Ignored
from shared.events.notice import (
    ContractTerminated,
    DeadlineApproaching,
    NoticeAccepted,
    ProlongationAccepted,
    WithdrawalAccepted,
)
from shared.events.platform import CustomerInformed
from tests.casework import Casework, at
from tests.notice.language import POLICY, breach, casework, contract, domain, notice, prolongation, withdrawal

END = at("2027-01-01T00:00")


def under_notice() -> Casework:
    work = casework(at("2026-10-01T12:00"))
    work.tell(contract(months=12), notice())
    return work


def told(work: Casework) -> list[tuple[str, str | None]]:
    return [(one.announcement_id, one.change) for one in work.all(DeadlineApproaching)]


def informed(announcement_id: str, outcome: Any = "delivered", moment: str = "2026-11-01T08:00") -> CustomerInformed:
    return CustomerInformed(
        customer_id="acme",
        announcement_id=announcement_id,
        channel="email",
        outcome=outcome,
        informed_at=at(moment),
    )


@pytest.mark.parametrize(
    ("changes", "due_at"),
    [
        ({"period_end": date(2027, 1, 31)}, at("2027-02-01T00:00")),
        ({"period_end": date(2026, 11, 30)}, at("2026-12-01T00:00")),
        ({"time_zone": "Asia/Tokyo"}, at("2027-01-01T00:00", "Asia/Tokyo")),
    ],
    ids=["prolonged", "shortened", "moved to another zone"],
)
def test_a_change_after_the_notice_is_told(changes: dict[str, Any], due_at: Any) -> None:
    """Whoever was answered with a date is told at once that it is another one, and from which it has moved."""
    work = under_notice()
    work.tell(contract(months=12, revision=2, **changes))

    event = work.one(DeadlineApproaching)
    assert (event.change, event.due_at, event.before) == ("moved", due_at, END)
    work.until(due_at)
    assert work.one(ContractTerminated).terminated_at == due_at


def test_what_does_not_change_is_not_told() -> None:
    """A revision of other terms tells nothing."""
    work = under_notice()
    work.tell(contract(months=12, revision=2, language="sv"))

    assert told(work) == []


def test_a_change_settles_what_was_due() -> None:
    """After a change was told, the plan goes on with what is due later, and doesn't repeat it on the same day."""
    work = under_notice()
    work.until(at("2026-12-05T00:00"))
    work.tell(contract(months=12, revision=2, period_end=date(2026, 12, 30)))
    work.until(at("2026-12-31T00:00"))

    assert told(work)[-3:] == [
        ("c1:period_end:changed:1", "moved"),
        ("c1:period_end:2026-12-30:7", None),
        ("c1:period_end:2026-12-30:1", None),
    ]


def test_a_cancelled_end_is_told() -> None:
    """If a date that was told doesn't come any more, that is told."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract())
    work.until(work.now)
    work.tell(contract(revision=2, months=12))

    assert told(work)[-1] == ("c1:period_end:changed:1", "cancelled")


def test_an_answer_tells() -> None:
    """What an answer tells of itself isn't announced as a change: a withdrawal, a prolongation."""
    work = under_notice()
    work.tell(withdrawal("2026-10-01T12:00"))
    switched = casework(at("2026-06-08T12:00"))
    switched.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    switched.tell(prolongation("customer", date(2026, 12, 31), at("2026-06-08T12:00")))

    assert told(work) == told(switched) == []


def test_an_earlier_receipt_that_moves_the_end_is_told() -> None:
    """A late notice that turns out to have been in time ends the contract sooner, and that is told."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract(months=12), notice("2026-12-03T12:00", channel="letter"), notice("2026-12-01T12:00"))

    assert (work.one(DeadlineApproaching).change, work.one(DeadlineApproaching).due_at) == ("moved", END)


def test_an_end_that_another_service_decided_is_told_before() -> None:
    """An end to come is announced like any other, and as a change if another date was told."""
    work = under_notice()
    work.tell(breach("2026-12-01T00:00", date(2026, 11, 30)))
    work.until(at("2026-12-02T00:00"))

    assert told(work) == [
        ("c1:period_end:changed:1", "moved"),
        ("c1:period_end:2026-11-30:30", None),
        ("c1:period_end:2026-11-30:7", None),
        ("c1:period_end:2026-11-30:1", None),
    ]


def test_the_plan_of_a_transition() -> None:
    """The end of a transition is told by its own name and plan."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.until(at("2026-08-08T00:00"))

    assert [name for name, _ in told(work)] == [
        f"c1:transition_end:2026-08-07:{days}" for days in (60, 30, 7, 1)
    ]  # fmt: skip


def test_evidence_is_kept_and_offered() -> None:
    """What became of each announcement stays in the case, is explained, and goes with the end of the contract."""
    work = under_notice()
    work.until(at("2026-12-26T00:00"))
    names = [name for name, _ in told(work)]
    work.tell(informed(names[0]), informed(names[1], "bounced"))
    work.until(END)

    found = {one.announcement_id: one.outcome for one in work.one(ContractTerminated).announced}
    assert list(found.values()) == ["delivered", "bounced", "unanswered", "unanswered"]


def test_delivered_at_last() -> None:
    """Of several outcomes of one announcement the first delivery counts, in whatever order they are read."""
    outcomes = [informed("a", "bounced", "2026-11-01T08:00"), informed("a", "delivered", "2026-11-02T08:00")]
    kept = []
    for order in (outcomes, outcomes[::-1]):
        work = under_notice()
        work.until(at("2026-11-05T00:00"))
        name = told(work)[0][0]
        work.tell(*(one.model_copy(update={"announcement_id": name}) for one in order))
        kept.append([(one.outcome, one.informed_at) for one in work.state.contracts[0].told.evidence])

    assert kept[0] == kept[1] == [("delivered", at("2026-11-02T08:00"))]


def test_another_services_announcement() -> None:
    """What became of an announcement that wasn't ours is no news here."""
    work = under_notice()

    assert domain(POLICY).decide(work.state, informed("other"), work.now, POLICY) == Ignored(
        "no news of an announcement of ours"
    )


def test_evidence_is_explained() -> None:
    """Support sees with each announcement what became of it."""
    work = under_notice()
    work.until(at("2026-12-26T00:00"))
    work.tell(informed(told(work)[0][0], "bounced"))
    (one,) = explain(work.state, POLICY, work.now).contracts

    assert any("told, and bounced on 2026-11-01T07:00:00Z by email" in date_.because for date_ in one.dates)


def test_dates_told_by_a_withdrawals_answer_are_dates_told() -> None:
    """Whoever takes a notice back is told when the contract ends all the same; if that moves, it is told."""
    work = casework(at("2026-10-01T12:00"))
    work.tell(contract(), notice(), withdrawal("2026-10-01T12:00"))
    work.tell(contract(revision=2, period_end=date(2027, 1, 31)))

    event = work.one(DeadlineApproaching)
    assert (event.change, event.due_at, event.before) == ("moved", at("2027-02-01T00:00"), END)


def test_an_end_that_a_withdrawal_undid_is_told_by_its_answer_alone() -> None:
    """That the contract goes on was answered; a later revision doesn't cancel what isn't promised any more."""
    work = under_notice()
    work.tell(withdrawal("2026-10-01T12:00"), contract(months=6, revision=2))

    assert told(work) == []


def test_a_cancelled_end_is_told_once() -> None:
    """A further revision doesn't tell it again."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract())
    work.until(work.now)
    work.tell(contract(revision=2, months=12), contract(revision=3, months=12, language="sv"))

    assert [change for _, change in told(work)] == [None, "cancelled"]


def test_all_dates_that_were_told_move() -> None:
    """A revision that moves the deadline and the end tells both, each from what was told of it to what is true now."""
    work = casework(at("2026-11-25T00:00"))
    work.tell(contract())
    work.until(work.now)
    work.tell(contract(revision=2, period_end=date(2027, 1, 31)))
    work.until(at("2026-12-03T12:00"))

    moved = [(one.announcement_id, one.before, one.due_at) for one in work.all(DeadlineApproaching) if one.change]
    assert moved == [
        ("c1:notice_deadline:changed:1", at("2026-12-02T00:00"), at("2027-01-02T00:00")),
        ("c1:period_end:changed:2", at("2027-01-01T00:00"), at("2027-02-01T00:00")),
    ]
    # What the plan had for that day is settled by the change, for both; the next is told again.
    assert [name for name, change in told(work) if change is None] == [
        "c1:notice_deadline:2026-12-01:7",
        "c1:period_end:2026-12-31:60",
        "c1:notice_deadline:2027-01-01:30",
        "c1:period_end:2027-01-31:60",
    ]


def test_a_change_stays_told() -> None:
    """A revision of other terms after a change doesn't make the plan repeat on that day what was told as a change."""
    work = casework(at("2026-11-25T00:00"))
    work.tell(contract(months=12))
    work.until(work.now)
    moved = contract(months=12, revision=2, period_end=date(2026, 12, 30))
    work.tell(moved, moved.model_copy(update={"revision": 3, "language": "sv"}))
    work.until(work.now)

    assert [change for _, change in told(work)] == [None, "moved"]


@pytest.mark.parametrize("now", ["2026-12-31T00:00", "2026-12-31T08:00"])
def test_a_change_to_a_moment_that_has_come_is_not_told(now: str) -> None:
    """None after the moment has passed: that the contract is over is told by its end."""
    work = under_notice()
    work.until(at("2026-12-30T12:00"))
    before = len(told(work))
    work.now = at(now)
    work.tell(contract(months=12, revision=2, period_end=date(2026, 12, 30)))

    assert len(told(work)) == before


@pytest.mark.parametrize("now", ["2026-12-02T00:00", "2026-12-02T08:00"])
def test_a_deadline_that_has_passed_moves_no_more(now: str) -> None:
    """Nobody is told that a deadline which they missed has become another one, unless by the plan."""
    work = casework(at("2026-11-25T00:00"))
    work.tell(contract(months=12))
    work.until(at("2026-12-01T00:00"))
    work.now = at(now)
    work.tell(contract(months=12, revision=2, period_end=date(2027, 1, 31)))

    assert all(change is None for _, change in told(work))


def test_a_deadline_that_became_pointless_is_not_cancelled() -> None:
    """Once another service has set an end, the deadline for notice that was told is nothing to tell of."""
    work = casework(at("2026-11-25T00:00"))
    work.tell(contract(months=12))
    work.until(work.now)
    work.tell(breach("2027-06-01T00:00", date(2027, 5, 31)))

    assert [change for _, change in told(work)] == [None]


@pytest.mark.parametrize("terminated_at", ["2026-10-01T12:00", "2026-09-30T12:00"])
def test_an_end_at_once_is_no_change(terminated_at: str) -> None:
    """When another service ends the contract at once, that is told by the end itself."""
    work = under_notice()
    work.tell(breach(terminated_at, date(2026, 9, 30)))
    work.until(at("2027-02-01T00:00"))

    assert told(work) == []


def test_an_end_at_this_very_moment_is_not_announced() -> None:
    """Of a contract that is heard of together with its end there is nothing to tell beforehand."""
    work = casework()
    work.tell(contract(), breach("2026-06-01T12:00", date(2026, 6, 1)))
    work.until(at("2026-06-03T00:00"))

    assert told(work) == []


def test_an_end_of_a_contract_never_registered_is_told_and_so_is_its_change() -> None:
    """Whoever is to lose service is told so, also if the contract itself was never heard of."""
    work = casework()
    work.tell(breach("2026-07-01T00:00", date(2026, 6, 30)))
    work.until(at("2026-06-02T00:00"))
    work.tell(breach("2026-08-01T00:00", date(2026, 7, 31)))

    assert told(work) == [("c1:period_end:2026-06-30:30", None), ("c1:period_end:changed:1", "moved")]


def test_a_date_that_moves_under_another_name() -> None:
    """When a second notice comes to end the contract before the transition that was told, that is one date moved."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00"), notice("2026-06-08T12:00", "n2", ground="switch"))
    work.tell(contract(months=12, revision=2, period_end=date(2026, 7, 31)))

    event = work.one(DeadlineApproaching)
    assert (event.deadline, event.change) == ("period_end", "moved")
    assert (event.before, event.due_at) == (at("2026-08-08T00:00"), at("2026-08-01T00:00"))


def test_evidence_of_a_change_is_kept() -> None:
    """That the news of a moved date arrived is evidence like any other, and goes with the end of the contract."""
    work = under_notice()
    work.tell(contract(months=12, revision=2, period_end=date(2026, 10, 31)))
    work.tell(informed("c1:period_end:changed:1", moment="2026-10-02T08:00"))
    work.until(at("2026-11-01T00:00"))

    first = work.one(ContractTerminated).announced[0]
    assert (first.announcement_id, first.outcome, first.informed_at) == (
        "c1:period_end:changed:1", "delivered", at("2026-10-02T08:00"),
    )  # fmt: skip


@pytest.mark.parametrize("again", [informed("a"), informed("a", "bounced"), informed("a", moment="2026-11-09T08:00")])
def test_lesser_news_is_no_news(again: CustomerInformed) -> None:
    """After the first delivery neither its repetition nor a later outcome changes the evidence."""
    work = under_notice()
    work.until(at("2026-11-15T00:00"))
    name = told(work)[0][0]
    work.tell(informed(name))

    assert domain(POLICY).decide(
        work.state, again.model_copy(update={"announcement_id": name}), work.now, POLICY
    ) == Ignored("no news of an announcement of ours")


@pytest.mark.parametrize("answered", ["notice", "withdrawal", "prolongation"])
def test_an_end_to_come_that_an_answer_told(answered: str) -> None:
    """What another service decided is told by the answers of until then; if it moves, that is told."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), breach("2026-10-01T00:00", date(2026, 9, 30)))
    if answered == "notice":
        work.tell(notice("2026-06-08T12:00"))
        assert work.one(NoticeAccepted).terminates_at == at("2026-10-01T00:00")
    elif answered == "withdrawal":
        work.tell(notice("2026-06-08T12:00", ground="switch"), withdrawal("2026-06-08T12:00"))
        assert work.one(WithdrawalAccepted).ends_on == date(2026, 9, 30)
    else:
        work.tell(notice("2026-06-08T12:00", ground="switch"))
        work.tell(prolongation("customer", date(2026, 12, 31), at("2026-06-08T12:00")))
        assert work.one(ProlongationAccepted).terminates_at == at("2026-10-01T00:00")
    work.tell(breach("2026-11-01T00:00", date(2026, 10, 31)))

    event = work.one(DeadlineApproaching)
    assert (event.change, event.before, event.due_at) == ("moved", at("2026-10-01T00:00"), at("2026-11-01T00:00"))
