"""Each date of a contract is explained by its rule, its inputs and its arithmetic."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from importlib.metadata import entry_points
from typing import Any

import pytest
from hypothesis import given
from typer.testing import CliRunner, Result

from services.notice.domain import domain
from services.notice.explain import explain
from services.notice.explained import ContractDates, CustomerDates, Explained, Name
from services.notice.states import Unknown
from shared import commands
from shared.decision import Fact
from shared.errors import OperatorError
from shared.events.event import Event
from shared.events.notice import ContractTerminated, DeadlineApproaching, NoticeAccepted
from shared.events.platform import OpenEnded, WorkingDays
from shared.postgres import PostgresProcess
from shared.settlement import Arrival
from tests.casework import Casework, at
from tests.notice.language import POLICY, START, breach, casework, contract, notice, prolongation, withdrawal
from tests.notice.test_notice_properties import FIRST, histories

YEAR = {"period_start": date(2026, 7, 1), "period_end": date(2027, 6, 30)}


def dates(work: Casework) -> ContractDates:
    """Explain the only contract of a case."""
    (only,) = explain(work.state, POLICY, work.now).contracts
    return only


def found(work: Casework, name: Name) -> Explained:
    one = dates(work).find(name)
    assert one is not None
    return one


def names(work: Casework) -> list[str]:
    return [one.name for one in dates(work).dates if one.name != "announcement"]


def test_a_contract_under_notice() -> None:
    """From the end of the period to the days to spare, each step of the reckoning is told."""
    work = casework(at("2027-05-21T00:00"))
    work.tell(contract(**YEAR, months=12), notice("2027-05-20T10:00"))

    assert [(one.name, one.rule, one.because) for one in dates(work).dates if one.name != "announcement"] == [
        ("period_end", "contract", "30 June 2027: the contract says so, in revision 1"),
        ("last_day_for_notice", "P1", "30 days before 30 June 2027: 31 May 2027"),
        (
            "notice_before",
            "P1",
            (
                "that day counts in full: a notice counts if received before 1 June 2027 00:00 Europe/Stockholm"
                " = 2027-05-31T22:00:00Z"
            ),
        ),
        (
            "notice",
            "P1",
            "n1 was received on 20 May 2027 10:00 Europe/Stockholm = 2027-05-20T08:00:00Z: in time, 11 days to spare",
        ),
        (
            "terminates_at",
            "P2",
            (
                "service goes on to the end of 30 June 2027: over at 1 July 2027 00:00 Europe/Stockholm"
                " = 2027-06-30T22:00:00Z"
            ),
        ),
        ("last_day_of_service", "P2", "the last day with service before 2027-06-30T22:00:00Z"),
    ]


def test_its_inputs() -> None:
    """What went into a date is told as values, so that a machine can reckon again."""
    work = casework()
    work.tell(contract(notice_days=14))

    assert found(work, "last_day_for_notice").inputs == {"period_end": "2026-12-31", "notice_days": 14, "revision": 1}
    assert found(work, "last_day_for_notice").value == date(2026, 12, 17)


def test_the_inputs_of_a_contract_under_notice() -> None:
    """They are the same as before the notice: a contract that isn't renewed was never prolonged."""
    work = casework()
    work.tell(contract(notice_days=14), notice("2026-06-01T12:00"))

    assert found(work, "last_day_for_notice").inputs == {"period_end": "2026-12-31", "notice_days": 14, "revision": 1}
    assert found(work, "period_end").inputs["prolonged"] == 0
    assert found(work, "period_end").because == "31 December 2026: the contract says so, in revision 1"


def test_on_the_last_day() -> None:
    """A notice on the last day has no day to spare."""
    work = casework(at("2026-12-01T23:59:59"))
    work.tell(contract(), notice("2026-12-01T23:59:59"))

    assert found(work, "notice").because.endswith(
        "23:59:59 Europe/Stockholm = 2026-12-01T22:59:59Z: in time, on the last day"
    )


