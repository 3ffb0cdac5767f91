"""No term of a contract that leads to a deletion has a default: what is missing or null is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.events.envelope import Record, Unreadable, read
from shared.events.platform import CalendarDays, ContractRegistered, OpenEnded, Vouched

SAMPLES = Path(__file__).parents[1] / "samples" / "ContractRegistered"
TERMS = ("period_start", "period_end", "time_zone", "renewal", "notice", "notice_channels", "authority", "revision")


def arrived(version: int, **changes: Any) -> ContractRegistered:
    """Read the sample of a version, with some fields changed; ``...`` leaves one out."""
    envelope = json.loads((SAMPLES / f"v{version}.json").read_text(encoding="utf-8"))
    data = {**envelope["data"], **changes}
    envelope["data"] = {name: value for name, value in data.items() if value is not ...}
    event = read(Record("ContractRegistered", 0, 0, 1_700_000_000_000, None, json.dumps(envelope).encode(), ())).event
    assert isinstance(event, ContractRegistered)
    return event


def why(**changes: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        arrived(2, **changes)
    return caught.value.reason


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("value", [..., None])
def test_nothing_is_guessed(term: str, value: object) -> None:
    """A contract without one of its terms is refused, and the term is named."""
    assert why(**{term: value}).startswith(f"{term}: ")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"renewal": {"kind": "open_ended"}}, "period_end: must be null where renewal is open_ended"),
        ({"period_end": None}, "period_end: field required, unless renewal is open_ended"),
        ({"renewal": {"kind": "until_further_notice"}}, "renewal.notice: field required"),
        ({"renewal": {"kind": "automatic", "months": 0}}, "renewal.months: must be at least 1"),
        ({"notice": {"kind": "calendar_days"}}, "notice.days: field required"),
        ({"notice": {"kind": "calendar_days", "days": 4000}}, "notice.days: must be at most 3660"),
        ({"notice": {"kind": "working_days", "days": 5}}, "notice.country: field required"),
        (
            {"notice": {"kind": "working_days", "days": 5, "country": "XX"}},
            "notice.country: must be a country by ISO 3166-1 whose holidays are known, as SE",
        ),
        ({"authority": {"kind": "appointed"}}, "authority.by: field required"),
        # Taken for a period that is over, it would end the contract at once, and begin the 90 days.
        ({"period_start": "2027-07-01", "period_end": "2027-06-30"}, "period_end: must not lie before period_start"),
        (
            {"period_end": "9999-12-31"},
            "period_end: must lie in the years 1900 to 2999; one without an end has none, and renewal open_ended",
        ),
        (
            {"period_start": "0001-01-01"},
            "period_start: must lie in the years 1900 to 2999; one without an end has none, and renewal open_ended",
        ),
        ({"language": "Swedish"}, "language: must match ^[a-z]{2,3}(-[A-Z]{2}){0,1}$"),
    ],
)
def test_a_senseless_term_is_named(changes: dict[str, Any], reason: str) -> None:
    """So is one that makes no sense, down to the field inside it."""
    assert why(**changes) == reason


def test_a_period_may_be_of_a_single_day() -> None:
    """It ends on the day on which it begins."""
    event = arrived(2, period_start="2027-07-01", period_end="2027-07-01")

    assert event.period_start == event.period_end


def test_an_open_ended_contract() -> None:
    """A contract until further notice says so, and then has no end."""
    event = arrived(2, renewal={"kind": "open_ended"}, period_end=...)

    assert (event.renewal, event.period_end) == (OpenEnded(), None)


def test_the_first_version_says_what_it_said() -> None:
    """Its days were of the calendar, who may give notice wasn't asked, and what it didn't say stays unsaid."""
    event = arrived(1)

    assert (event.notice, event.authority) == (CalendarDays(days=30), Vouched())
    assert (event.language, event.transfer_help, event.service_class) == (None, None, None)
