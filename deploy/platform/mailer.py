"""The platform's own side: tells customers of the dates that come, and marks those whose contracts are over.

It announces what the services ask for (P12), and keeps ``customers.status``, the guard of the data map.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from shared.contracts import Contracts, registered, terminated
from shared.decision import Decided, Decision, Domain, Ignored, Input, Outcome, Overdue, Task, Woke
from shared.events.event import Event
from shared.events.notice import ContractTerminated, DeadlineApproaching
from shared.events.platform import ContractRegistered, CustomerInformed
from shared.events.vocabulary import Count, Ref

NAME = "mailer"


class Inform(Task):
    """Tell the customer of one announcement."""

    announcement_id: Ref


class Informed(Outcome):
    """The announcement was sent, or there was nowhere to send it to."""

    announcement_id: Ref
    outcome: Literal["delivered", "bounced"]


class Mark(Task):
    """Write the customer's status; *revision* counts the changes, so that an old one is told from the last."""

    status: Literal["active", "ended"]
    revision: Count


class Marked(Outcome):
    """The status is written."""

    revision: Count


class Account(Struct, frozen=True, tag_field="kind", tag="account"):
    """What the platform remembers of one customer: its contracts, and what it was told of.

    *ends_at*: when the last contract will be over, if that is decided and still to come.
    """

    contracts: Contracts = ()
    revision: int = 0
    telling: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    customer_id: str = ""
    status: Literal["active", "ended"] = "active"
    ends_at: datetime | None = None


Reaction: TypeAlias = Callable[[Account, Any, datetime], Decision[Account]]


def domain() -> Domain[Account, None]:
    """Give the mailer as the machine runs it."""
    return Domain(
        name=NAME,
        states=Account,
        initial=Account(),
        consumes=(DeadlineApproaching, ContractRegistered, ContractTerminated),
        decide=decide,
        wakes_at=lambda account: account.ends_at,
        policy=None,
        tasks=(Inform, Mark),
    )


def decide(state: Account, given: Input, now: datetime, _: None) -> Decision[Account]:
    """Decide what follows from *given*."""
    if isinstance(given, Woke):
        return _with_contracts(state, state.contracts, state.customer_id, now)
    event: Event = given.event if isinstance(given, Overdue) else given
    return REACTIONS[type(event)](state, event, now)


def deadline_approaching(state: Account, event: DeadlineApproaching, _: datetime) -> Decision[Account]:
    """Order a letter, once for each announcement."""
    if event.announcement_id in (*state.telling, *state.told):
        return Ignored("told already")
    task = Inform(customer_id=event.customer_id, announcement_id=event.announcement_id)
    return Decided(replace(state, telling=(*state.telling, event.announcement_id)), tasks=(task,))


def informed(state: Account, event: Informed, now: datetime) -> Decision[Account]:
    """Answer what became of a letter."""
    if event.announcement_id not in state.telling:
        return Ignored("answered already")
    answer = CustomerInformed(
        customer_id=event.customer_id,
        announcement_id=event.announcement_id,
        channel="email",
        outcome=event.outcome,
        informed_at=now,
    )
    telling = tuple(other for other in state.telling if other != event.announcement_id)
    return Decided(replace(state, telling=telling, told=(*state.told, event.announcement_id)), (answer,))


def contract_registered(state: Account, event: ContractRegistered, now: datetime) -> Decision[Account]:
    """Know a contract; an account that had ended may be active again."""
    return _with_contracts(state, registered(state.contracts, event), event.customer_id, now)


def contract_terminated(state: Account, event: ContractTerminated, now: datetime) -> Decision[Account]:
    """End the account with its last contract, and not before that is over (P2)."""
    return _with_contracts(state, terminated(state.contracts, event), event.customer_id, now)


def marked(_: Account, __: Marked, ___: datetime) -> Decision[Account]:
    """Nothing follows."""
    return Ignored("as ordered")


def _with_contracts(state: Account, contracts: Contracts | None, customer_id: str, now: datetime) -> Decision[Account]:
    if contracts is None:
        return Ignored("known already")
    ends_at = _ends_at(contracts)
    status: Literal["active", "ended"] = "ended" if ends_at is not None and ends_at <= now else "active"
    awaited = ends_at if status == "active" else None
    news = replace(state, contracts=contracts, customer_id=customer_id, status=status, ends_at=awaited)
    if status == state.status:
        return Decided(news)
    news = replace(news, revision=state.revision + 1)
    task = Mark(customer_id=customer_id, status=status, revision=news.revision)
    return Decided(news, tasks=(task,))


def _ends_at(contracts: Contracts) -> datetime | None:
    """Tell when the last contract is over; None while one goes on, or none is known: the unknown ends no account."""
    if any(contract.active for contract in contracts):
        return None
    return max((one.ending.terminated_at for one in contracts if one.ending is not None), default=None)


REACTIONS: dict[type[Event], Reaction] = {
    DeadlineApproaching: deadline_approaching,
    ContractRegistered: contract_registered,
    ContractTerminated: contract_terminated,
    Informed: informed,
    Marked: marked,
}