@pytest.mark.parametrize(
    ("now", "because"),
    [
        ("2026-01-15", "31 January 2026: the contract says so, in revision 1"),
        (
            "2026-02-15",
            (
                "31 January 2026 (contract, revision 1), prolonged once by 1 month: 1 month later is 28 February 2026,"
                " since that month has no 31st"
            ),
        ),
        (
            "2026-03-15",
            "31 January 2026 (contract, revision 1), prolonged twice by 1 month: 2 months later is 31 March 2026",
        ),
        (
            "2026-02-16",
            (
                "30 January 2026 (contract, revision 1), prolonged once by 1 month: 1 month later is 28 February 2026,"
                " since that month has no 30th"
            ),
        ),
    ],
)
def test_prolonged(now: str, because: str) -> None:
    """A prolonged period is counted from the day that the contract named, and a shorter month is said to be one."""
    work = casework(at(now))
    work.tell(contract(period_end=date(2026, 1, int(because[:2])), months=1))

    assert found(work, "period_end").because == because


def test_a_contract_that_goes_on_or_ends_by_itself() -> None:
    """With renewal it is told to when the contract goes on; without, when it ends."""
    renewed, ending = casework(), casework()
    renewed.tell(contract(months=12))
    ending.tell(contract())

    assert names(renewed) == ["period_end", "last_day_for_notice", "notice_before", "prolonged_to"]
    assert found(renewed, "prolonged_to").value == date(2027, 12, 31)
    assert names(ending) == [*names(renewed)[:3], "terminates_at", "last_day_of_service"]


def test_a_midnight_that_is_missing() -> None:
    """Where clocks jump over midnight the first moment that exists is told, as the clocks show it."""
    work = casework(at("2023-01-01"))
    work.tell(contract(period_start=date(2022, 10, 31), period_end=date(2023, 10, 30), time_zone="America/Asuncion"))

    assert "before 1 October 2023 01:00 America/Asuncion = 2023-10-01T04:00:00Z" in found(work, "notice_before").because


def test_heard_of_too_late() -> None:
    """A contract that was heard of after its end is told to end then, and why."""
    work = casework(at("2027-03-01T12:00"))
    work.tell(contract())

    assert found(work, "terminates_at").because.endswith(
        "; but the contract was heard of only at 2027-03-01T11:00:00Z, and nothing ends in the past"
    )
    assert found(work, "last_day_of_service").value == date(2027, 3, 1)


def test_ended_by_another_service() -> None:
    """An end that was decided upon is told as such; the deadline for notice applies no longer."""
    work = casework()
    work.tell(contract(months=12), breach("2026-06-01T10:00"))

    assert dates(work).standing == "ended"
    assert found(work, "terminates_at").because == (
        "another service ended it (breach), not the calendar, from 1 June 2026 10:00 Europe/Stockholm"
        " = 2026-06-01T08:00:00Z on"
    )
    assert not found(work, "last_day_for_notice").applies


def test_an_end_by_another_service_that_is_still_to_come() -> None:
    """Until the day that another service named a contract isn't ended but ending, and its announcements are told."""
    work = casework()
    work.tell(contract(months=12), breach("2026-08-01T00:00", date(2026, 7, 31)))
    plan = [(one.inputs["announcement_id"], one.value) for one in dates(work).dates if one.name == "announcement"]
    assert dates(work).standing == "ending"
    assert found(work, "terminates_at").value == at("2026-08-01T00:00")
    assert len(plan) == 4

    work.until(at("2026-08-01T00:00"))

    assert dates(work).standing == "ended"
    made = [(one.announcement_id, at_) for at_, one in work.published if isinstance(one, DeadlineApproaching)]
    assert made == [(name, max(value, START)) for name, value in plan]


def test_ended_by_another_service_with_its_period() -> None:
    """An end at the very end of a period is explained by that period, and not by the next."""
    work = casework(at("2026-12-31T23:00"))
    work.tell(contract(months=12), breach("2027-01-01T00:00"))

    assert found(work, "period_end").value == date(2026, 12, 31)
    assert found(work, "last_day_of_service").value == date(2026, 12, 31)
    assert found(work, "last_day_for_notice").applies


def test_ended_before_it_was_registered() -> None:
    """Of a contract of which only the end is known, the end is explained."""
    work = casework()
    work.tell(breach("2026-06-01T10:00"))

    assert names(work) == ["terminates_at", "last_day_of_service"]


