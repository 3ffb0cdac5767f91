"""What the notice service remembers of a customer: each contract as running, left or ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Discriminator

from shared.contracts import Ending

from .calendar import Terms


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that was in time for *period*."""

    notice_id: str
    received_at: datetime
    period: int


@dataclass(frozen=True, slots=True)
class Running:
    """Nobody gave notice: the contract ends with its *period*, or is prolonged, as its terms say.

    *since*: when these terms were heard; nothing ends before we knew of it.
    """

    terms: Terms
    since: datetime
    period: int = 0
    told: tuple[str, ...] = ()
    kind: Literal["running"] = "running"


@dataclass(frozen=True, slots=True)
class Leaving:
    """Notice was given in time: the contract goes on until *terminates_at*, and no further.

    *standby*: further notices, answered as already given; one of them counts if the first is taken back before it.
    """

    terms: Terms
    since: datetime
    notice: Notice
    terminates_at: datetime
    standby: tuple[Notice, ...] = ()
    told: tuple[str, ...] = ()
    kind: Literal["leaving"] = "leaving"


@dataclass(frozen=True, slots=True)
class Ended:
    """The contract is over; without *terms* if another service told so before it was registered here."""

    contract_id: str
    ending: Ending
    terms: Terms | None = None
    notice: Notice | None = None
    kind: Literal["ended"] = "ended"


ContractState = Annotated[Running | Leaving | Ended, Discriminator("kind")]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing was heard of the customer yet."""

    kind: Literal["unknown"] = "unknown"


@dataclass(frozen=True, slots=True)
class Known:
    """A customer with its contracts; *answered*: the notices that got their one answer, as contract and notice."""

    customer_id: str
    contracts: tuple[ContractState, ...] = ()
    answered: tuple[tuple[str, str], ...] = ()
    wakes_at: datetime | None = None
    kind: Literal["known"] = "known"


States = Annotated[Unknown | Known, Discriminator("kind")]
