"""Short words for the notice service's tests."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from services.notice.domain import domain
from services.notice.policy import load_notice_policy
from shared.decision import Decided
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    AutomaticRenewal,
    ByCustomer,
    ByProvider,
    CalendarDays,
    ContractRegistered,
    NoRenewal,
    NoticeReceived,
    NoticeWithdrawn,
    OpenEnded,
    SwitchCompleted,
    TransitionProlonged,
    UntilFurtherNotice,
    Vouched,
)
from tests.casework import Casework, at

DEPLOY = Path(__file__).parents[2] / "deploy"
POLICY = load_notice_policy(DEPLOY / "policy.yaml", DEPLOY / "rules")
START = at("2026-06-01T12:00")


def casework(now: datetime = START) -> Casework:
    """Give a customer never heard of."""
    return Casework(domain(POLICY), now)


def contract(**changes: Any) -> ContractRegistered:
    """Register a contract for the year 2026 with 30 days of notice, not prolonged.

    *months*, *notice_days*, *open_ended* and *then* (the notice of a contract that goes on, in days) are short words.
    """
    days, renewal = changes.pop("notice_days", 30), _renewal(changes)
    values: dict[str, Any] = {
        "customer_id": "acme",
        "contract_id": "c1",
        "revision": 1,
        "period_start": date(2026, 1, 1),
        "period_end": date(2026, 12, 31),
        "time_zone": "Europe/Stockholm",
        "renewal": renewal,
        "notice": CalendarDays(days=days),
        "notice_channels": ("email", "letter"),
        "authority": Vouched(),
    }
    return ContractRegistered(**{**values, **changes})


def _renewal(changes: dict[str, Any]) -> Any:
    months, then = changes.pop("months", 0), changes.pop("then", None)
    if changes.pop("open_ended", False):
        changes["period_end"] = None
        return OpenEnded()
    if then is not None:
        return UntilFurtherNotice(notice=CalendarDays(days=then))
    return AutomaticRenewal(months=months) if months else NoRenewal()


def notice(received_at: str = "2026-10-01T12:00", notice_id: str = "n1", **changes: Any) -> NoticeReceived:
    """Give notice by e-mail."""
    values: dict[str, Any] = {"customer_id": "acme", "contract_id": "c1", "channel": "email"}
    return NoticeReceived(**{**values, **changes}, notice_id=notice_id, received_at=at(received_at))


def prolongation(by: str, until: date, prolonged_at: datetime, name: str = "p1") -> TransitionProlonged:
    """Prolong the transition after the notice n1."""
    return TransitionProlonged(
        customer_id="acme",
        contract_id="c1",
        notice_id="n1",
        prolongation_id=name,
        by=ByCustomer() if by == "customer" else ByProvider(reason="volume"),
        until=until,
        prolonged_at=prolonged_at,
    )


def completion(completed_at: str, confirmed_by: str = "contact:1", **changes: Any) -> SwitchCompleted:
    """Report that the switch after the notice n1 has succeeded."""
    values: dict[str, Any] = {"customer_id": "acme", "contract_id": "c1", "notice_id": "n1"}
    return SwitchCompleted(**{**values, **changes}, completed_at=at(completed_at), confirmed_by=confirmed_by)


def withdrawal(withdrawn_at: str, notice_id: str = "n1") -> NoticeWithdrawn:
    """Take a notice back."""
    return NoticeWithdrawn(customer_id="acme", contract_id="c1", notice_id=notice_id, withdrawn_at=at(withdrawn_at))


def breach(terminated_at: str, period_end: date = date(2026, 12, 31)) -> ContractTerminated:
    """End the contract from outside."""
    return ContractTerminated(
        customer_id="acme",
        contract_id="c1",
        basis="breach",
        period_end=period_end,
        terminated_at=at(terminated_at),
        time_zone="Europe/Stockholm",
    )


def decided(work: Casework, event: Event) -> Decided[Any]:
    """Ask what would follow from *event* now, without telling it."""
    decision = domain(POLICY).decide(work.state, event, work.now, POLICY)
    assert isinstance(decision, Decided)
    return decision