def test_a_revision_after_the_notice() -> None:
    """A notice that a newer revision would make late is told to stay accepted."""
    work = casework(at("2026-11-30T12:00"))
    work.tell(contract(), notice("2026-11-30T10:00"), contract(revision=2, notice_days=60))

    assert found(work, "notice").because.endswith("in time by the terms of then, and it stays accepted")


def test_a_notice_in_reserve() -> None:
    """A second notice is told, and when it would count; taken back, the first is told no more."""
    work = casework(at("2026-10-10"))
    work.tell(contract(months=12), notice(), notice("2026-10-05T12:00", "n2"))
    assert "n2 leads to no earlier end; it counts if n1 turns out" in found(work, "notice_in_reserve").because

    work.tell(withdrawal("2026-10-02T00:00"))

    assert found(work, "notice").inputs["notice_id"] == "n2"
    assert "notice_in_reserve" not in names(work)


def test_announcements_are_those_that_are_made() -> None:
    """What is told to be announced, and when, is what is published; and what was published is told as told."""
    work = casework()
    work.tell(contract())
    plan = [(one.inputs["announcement_id"], one.value) for one in dates(work).dates if one.name == "announcement"]
    work.until(at("2026-12-01T12:00"))
    told = [one.inputs["announcement_id"] for one in dates(work).dates if one.inputs.get("told")]
    made = [event.announcement_id for event in work.all(DeadlineApproaching)]
    work.until(at("2027-01-02T00:00"))

    assert told == made
    assert plan == [
        (event.announcement_id, moment) for moment, event in work.published if isinstance(event, DeadlineApproaching)
    ]


def test_nothing_is_known() -> None:
    """A customer never heard of has no dates."""
    assert explain(Unknown(), POLICY, START) == CustomerDates(None, POLICY.version, ())


def test_an_end_with_the_deadline() -> None:
    """A breach at the moment at which the last day for notice was over leaves that day as it was."""
    work = casework(at("2026-12-02T00:00"))
    work.tell(contract(months=12), breach("2026-12-02T00:00", date(2026, 12, 1)))

    assert found(work, "last_day_for_notice").applies


def test_a_notice_at_the_moment_of_the_end() -> None:
    """It came too late to be the reason of the end, and isn't told as one."""
    work = casework(at("2026-12-02T00:00"))
    work.tell(contract(months=12), breach("2026-12-02T00:00", date(2026, 12, 1)), notice("2026-12-02T00:00"))

    assert "notice" not in names(work)


@given(histories)
def test_every_prefix_can_be_explained(history: list[tuple[Event, int]]) -> None:
    """After every event of any history each contract is explained, with the dates that were answered and published."""
    work = casework(FIRST)
    for event, hours in history:
        work.until(work.now + timedelta(hours=hours))
        work.tell(event)
        explained = {one.contract_id: one for one in explain(work.state, POLICY, work.now).contracts}
        for known in getattr(work.state, "contracts", ()):
            assert _agrees(known, explained)


def _agrees(known: Any, explained: dict[str, ContractDates]) -> bool:
    ending = getattr(known, "ending", None)
    one = explained[known.contract_id if ending else known.terms.contract_id]
    over = one.find("terminates_at")
    expected = ending.terminated_at if ending else getattr(known, "terminates_at", None)
    return all(date_.because for date_ in one.dates) and (
        expected is None or (over is not None and over.value == expected)
    )


def test_explained_as_answered() -> None:
    """The dates of the explanation are those of the answer and of the end."""
    work = casework(at("2026-10-10"))
    work.tell(contract(months=12), notice())
    accepted = work.one(NoticeAccepted)

    assert found(work, "last_day_for_notice").value == accepted.last_day_for_notice
    assert found(work, "period_end").value == accepted.period_end
    assert found(work, "terminates_at").value == accepted.terminates_at
    work.until(accepted.terminates_at)
    assert found(work, "terminates_at").value == work.one(ContractTerminated).terminated_at


