"""The calendar of one contract and the counting of days, without anybody who gives notice."""

from __future__ import annotations

from datetime import date

import pytest

from services.notice import workdays
from services.notice.calendar import Terms, end_of, period_on
from services.notice.grounds.non_renewal import non_renewal
from services.notice.terms import terms_of
from services.notice.workdays import Rule, after, before, holiday_name, skipped
from shared.events.platform import Appointed, OpenEnded, UntilFurtherNotice, WorkingDays
from tests.notice.language import POLICY, contract

SWEDEN = Rule(5, "SE", ("public", "de_facto"))


def terms(**changes: object) -> Terms:
    return terms_of(contract(**changes), POLICY)


@pytest.mark.parametrize("months", [1, 2, 3, 12])
@pytest.mark.parametrize("first_end", [date(2026, 1, 31), date(2024, 2, 29), date(2025, 12, 30), date(2026, 6, 1)])
def test_each_day_lies_in_the_first_period_that_has_not_ended_before_it(months: int, first_end: date) -> None:
    """The last day of a period belongs to it, and the next day to the next, for three dozen periods."""
    one = terms(period_start=date(2020, 1, 1), period_end=first_end, months=months)

    for period in range(36):
        end = end_of(one, period)
        assert end is not None
        assert period_on(one, end) == period
        assert period_on(one, date.fromordinal(end.toordinal() + 1)) == period + 1


def test_a_contract_that_ends_with_its_period_has_only_one() -> None:
    """Whatever the day, it lies in the one period there is."""
    assert period_on(terms(), date(2030, 1, 1)) == 0


def test_terms_are_kept_as_they_were_registered() -> None:
    """Each term is there, with the holidays that count by the rules, and nothing that wasn't said."""
    said = contract(
        revision=3,
        then=14,
        notice=WorkingDays(days=20, country="SE"),
        authority=Appointed(by=("staff:1",)),
        language="sv",
        transfer_help="agreed",
        service_class="gold",
    )

    assert terms_of(said, POLICY) == Terms(
        contract_id="c1",
        revision=3,
        period_start=date(2026, 1, 1),
        first_end=date(2026, 12, 31),
        zone="Europe/Stockholm",
        months=0,
        notice=Rule(20, "SE", ("public", "de_facto")),
        channels=("email", "letter"),
        rules=POLICY.rules,
        open_notice=Rule(14),
        givers=("staff:1",),
        language="sv",
        transfer_help="agreed",
        service_class="gold",
    )


def test_the_notice_of_an_open_contract_may_be_in_working_days() -> None:
    """So may that of the time until further notice after a period, each in its country and by the same rules."""
    rule, then = WorkingDays(days=10, country="SE"), WorkingDays(days=5, country="NO")

    assert terms(renewal=OpenEnded(), period_end=None, notice=rule).open_notice == Rule(10, "SE", SWEDEN.categories)
    assert terms(renewal=UntilFurtherNotice(notice=then)).open_notice == Rule(5, "NO", ("public",))


def test_contracts_that_differ_in_nothing_that_is_counted_share_a_reckoning() -> None:
    """A million contracts with the same terms are reckoned once."""
    day = date(2026, 10, 1)
    ours = non_renewal(terms(months=12), day, kept=False)
    theirs = contract(contract_id="c2", revision=7, months=12, notice_channels=("fax",), authority=Appointed(by=("x",)))

    assert non_renewal(terms_of(theirs, POLICY), day, kept=False) is ours


@pytest.mark.parametrize(
    ("days", "first", "last"),
    [(0, date(2026, 6, 20), date(2026, 6, 20)), (1, date(2026, 6, 22), date(2026, 6, 17))],
)
def test_no_day_and_one_day(days: int, first: date, last: date) -> None:
    """No working days are the day itself, also where that is a Saturday; one is the next that is no holiday."""
    rule = Rule(days, "SE", SWEDEN.categories)

    assert after(rule, date(2026, 6, 20)) == first
    assert before(rule, date(2026, 6, 20)) == last


def test_skipped_holidays_are_those_between() -> None:
    """The day that is counted from is none of them, the last one is; what comes after it isn't."""
    christmas = skipped(SWEDEN, date(2025, 12, 24), date(2025, 12, 25))

    assert christmas == (date(2025, 12, 25),)
    assert skipped(SWEDEN, date(2025, 12, 25), date(2025, 12, 31)) == (date(2025, 12, 26), date(2025, 12, 31))
    assert skipped(Rule(5), date(2025, 12, 24), date(2025, 12, 31)) == ()


@pytest.mark.parametrize(
    ("country", "categories", "day", "name"),
    [
        ("SE", SWEDEN.categories, date(2026, 6, 19), "Midsummer Eve"),
        ("SE", ("public",), date(2026, 6, 19), "None"),
        ("PL", ("public",), date(2026, 11, 11), "National Independence Day"),
    ],
)
def test_holidays_have_english_names(country: str, categories: tuple[str, ...], day: date, name: str) -> None:
    """A holiday of the categories that count is named in English; what is none of them has no name."""
    assert holiday_name(country, categories, day) == name


def test_the_machines_language_names_no_holiday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the service runs, the same case is explained in the same words."""
    monkeypatch.setenv("LANGUAGE", "sv")
    workdays._holidays.cache_clear()

    assert holiday_name("SE", SWEDEN.categories, date(2026, 6, 19)) == "Midsummer Eve"
