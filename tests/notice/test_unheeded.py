"""What changes nothing, what waits, and for how long, in the words that operators read."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.notice.domain import decide, domain, overdue
from services.notice.states import Unknown
from shared.decision import Ignored, Premature, Woke
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    CustomerInformed,
    NoticeReceived,
    NoticeWithdrawn,
    SwitchCompleted,
    TransitionProlonged,
)
from tests.casework import Casework
from tests.notice.language import (
    POLICY,
    START,
    breach,
    casework,
    completion,
    contract,
    notice,
    prolongation,
    withdrawal,
)

LONGER = prolongation("customer", date(2026, 9, 30), START)


def answer(work: Casework, event: Event) -> Any:
    return decide(work.state, event, work.now, POLICY)


@pytest.mark.parametrize(
    ("heard", "event", "reason"),
    [
        ([contract(), notice("2026-06-01T09:00")], notice("2026-06-01T09:00"), "the notice was answered already"),
        (
            [contract(), notice("2026-06-01T09:00")],
            notice("2026-06-01T10:00", channel="letter"),
            "the notice was answered already",
        ),
        ([contract(), notice(channel="phone")], notice(channel="phone"), "the notice was answered already"),
        (
            [contract(months=12), notice("2026-06-01T09:00", ground="switch"), LONGER],
            LONGER,
            "the prolongation was answered already",
        ),
        ([contract(), breach("2026-05-01T00:00")], breach("2026-05-01T00:00"), "known to be over"),
        ([breach("2026-05-01T00:00"), breach("2026-04-01T00:00")], breach("2026-04-01T00:00"), "known to be over"),
    ],
)
def test_what_is_no_news(heard: list[Event], event: Event, reason: str) -> None:
    """What was heard before changes nothing, and it is said why."""
    work = casework()
    work.tell(*heard)

    assert answer(work, event) == Ignored(reason)


def test_a_notice_answered_as_unknown_is_answered_for_good() -> None:
    """Told again while its contract is still unknown, it doesn't wait a second time."""
    work = casework()
    work.tell(notice())
    work.until(START + timedelta(days=3))

    assert answer(work, notice()) == Ignored("the notice was answered already")


@pytest.mark.parametrize(
    ("heard", "event", "waits"),
    [
        ([], notice(), Premature("the contract is not known yet", START + POLICY.unknown_contract_wait)),
        (
            [],
            completion("2026-07-20T14:00"),
            Premature("the notice is not known yet", START + POLICY.unknown_notice_wait),
        ),
        (
            [],
            withdrawal("2026-06-01T09:00"),
            Premature("the notice is not known yet", START + POLICY.unknown_notice_wait),
        ),
        (
            [contract()],
            withdrawal("2026-06-01T09:00"),
            Premature("the notice is not known yet", START + POLICY.unknown_notice_wait),
        ),
        (
            [contract(), notice("2026-06-01T09:00")],
            withdrawal("2026-06-01T09:00", "n9"),
            Premature("the notice is not known yet", START + POLICY.unknown_notice_wait),
        ),
        ([contract()], LONGER, Premature("the notice is not known yet", START + POLICY.unknown_notice_wait)),
    ],
)
def test_what_is_read_too_early_waits(heard: list[Event], event: Event, waits: Premature) -> None:
    """It waits for what it speaks of, as long as the policy says, and says for what."""
    work = casework()
    work.tell(*heard)

    assert answer(work, event) == waits


def test_nobody_is_woken_who_is_not_known() -> None:
    """A customer never heard of has nothing that could be due."""
    assert decide(Unknown(), Woke(), START, POLICY) == Ignored("nothing is known")


def test_what_never_waits_is_never_overdue() -> None:
    """Only what speaks of a contract or a notice that isn't known is answered after its wait."""
    work = casework()
    work.tell(contract())

    assert overdue(work.state, breach("2026-06-01T10:00"), POLICY) == Ignored("nothing was waited for")


def test_what_the_service_reads() -> None:
    """It is called notice, and reads these events and no others."""
    service = domain(POLICY)

    assert service.name == "notice"
    assert set(service.consumes) == {
        ContractRegistered,
        NoticeReceived,
        NoticeWithdrawn,
        TransitionProlonged,
        SwitchCompleted,
        ContractTerminated,
        CustomerInformed,
    }