def test_a_switch_that_both_sides_prolonged() -> None:
    """Each step of art. 25 is told with its clause, who prolonged the transition, and the inputs as values."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.tell(prolongation("provider", date(2026, 10, 31), at("2026-06-08T12:00")))
    work.until(at("2026-06-09T12:00"))
    work.tell(prolongation("customer", date(2026, 12, 31), at("2026-06-09T12:00"), "p2"))
    steps = [one for one in dates(work).dates if one.name in ("notice_ends", "transition_ends")]

    assert [(one.rule, one.value, one.because) for one in steps] == [
        ("contract", date(2026, 7, 8), "30 days after 8 June 2026: 8 July 2026"),
        ("art. 25(2)(a)", date(2026, 8, 7), "30 days after 8 July 2026: 7 August 2026"),
        ("art. 25(4)", date(2026, 10, 31), "the provider prolonged it from 7 August 2026 to 31 October 2026"),
        ("art. 25(5)", date(2026, 12, 31), "the customer prolonged it from 31 October 2026 to 31 December 2026"),
    ]
    assert [one.inputs for one in steps[1:3]] == [
        {"start": "2026-07-08", "count": 30, "unit": "calendar_days", "country": None},
        {"start": "2026-08-07", "count": 85, "unit": "calendar_days", "country": None},
    ]
    assert all(one.applies for one in steps)


def test_two_months_at_most() -> None:
    """A longer notice is told to be cut by the law, in months."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12, notice_days=90), notice("2026-06-08T12:00", ground="switch"))

    assert (found(work, "notice_ends").rule, found(work, "notice_ends").because) == (
        "art. 25(2)(d)", "2 months after 8 June 2026: 8 August 2026",
    )  # fmt: skip
    assert found(work, "notice_ends").inputs["unit"] == "months"


MIDSUMMER = {"period_end": date(2026, 6, 25), "notice": WorkingDays(days=5, country="SE")}
WITHOUT_MIDSUMMER = "5 working days in SE before 25 June 2026: 17 June 2026; not counted: 19 June 2026 (Midsummer Eve)"


def test_holidays_are_named() -> None:
    """Before a notice and after it, each holiday that was skipped is told by its name, and the country is an input."""
    running, leaving = casework(), casework(at("2026-06-02T12:00"))
    running.tell(contract(**MIDSUMMER))
    leaving.tell(contract(**MIDSUMMER), notice("2026-06-02T00:00"))

    for work, applies in ((running, True), (leaving, False)):
        one = found(work, "last_day_for_notice")
        assert (one.rule, one.because, one.applies) == ("P1", WITHOUT_MIDSUMMER, applies)
        assert one.inputs == {"period_end": "2026-06-25", "notice_days": 5, "revision": 1, "country": "SE"}


def test_where_no_holiday_is_skipped_none_is_told() -> None:
    """Five working days of an ordinary week are five working days."""
    work = casework()
    work.tell(contract(period_end=date(2026, 9, 30), notice=WorkingDays(days=5, country="SE")))

    assert (
        found(work, "last_day_for_notice").because == "5 working days in SE before 30 September 2026: 23 September 2026"
    )


def test_several_holidays_are_named() -> None:
    """One after the other, in the order of the calendar."""
    work = casework(at("2026-11-02T12:00"))
    work.tell(contract(notice=WorkingDays(days=10, country="SE")))

    assert found(work, "last_day_for_notice").because.endswith(
        "; not counted: 24 December 2026 (Christmas Eve), 25 December 2026 (Christmas Day),"
        " 31 December 2026 (New Year's Eve)"
    )


def test_a_notice_in_working_days_until_further_notice() -> None:
    """Days that are counted on from a notice are explained with their holidays as well."""
    work = casework(at("2026-06-17T12:00"))
    work.tell(contract(renewal=OpenEnded(), period_end=None, notice=WorkingDays(days=3, country="SE")))
    work.tell(notice("2026-06-17T12:00"))

    assert found(work, "last_day").because == (
        "3 working days in SE after 17 June 2026: 23 June 2026; not counted: 19 June 2026 (Midsummer Eve)"
    )
    assert found(work, "last_day").inputs == {
        "start": "2026-06-17",
        "count": 3,
        "unit": "working_days",
        "country": "SE",
    }


