"""A day begins when its zone's clocks say so, however odd they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.days import first_moment, first_moment_after, local_day

ZONES = sorted(zone for zone in available_timezones() if "/" in zone)


@pytest.mark.parametrize(
    ("day", "zone", "moment"),
    [
        ("2027-01-01", "Europe/Stockholm", "2026-12-31T23:00:00"),
        ("2027-07-01", "Europe/Stockholm", "2027-06-30T22:00:00"),
        ("2027-07-01", "UTC", "2027-07-01T00:00:00"),
        # Clocks jumped from 00:00 to 01:00: the day begins at 01:00.
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00"),
        # Clocks went back from 01:00 to 00:00: the day begins at the first midnight.
        ("2021-11-07", "America/Havana", "2021-11-07T04:00:00"),
        # Clocks went back from 00:01 to 23:01: the day before had another 59 minutes.
        ("2010-11-07", "America/St_Johns", "2010-11-07T03:30:00"),
        # There was no 30 December 2011 in Samoa: it is over as soon as it would have begun.
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00"),
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00"),
    ],
)
def test_first_moment(day: str, zone: str, moment: str) -> None:
    """A day begins at the first moment from which it is that day or later, for good."""
    assert first_moment(date.fromisoformat(day), zone) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@given(st.dates(date(1975, 1, 1), date(2045, 1, 1)), st.sampled_from(ZONES))
def test_no_day_is_cut_short(day: date, zone: str) -> None:
    """Just before a day is over it is not yet the next one; from then on it never is that day again."""
    over = first_moment_after(day, zone)

    assert local_day(over - timedelta(seconds=1), zone) <= day
    assert all(local_day(over + timedelta(minutes=minutes), zone) > day for minutes in range(0, 1500, 15))
