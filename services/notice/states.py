"""What the notice service remembers of a customer: each contract as running, left or ended."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from shared.contracts import Ending

from .calendar import Terms


class Notice(Struct, frozen=True):
    """A notice that was in time for *period*."""

    notice_id: str
    received_at: datetime
    period: int


class Running(Struct, frozen=True, tag_field="kind", tag="running"):
    """Nobody gave notice: the contract ends with its *period*, or is prolonged, as its terms say.

    *since*: when these terms were heard; nothing ends before we knew of it.
    """

    terms: Terms
    since: datetime
    period: int = 0
    told: tuple[str, ...] = ()


class Leaving(Struct, frozen=True, tag_field="kind", tag="leaving"):
    """Notice was given in time: the contract goes on until *terminates_at*, and no further.

    *standby*: further notices, answered as already given; one of them counts if the first is taken back before it.
    """

    terms: Terms
    since: datetime
    notice: Notice
    terminates_at: datetime
    standby: tuple[Notice, ...] = ()
    told: tuple[str, ...] = ()


class Ended(Struct, frozen=True, tag_field="kind", tag="ended"):
    """The contract is over; without *terms* if another service told so before it was registered here."""

    contract_id: str
    ending: Ending
    terms: Terms | None = None
    notice: Notice | None = None


ContractState: TypeAlias = Running | Leaving | Ended


class Unknown(Struct, frozen=True, tag_field="kind", tag="unknown"):
    """Nothing was heard of the customer yet."""


class Known(Struct, frozen=True, tag_field="kind", tag="known"):
    """A customer with its contracts; *answered*: the notices that got their one answer, as contract and notice."""

    customer_id: str
    contracts: tuple[ContractState, ...] = ()
    answered: tuple[tuple[str, str], ...] = ()
    wakes_at: datetime | None = None


States: TypeAlias = Unknown | Known
