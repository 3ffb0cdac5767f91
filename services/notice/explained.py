"""What an explanation of a customer's dates consists of: plain values, for people, machines and calendars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Name = Literal[
    "period_end",
    "last_day_for_notice",
    "notice_before",
    "notice",
    "notice_in_reserve",
    "notice_ends",
    "transition_ends",
    "last_day",
    "prolonged_to",
    "open_since",
    "terminates_at",
    "last_day_of_service",
    "announcement",
]
# The clause of the policy or of the EU Data Act, or the contract where it is the contract that says so.
Rule = Literal[
    "P1",
    "P2",
    "P12",
    "contract",
    "art. 25(2)(a)",
    "art. 25(2)(c)",
    "art. 25(2)(c)(i)",
    "art. 25(2)(d)",
    "art. 25(4)",
    "art. 25(5)",
]
# "ending": another service named a day that is still to come.
Standing = Literal["running", "leaving", "ending", "ended"]
Inputs = Mapping[str, str | int | None]


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
    """The dates of one contract, each after those that it follows from; *prolonged* if without a notice it goes on.

    *rules*: the rule set by which it was decided.
    """

    contract_id: str
    standing: Standing
    prolonged: bool
    zone: str
    dates: tuple[Explained, ...]
    rules: str | None = None

    def find(self, name: Name) -> Explained | None:
        """Give the first date of that *name*."""
        return next((one for one in self.dates if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Refused:
    """A notice that was refused, for *reason*, and what that means in the contract's language."""

    contract_id: str
    notice_id: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CustomerDates:
    """All contracts of a customer, read under policy *policy_version*; no id if it was never heard of.

    *laws*: the texts that the rules refer to, by the rule sets by which was decided.
    """

    customer_id: str | None
    policy_version: str
    contracts: tuple[ContractDates, ...]
    refused: tuple[Refused, ...] = ()
    laws: Mapping[str, str] = field(default_factory=dict)