def test_a_late_notice_for_a_renewed_period() -> None:
    """The period that was missed and the one that the notice stands for are told, each with how it was counted."""
    work = casework(at("2026-03-10T00:00"))
    work.tell(contract(period_end=date(2026, 1, 31), months=1), notice("2026-03-10T00:00"))
    ends = [one for one in dates(work).dates if one.name == "period_end"]

    assert [one.because for one in ends] == [
        "31 January 2026 (contract, revision 1), prolonged twice by 1 month: 2 months later is 31 March 2026",
        (
            "31 January 2026 (contract, revision 1), prolonged 3 times by 1 month: 3 months later is 30 April 2026,"
            " since that month has no 31st"
        ),
    ]
    assert [one.inputs["prolonged"] for one in ends] == [2, 3]
    assert ends[0].inputs == {"first_end": "2026-01-31", "revision": 1, "months": 1, "prolonged": 2}


@pytest.mark.parametrize("language", ["sv", "en"])
def test_refused_notices_are_listed(language: str) -> None:
    """Each with its reason and the sentence for it, in the contract's language."""
    work = casework(at("2026-12-10T00:00"))
    work.tell(contract(months=12, language=language))
    work.tell(notice("2026-12-03T12:00"), notice(notice_id="n2", channel="phone"), notice("2026-12-04T12:00", "n3"))
    refused = explain(work.state, POLICY, work.now).refused

    assert [(one.notice_id, one.reason) for one in refused] == [
        ("n1", "late"), ("n2", "not_in_writing"), ("n3", "already_given"),
    ]  # fmt: skip
    assert all(one.sentence == POLICY.in_force.sentences[language][one.reason] for one in refused)


@pytest.fixture
async def offramp(postgres: str, pool: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the command, with acme's contract in the notice service's database."""
    monkeypatch.setenv("OFFRAMP_NOTICE_DSN", postgres)
    now = at("2026-10-10T12:00")
    early = notice("2026-10-01T12:00").model_copy(update={"customer_id": "zoo"})
    arrivals = [
        Arrival(Fact(f"e-{number}", "/support", now, event))
        for number, event in enumerate([contract(months=12), notice("2026-10-01T12:00"), early])
    ]
    await PostgresProcess(domain(POLICY), pool, 2).arrivals(arrivals, (), now)

    async def run(*arguments: str) -> Result:
        app = commands.build(tuple(one for one in entry_points(group=commands.GROUP) if one.name.startswith("case")))
        return await asyncio.to_thread(CliRunner().invoke, app, ["case", *arguments])

    return run


async def test_the_command_explains(offramp: Any) -> None:
    """The dates are read from the service's database, for people and for machines."""
    told = await offramp("explain", "acme")
    machine = json.loads((await offramp("explain", "acme", "--json")).stdout)

    assert told.exit_code == 0
    assert "contract c1: leaving, dates in Europe/Stockholm" in told.stdout
    assert "  last day for notice: 1 December 2026  (applies no longer)\n      P1: 30 days before" in told.stdout
    (one,) = machine["contracts"]
    assert (machine["customer_id"], one["standing"], one["dates"][0]["value"]) == ("acme", "leaving", "2026-12-31")


async def test_the_command_writes_a_calendar(offramp: Any) -> None:
    """The calendar goes to standard output as it is, lines ended by CR LF."""
    written = await offramp("calendar", "acme")

    assert written.exit_code == 0
    assert written.stdout_bytes.startswith(b"BEGIN:VCALENDAR\r\n")
    assert written.stdout_bytes.count(b"BEGIN:VEVENT\r\n") == 2


@pytest.mark.parametrize("customer", ["nobody", "zoo"])
async def test_a_customer_without_a_contract(offramp: Any, customer: str) -> None:
    """A customer never heard of, or whose notice still waits for its contract, is an error that says what to do."""
    asked = await offramp("calendar", customer)

    assert isinstance(asked.exception, OperatorError)
    assert f"notice knows no contract of {customer}: check the id" in str(asked.exception)


async def test_a_database_that_is_away(offramp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that can't be asked is named with its setting."""
    monkeypatch.setenv("OFFRAMP_NOTICE_DSN", "postgresql://nobody:secret@127.0.0.1:1/nowhere")
    asked = await offramp("explain", "acme")

    assert isinstance(asked.exception, OperatorError)
    assert "Check OFFRAMP_NOTICE_DSN" in str(asked.exception)
