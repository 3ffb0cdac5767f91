"""A customer's contract dates as an iCalendar feed (RFC 5545): entries that replace their earlier selves (P12)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID, uuid5

from icalendar import Calendar, Event
from icalendar.enums import STATUS, TRANSP

from .explained import ContractDates, CustomerDates, Explained

# Never to change: calendars know an entry by its UID alone.
_ENTRIES = UUID("5d2a4f6e-1f0b-4c3e-9a57-3f6f0c1b8e21")
_PRODUCT = "-//Offramp//Contract dates//EN"

# Why a deadline is pointless for a contract without a notice.
_GONE = {"ended": "The contract is over.", "ending": "The contract ends before that."}

_Kind: TypeAlias = Literal["notice_deadline", "period_end"]


def feed(dates: CustomerDates, sequence: int, now: datetime) -> bytes:
    """Write *dates* as a calendar of all-day entries, two per contract: last day for notice, end of the period.

    *sequence* has to grow whenever the dates may have changed, *now* is when they were read. There is no person,
    address or name in it, only the ids of the customer and its contracts (RFC 5545, 3.8.4.7, 3.8.7.4).
    """
    calendar = Calendar.new(
        prodid=_PRODUCT,
        method="PUBLISH",
        uid=uuid5(_ENTRIES, f"{dates.customer_id}"),
        name=f"Contract dates of {dates.customer_id}",
        last_modified=now,
    )
    for contract in dates.contracts:
        for entry in (_notice_deadline(dates, contract), _period_end(dates, contract)):
            if entry is not None:
                entry.stamp = entry.LAST_MODIFIED = now
                entry.sequence = sequence
                calendar.add_component(entry)
    written: bytes = calendar.to_ical()
    return written


def _notice_deadline(dates: CustomerDates, contract: ContractDates) -> Event | None:
    last = contract.find("last_day_for_notice")
    if last is None:
        return None
    until = contract.find("notice_before")
    title = f"Last day for notice: contract {contract.contract_id}"
    reasons = [last.because, *([until.because] if until else [])]
    if last.applies:
        return _entry(dates, contract, "notice_deadline", STATUS.CONFIRMED, title, last, reasons)
    gone = "Notice was given." if contract.find("notice") else _GONE[contract.standing]
    return _entry(dates, contract, "notice_deadline", STATUS.CANCELLED, f"Cancelled: {title}", last, [gone, *reasons])


def _period_end(dates: CustomerDates, contract: ContractDates) -> Event | None:
    end, over = contract.find("last_day_of_service"), contract.find("terminates_at")
    if end is not None and over is not None:
        title = f"Last day of service: contract {contract.contract_id}"
        return _entry(dates, contract, "period_end", STATUS.CONFIRMED, title, end, [over.because])
    end, goes_on = contract.find("period_end"), contract.find("prolonged_to")
    if end is None or goes_on is None:
        return None
    title = f"End of the period, prolonged without notice: contract {contract.contract_id}"
    return _entry(dates, contract, "period_end", STATUS.TENTATIVE, title, end, [end.because, goes_on.because])


def _entry(
    dates: CustomerDates,
    contract: ContractDates,
    kind: _Kind,
    status: STATUS,
    title: str,
    on: Explained,
    reasons: list[str],
) -> Event:
    # A moment would be shown in the reader's zone; a day is the same day everywhere.
    return Event.new(
        uid=uuid5(_ENTRIES, f"{dates.customer_id}/{contract.contract_id}/{kind}"),
        start=on.value,
        end=on.value + timedelta(days=1),
        status=status,
        transparency=TRANSP.TRANSPARENT,
        summary=title,
        description="\n".join(reasons),
    )
