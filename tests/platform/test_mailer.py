"""The platform's own side: letters are answered, and an account ends with its last contract."""

from __future__ import annotations

from datetime import date

from deploy.platform.mailer import Inform, Informed, Mark, domain
from shared.decision import Task
from shared.events.notice import ContractTerminated, DeadlineApproaching
from shared.events.platform import CalendarDays, ContractRegistered, CustomerInformed, NoRenewal, Vouched
from tests.casework import Casework, at

NOW = at("2027-01-01T00:00")


def casework() -> Casework:
    return Casework(domain(), NOW)


def call() -> DeadlineApproaching:
    return DeadlineApproaching(customer_id="acme", announcement_id="a:1", deadline="period_end", due_at=NOW)


def contract(contract_id: str, *, revision: int = 1, year: int = 2026) -> ContractRegistered:
    return ContractRegistered(
        customer_id="acme",
        contract_id=contract_id,
        revision=revision,
        period_start=date(year, 1, 1),
        period_end=date(year, 12, 31),
        time_zone="Europe/Stockholm",
        renewal=NoRenewal(),
        notice=CalendarDays(days=30),
        notice_channels=("email",),
        authority=Vouched(),
    )


def end(contract_id: str) -> ContractTerminated:
    return ContractTerminated(
        customer_id="acme",
        contract_id=contract_id,
        basis="expiry",
        period_end=date(2026, 12, 31),
        terminated_at=NOW,
        time_zone="Europe/Stockholm",
    )


def delivered(task: Task) -> Informed:
    assert isinstance(task, Inform)
    return Informed(customer_id=task.customer_id, announcement_id=task.announcement_id, outcome="delivered")


def marks(work: Casework) -> list[tuple[str, int]]:
    return [(task.status, task.revision) for _, task in work.ordered if isinstance(task, Mark)]


def test_an_announcement_is_told_once_and_answered() -> None:
    """A repeat, before or after the letter, makes no second one (P12)."""
    work = casework()
    work.tell(call(), call())
    work.perform(delivered)
    work.tell(call())

    answer = work.one(CustomerInformed)
    assert (answer.announcement_id, answer.channel, answer.outcome) == ("a:1", "email", "delivered")
    assert work.ordered == []


def test_an_account_ends_with_its_last_contract() -> None:
    """As long as one contract goes on the account is active, and nothing may be deleted."""
    work = casework()
    work.tell(contract("one"), contract("two"), end("one"))
    before_the_last = marks(work)
    work.tell(end("two"))

    assert before_the_last == []
    assert marks(work) == [("ended", 1)]


def test_an_end_may_be_heard_before_its_contract() -> None:
    """Kafka orders one topic only; the account ends either way."""
    work = casework()
    work.tell(end("one"), contract("one"))

    assert marks(work) == [("ended", 1)]


def test_a_customer_that_comes_back_is_active_again() -> None:
    """A contract for a later period outlives the ending of an earlier one."""
    work = casework()
    work.tell(contract("one"), end("one"), contract("one", revision=2, year=2027))

    assert marks(work) == [("ended", 1), ("active", 2)]
