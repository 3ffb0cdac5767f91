"""What was heard of a contract is kept whatever becomes of it, and within bounds."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.notice.contract import facts_of, overs_of
from services.notice.states import Ended, Leaving
from shared.events.event import Event
from shared.events.notice import ContractTerminated, ProlongationAccepted
from tests.casework import Casework, at
from tests.notice.language import breach, casework, contract, notice, prolongation, withdrawal

BEGINNING = at("2026-01-01T12:00")


def with_a_history(*more: Event) -> Casework:
    """Give a contract of which one notice was taken back, and two others were given after that."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), breach("2025-12-01T00:00", date(2025, 11, 30)))
    work.tell(notice("2026-10-01T12:00", "n1"), withdrawal("2026-10-02T00:00"))
    work.tell(notice("2026-10-03T12:00", "n2"), notice("2026-10-04T12:00", "n3"), *more)
    return work


@pytest.mark.parametrize("end", ["by another service", "by ours"])
def test_an_end_forgets_nothing(end: str) -> None:
    """The notices, the ends, the withdrawal and when the contract was heard of are still there when it is over."""
    work = with_a_history()
    known = work.state.contracts[0]
    before = facts_of(known, known.terms, known.since)
    if end == "by ours":
        work.until(at("2027-01-01T00:00"))
    else:
        work.tell(breach("2026-10-10T00:00", date(2026, 10, 9)))
    over = work.state.contracts[0]

    assert isinstance(over, Ended)
    after = facts_of(over, over.terms, over.since)
    assert (after.since, after.undone_until) == (before.since, before.undone_until)
    assert {one.notice_id for one in after.notices} == {one.notice_id for one in before.notices} == {"n2", "n3"}
    assert set(before.overs) < set(after.overs)


def test_a_copy_of_what_was_taken_back() -> None:
    """A letter that repeats a withdrawn notice counts for nothing, though another notice was given meanwhile."""
    work = with_a_history(notice("2026-10-01T18:00", "n4", ground="erasure"))
    known = work.state.contracts[0]

    assert isinstance(known, Leaving)
    assert known.undone_until == at("2026-10-02T00:00")
    assert [known.notice.notice_id, *(one.notice_id for one in known.standby)] == ["n2", "n3"]


@pytest.mark.parametrize("registered", [True, False])
def test_ends_are_kept_within_bounds(*, registered: bool) -> None:
    """However often a contract ends, the latest of its ends are kept, whatever the order of reading."""
    ends = [breach(f"2025-{month:02}-{day:02}T00:00", date(2025, 1, 1)) for month in range(1, 6) for day in range(2, 9)]
    kept = []
    for order in (ends, ends[::-1]):
        work = casework()
        work.tell(*([contract()] if registered else []), *order)
        kept.append(overs_of(work.state.contracts[0]))

    assert kept[0] == kept[1]
    assert [one.ending.terminated_at for one in kept[0]] == [one.terminated_at for one in ends[-20:]]


def test_the_latest_end_names_the_basis() -> None:
    """Of two ends of a contract that was never registered here the later one says why it is over."""
    work = casework()
    bankrupt = breach("2026-05-01T00:00", date(2026, 4, 30)).model_copy(update={"basis": "bankruptcy"})
    work.tell(breach("2026-04-01T00:00", date(2026, 3, 31)), bankrupt)

    assert work.state.contracts[0].basis == "bankruptcy"


def test_what_was_told_of_a_period_goes_with_it() -> None:
    """A contract that is renewed month by month remembers of its announcements those of the present month."""
    work = casework(BEGINNING)
    work.tell(contract(period_end=date(2026, 1, 31), months=1))
    sizes = set()
    for month in range(24):
        work.until(BEGINNING + timedelta(days=31 * month))
        sizes.add(len(work.state.contracts[0].told.ids))

    assert max(sizes) <= 4


def test_a_prolongation_that_counts_is_kept_beside_many_that_do_not() -> None:
    """However often one side has asked in vain, the other may still prolong; the latest vain ones are kept."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    vain = [prolongation("provider", date(2028, 1, 1), at("2026-06-08T12:00"), f"v{number}") for number in range(30)]
    work.tell(*vain)
    work.until(at("2026-06-09T12:00"))
    work.tell(prolongation("customer", date(2026, 12, 31), at("2026-06-09T12:00"), "c"))
    kept = work.state.contracts[0].notice.prolongations
    work.until(at("2027-01-10T00:00"))

    assert work.one(ProlongationAccepted).prolongation_id == "c"
    assert [one.prolongation_id for one in kept] == ["c", *sorted(f"v{number}" for number in range(30))[-10:]]
    assert work.one(ContractTerminated).period_end == date(2026, 12, 31)
