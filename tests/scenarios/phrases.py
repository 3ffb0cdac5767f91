"""What customers and support say in these scenarios."""

from __future__ import annotations

from datetime import UTC, date, datetime

from shared.events.platform import AutomaticRenewal, CalendarDays, ContractRegistered, NoticeReceived, Vouched

IN_MAY = datetime(2027, 5, 3, 9, tzinfo=UTC)


def contract(customer: str, revision: int = 1, notice_days: int = 30) -> ContractRegistered:
    return ContractRegistered(
        customer_id=customer,
        contract_id=f"{customer}-1",
        revision=revision,
        period_start=date(2026, 7, 1),
        period_end=date(2027, 6, 30),
        time_zone="Europe/Stockholm",
        renewal=AutomaticRenewal(months=12),
        notice=CalendarDays(days=notice_days),
        notice_channels=("email", "letter"),
        authority=Vouched(),
    )


def notice(customer: str, number: int = 1, channel: str = "email") -> NoticeReceived:
    return NoticeReceived(
        customer_id=customer,
        contract_id=f"{customer}-1",
        notice_id=f"mail-{number}",
        channel=channel,
        received_at=IN_MAY,
    )
