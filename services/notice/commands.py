"""``offramp case explain`` and ``calendar``: a customer's dates and why they are what they are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from shared.clocksetting import choose_clock
from shared.declared import policy_file, rules_folder
from shared.errors import OperatorError
from shared.moments import iso
from shared.operations import casebook
from shared.settings import read_settings

from .explain import explain
from .explained import CustomerDates, Explained
from .policy import load_notice_policy
from .states import States, Unknown
from .wording import day

Customer = Annotated[str, typer.Argument(help="The customer's id.")]


def explain_command(
    customer: Customer, *, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """Print each date of each of the customer's contracts, with the rule, the inputs and the arithmetic."""
    dates, _ = _read(customer)
    typer.echo(_json(dates) if as_json else "\n".join(_lines(dates)))


def calendar_command(customer: Customer) -> None:
    """Write the customer's dates as an iCalendar file to standard output: ``> dates.ics``."""
    # Imported late: a worker needs no library of calendars.
    from .feed import feed  # noqa: PLC0415

    dates, revision = _read(customer)
    # As bytes: lines of a calendar end with CR LF (RFC 5545, 3.1).
    sys.stdout.buffer.write(feed(dates, revision, choose_clock()()))


def _read(customer: str) -> tuple[CustomerDates, int]:
    """Read the customer's dates, and how often its case was decided upon, which only ever grows."""
    policy = load_notice_policy(policy_file(), rules_folder())
    dsn = read_settings().dsn("notice")
    try:
        found = asyncio.run(casebook.asked(dsn, lambda connection: casebook.case(connection, customer)))
    except casebook.UnreadableDatabaseError as error:
        raise OperatorError(f"notice: its database {error}. Check OFFRAMP_NOTICE_DSN or OFFRAMP_POSTGRES.") from error
    row = None if found is None else found["state"]
    try:
        state = Unknown() if row is None else msgspec.convert(row, States)
    except msgspec.ValidationError as error:
        raise casebook.UnreadableCaseError("notice", customer, error) from error
    dates = explain(state, policy, choose_clock()())
    if found is None or not dates.contracts:
        raise OperatorError(
            f"notice knows no contract of {customer}: check the id; `offramp case show {customer}` shows what waits."
        )
    return dates, found["revision"]


def _lines(dates: CustomerDates) -> Iterator[str]:
    yield f"{dates.customer_id}, by policy {dates.policy_version}"
    for contract in dates.contracts:
        yield ""
        by = "" if contract.rules is None else f", by rules {contract.rules}"
        yield f"contract {contract.contract_id}: {contract.standing}, dates in {contract.zone}{by}"
        yield from (line for one in contract.dates for line in _told(one))
        for no in dates.refused:
            if no.contract_id == contract.contract_id:
                yield f"  notice {no.notice_id}: refused, {no.reason.replace('_', ' ')}: {no.sentence}"
    for clause, text in dates.laws.items():
        yield ""
        yield f"{clause}: {text}"


def _told(one: Explained) -> tuple[str, str]:
    # A moment is a day too, so it is asked first.
    value = iso(one.value) if isinstance(one.value, datetime) else day(one.value)
    pointless = "" if one.applies else "  (applies no longer)"
    return f"  {one.name.replace('_', ' ')}: {value}{pointless}", f"      {one.rule}: {one.because}"


def _json(dates: CustomerDates) -> str:
    return msgspec.json.format(msgspec.json.encode(dates), indent=2).decode()
