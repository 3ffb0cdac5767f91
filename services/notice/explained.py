"""What an explanation of a customer's dates consists of: plain values, for people, machines and calendars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Name = Literal[
    "period_end",
    "last_day_for_notice",
    "notice_before",
    "notice",
    "notice_in_reserve",
    "prolonged_to",
    "terminates_at",
    "last_day_of_service",
    "announcement",
]
# The policy's clause, or the contract where it is the contract that says so.
Rule = Literal["P1", "P2", "P12", "contract"]
Standing = Literal["running", "leaving", "ended"]
Inputs = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Explained:
    """One date: *value* (a day, or a moment in UTC), the *rule*, the *inputs* and the arithmetic as a sentence.

    *applies*: not for a deadline that has become pointless, since notice was given or the contract is over.
    """

    name: Name
    value: date | datetime
    rule: Rule
    because: str
    inputs: Inputs
    applies: bool = True


@dataclass(frozen=True, slots=True)
class ContractDates:
    """The dates of one contract, each after those that it follows from; *prolonged* if without a notice it goes on."""

    contract_id: str
    standing: Standing
    prolonged: bool
    zone: str
    dates: tuple[Explained, ...]

    def find(self, name: Name) -> Explained | None:
        """Give the first date of that *name*."""
        return next((one for one in self.dates if one.name == name), None)


@dataclass(frozen=True, slots=True)
class CustomerDates:
    """All contracts of a customer, by the rules of policy *policy_version*; no id if it was never heard of."""

    customer_id: str | None
    policy_version: str
    contracts: tuple[ContractDates, ...]
