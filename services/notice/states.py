"""What the notice service remembers of a customer: each contract as running, left or ended."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from shared.announcing import DeadlineName
from shared.contracts import Ending
from shared.events.notice import Basis
from shared.events.platform import Ground

from .calendar import Terms


class Prolongation(Struct, frozen=True):
    """That one side wanted the transition to last to the end of *until*, and said so on the day *made_on*."""

    prolongation_id: str
    by: Literal["provider", "customer"]
    until: date
    made_on: date


class Completion(Struct, frozen=True):
    """That the switch had succeeded at *completed_at*, as was heard at *heard_at*."""

    completed_at: datetime
    heard_at: datetime


class Notice(Struct, frozen=True, omit_defaults=True):
    """A notice that has no fault in itself, judged by the rule set *rules* when it was read, at *heard_at*.

    *in_time*: it was found so, by the terms of then.
    """

    notice_id: str
    received_at: datetime
    heard_at: datetime
    rules: str
    ground: Ground = "non_renewal"
    in_time: bool = False
    prolongations: tuple[Prolongation, ...] = ()
    completions: tuple[Completion, ...] = ()


class Promise(Struct, frozen=True, omit_defaults=True):
    """The date *due_at* that the customer was last told of under *deadline*; *told_at*: when, if as a change."""

    deadline: DeadlineName
    due_at: datetime
    told_at: datetime | None = None


class Evidence(Struct, frozen=True):
    """What became of an announcement (P12)."""

    announcement_id: str
    channel: str
    outcome: Literal["delivered", "bounced"]
    informed_at: datetime


class Told(Struct, frozen=True, omit_defaults=True):
    """What the customer was told of a contract: *ids* of announcements, what became of them, the dates last told."""

    ids: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    promises: tuple[Promise, ...] = ()
    changes: int = 0


NOTHING_TOLD = Told()


class Over(Struct, frozen=True):
    """An end of the contract that was heard of, and its basis."""

    ending: Ending
    basis: Basis


class Running(Struct, frozen=True, tag_field="kind", tag="running", omit_defaults=True):
    """Nobody gave notice: the contract ends with its *period*, or goes on, as its terms say.

    *since*: when these terms were heard; nothing ends before we knew of it. *earlier*: ends of earlier times
    under this contract. *undone_until*: whatever notice was received until then was taken back.
    """

    terms: Terms
    since: datetime
    period: int = 0
    told: Told = NOTHING_TOLD
    earlier: tuple[Over, ...] = ()
    undone_until: datetime | None = None


class Leaving(Struct, frozen=True, tag_field="kind", tag="leaving", omit_defaults=True):
    """Notice was given: the contract goes on until *terminates_at*, after *last_day*, and no further.

    *standby*: further notices; one of them counts if it leads to an earlier end, or the first turns out undone.
    *earlier*: as in ``Running``, or an end that another service decided on, which would come later.
    """

    terms: Terms
    since: datetime
    notice: Notice
    last_day: date
    terminates_at: datetime
    standby: tuple[Notice, ...] = ()
    told: Told = NOTHING_TOLD
    earlier: tuple[Over, ...] = ()
    undone_until: datetime | None = None


class Ended(Struct, frozen=True, tag_field="kind", tag="ended", omit_defaults=True):
    """The contract is over, or will be on the date that another service decided on, as *ending* says.

    Without *terms* if it was never registered here. *notice*: the one that counted, if one did.
    """

    contract_id: str
    ending: Ending
    basis: Basis
    terms: Terms | None = None
    since: datetime | None = None
    notice: Notice | None = None
    standby: tuple[Notice, ...] = ()
    told: Told = NOTHING_TOLD
    earlier: tuple[Over, ...] = ()
    undone_until: datetime | None = None


ContractState: TypeAlias = Running | Leaving | Ended


def contract_id_of(known: ContractState) -> str:
    """Name the contract, registered here or not."""
    return known.contract_id if isinstance(known, Ended) else known.terms.contract_id


class Answer(Struct, frozen=True, omit_defaults=True):
    """That a notice got its one answer: refused for *reason*, or not."""

    contract_id: str
    notice_id: str
    reason: str | None = None


class Unknown(Struct, frozen=True, tag_field="kind", tag="unknown"):
    """Nothing was heard of the customer yet."""


class Known(Struct, frozen=True, tag_field="kind", tag="known", omit_defaults=True):
    """A customer with its contracts; *answered*: the latest notices that got their answer."""

    customer_id: str
    contracts: tuple[ContractState, ...] = ()
    answered: tuple[Answer, ...] = ()
    wakes_at: datetime | None = None


States: TypeAlias = Unknown | Known
