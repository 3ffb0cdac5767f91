"""The calendar of a customer's dates: read by a library and by the letters of RFC 5545."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import pytest
from icalendar import Calendar

from services.notice.explain import explain
from services.notice.feed import feed
from tests.casework import Casework, at
from tests.notice.language import POLICY, breach, casework, contract, notice, prolongation, withdrawal

Entry = dict[str, str]


def written(work: Casework) -> bytes:
    """Write the feed as the command does: the case's revision grows with every decision."""
    return feed(explain(work.state, POLICY, work.now), work.case.revision, work.now)


def entries(calendar: bytes) -> list[Any]:
    return list(Calendar.from_ical(calendar).events)


def shown(work: Casework) -> list[tuple[str, date, str]]:
    return [(str(one["SUMMARY"]), one["DTSTART"].dt, str(one["STATUS"])) for one in entries(written(work))]


def by_the_letter(calendar: bytes) -> list[Entry]:
    """Read the entries without the library: lines unfolded (3.1), one value per property."""
    content = calendar.decode()
    assert content.endswith("\r\n")
    assert "\n" not in content.replace("\r\n", "")
    assert all(len(line) <= 75 for line in calendar.split(b"\r\n"))
    lines = re.sub("\r\n[ \t]", "", content).splitlines()
    assert (lines[0], lines[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    found: list[Entry] = []
    for line in lines:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            found.append({})
        elif found:
            assert name == "END" or name not in found[-1], "a property stands twice"
            found[-1][name] = value
    return found


class Imported:
    """A calendar into which feeds are imported: by UID, the higher SEQUENCE replaces (3.8.7.4)."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}

    def take(self, calendar: bytes) -> None:
        for one in entries(calendar):
            known = self.entries.get(str(one["UID"]))
            if known is None or (one["SEQUENCE"], one["DTSTAMP"].dt) > (known["SEQUENCE"], known["DTSTAMP"].dt):
                self.entries[str(one["UID"])] = one

    def dates(self) -> dict[str, tuple[date, str]]:
        return {str(one["SUMMARY"]): (one["DTSTART"].dt, str(one["STATUS"])) for one in self.entries.values()}


def test_a_contract_without_renewal() -> None:
    """The last day for notice and the last day of service are all-day entries of one day each."""
    work = casework()
    work.tell(contract())

    assert shown(work) == [
        ("Last day for notice: contract c1", date(2026, 12, 1), "CONFIRMED"),
        ("Last day of service: contract c1", date(2026, 12, 31), "CONFIRMED"),
    ]
    assert [one["DTEND"].dt for one in entries(written(work))] == [date(2026, 12, 2), date(2027, 1, 1)]


def test_a_contract_with_renewal() -> None:
    """An end that comes only with a notice is tentative, and says so."""
    work = casework()
    work.tell(contract(months=12))

    assert shown(work)[1] == (
        "End of the period, prolonged without notice: contract c1",
        date(2026, 12, 31),
        "TENTATIVE",
    )


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Stockholm"])
def test_a_day_is_a_day(zone: str) -> None:
    """A day is written as a day, so that no reader's time zone moves it."""
    work = casework()
    work.tell(contract(time_zone=zone))

    assert [one["DTSTART;VALUE=DATE"] for one in by_the_letter(written(work))] == ["20261201", "20261231"]


def test_by_the_letter_of_the_standard() -> None:
    """Each entry has what RFC 5545 requires (3.6.1), once, in folded lines ended by CR LF, and the library agrees."""
    work = casework(at("2026-10-10"))
    work.tell(contract(months=12), notice(), contract(contract_id="c2", months=1, period_end=date(2026, 1, 31)))
    calendar = written(work)
    read = by_the_letter(calendar)

    assert len(read) == 4
    assert {tuple(sorted(one)) for one in read} == {
        (
            "DESCRIPTION", "DTEND;VALUE=DATE", "DTSTAMP", "DTSTART;VALUE=DATE", "END", "LAST-MODIFIED", "SEQUENCE",
            "STATUS", "SUMMARY", "TRANSP", "UID",
        )
    }  # fmt: skip
    assert len({one["UID"] for one in read}) == len(read)
    assert [one["UID"] for one in read] == [str(one["UID"]) for one in entries(calendar)]
    assert {one["DTSTAMP"] for one in read} == {one["LAST-MODIFIED"] for one in read} == {"20261009T220000Z"}
    assert "METHOD:PUBLISH\r\n" in calendar.decode()


def test_an_entry_says_why() -> None:
    """The reckoning goes with the date."""
    work = casework()
    work.tell(contract())

    assert str(entries(written(work))[0]["DESCRIPTION"]).startswith(
        "30 days before 31 December 2026: 1 December 2026\n"
    )


def test_an_update_replaces() -> None:
    """A prolonged contract moves the entries that a calendar has, and adds none."""
    work, calendar = casework(), Imported()
    work.tell(contract())
    calendar.take(written(work))
    work.tell(contract(revision=2, period_end=date(2027, 6, 30)))
    calendar.take(written(work))

    assert calendar.dates() == {
        "Last day for notice: contract c1": (date(2027, 5, 31), "CONFIRMED"),
        "Last day of service: contract c1": (date(2027, 6, 30), "CONFIRMED"),
    }


def test_the_next_period_replaces_the_last() -> None:
    """Prolonged by its renewal, a contract has the entries of the period that runs."""
    work, calendar = casework(), Imported()
    work.tell(contract(months=12))
    calendar.take(written(work))
    work.until(at("2027-01-02T00:00"))
    calendar.take(written(work))

    assert sorted(day for day, _ in calendar.dates().values()) == [date(2027, 12, 1), date(2027, 12, 31)]


def test_a_notice_cancels_its_deadline() -> None:
    """Once notice is given its deadline is cancelled and the end is certain; taken back, both are as before."""
    work, calendar = casework(at("2026-10-10T00:00")), Imported()
    work.tell(contract(months=12))
    calendar.take(written(work))
    before = calendar.dates()
    work.tell(notice())
    calendar.take(written(work))
    assert calendar.dates() == {
        "Cancelled: Last day for notice: contract c1": (date(2026, 12, 1), "CANCELLED"),
        "Last day of service: contract c1": (date(2026, 12, 31), "CONFIRMED"),
    }

    work.tell(withdrawal("2026-10-09T00:00"))
    calendar.take(written(work))

    assert calendar.dates() == before


def test_a_breach_moves_the_end() -> None:
    """An end that another service decided upon moves the last day of service and cancels the deadline."""
    work, calendar = casework(), Imported()
    work.tell(contract())
    calendar.take(written(work))
    work.tell(breach("2026-06-01T10:00"))
    calendar.take(written(work))

    assert calendar.dates() == {
        "Cancelled: Last day for notice: contract c1": (date(2026, 12, 1), "CANCELLED"),
        "Last day of service: contract c1": (date(2026, 6, 1), "CONFIRMED"),
    }


def test_a_deadline_that_passed() -> None:
    """A deadline that passed without a notice was not cancelled."""
    work = casework()
    work.tell(contract())
    work.until(at("2027-01-02T00:00"))

    assert [status for _, _, status in shown(work)] == ["CONFIRMED", "CONFIRMED"]


def test_a_feed_of_yesterday_changes_nothing() -> None:
    """An older feed that is imported after a newer one replaces nothing."""
    work, calendar = casework(), Imported()
    work.tell(contract())
    old = written(work)
    work.tell(contract(revision=2, period_end=date(2027, 6, 30)))
    calendar.take(written(work))
    new = calendar.dates()
    calendar.take(old)

    assert calendar.dates() == new


def test_the_same_dates_are_the_same_bytes() -> None:
    """A feed depends on nothing but the case and the moment, its own id included."""
    work = casework()
    work.tell(contract())

    assert written(work) == written(work)


def test_two_customers_never_share_an_entry() -> None:
    """Contracts of the same id of two customers are two entries."""
    ours, theirs = casework(), casework()
    ours.tell(contract())
    theirs.tell(contract(customer_id="zoo"))

    uids = [str(one["UID"]) for work in (ours, theirs) for one in entries(written(work))]
    assert len(set(uids)) == 4


def test_nobody_is_named() -> None:
    """There is nobody in it: no organizer, attendee, contact or address (RFC 5545, 3.8.4)."""
    work = casework(at("2026-10-10"))
    work.tell(contract(), notice())

    text = written(work).decode()
    assert not re.search("ORGANIZER|ATTENDEE|CONTACT|mailto:|@", text)
    assert datetime.fromisoformat(by_the_letter(written(work))[0]["DTSTAMP"]) == at("2026-10-10")


def test_a_switch_cancels_the_deadline() -> None:
    """Whoever leaves by law needs no deadline for notice any more; the end that it has is moved with the transition."""
    work, calendar = casework(at("2026-06-08T12:00")), Imported()
    work.tell(contract(months=12))
    calendar.take(written(work))
    work.tell(notice("2026-06-08T12:00", ground="switch"))
    calendar.take(written(work))
    work.tell(prolongation("customer", date(2026, 9, 30), at("2026-06-08T12:00")))
    calendar.take(written(work))

    assert calendar.dates() == {
        "Cancelled: Last day for notice: contract c1": (date(2026, 12, 1), "CANCELLED"),
        "Last day of service: contract c1": (date(2026, 9, 30), "CONFIRMED"),
    }


def test_why_a_deadline_is_cancelled() -> None:
    """The entry says whether notice was given or the contract is over, or will be before that day."""
    given, over, ending = (casework(at("2026-06-08T12:00")) for _ in range(3))
    given.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    over.tell(contract(months=12), breach("2026-06-08T12:00", date(2026, 6, 8)))

    ending.tell(contract(months=12), breach("2026-07-01T00:00", date(2026, 6, 30)))

    for work, why in (
        (given, "Notice was given."),
        (over, "The contract is over."),
        (ending, "The contract ends before that."),
    ):
        (cancelled,) = [one for one in entries(written(work)) if str(one["STATUS"]) == "CANCELLED"]
        assert str(cancelled["DESCRIPTION"]).splitlines()[0] == why


def test_the_calendar_names_itself() -> None:
    """Its producer, whose dates they are and when they were read stand in its head (RFC 5545, 3.7; RFC 7986, 5)."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12))
    calendar = Calendar.from_ical(written(work))

    assert str(calendar["PRODID"]) == "-//Offramp//Contract dates//EN"
    assert str(calendar["NAME"]) == "Contract dates of acme"
    assert calendar["LAST-MODIFIED"].dt == work.now
