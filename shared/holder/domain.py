"""Decides how a holder answers deletion commands: not while the window is open, nothing that is held, once each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from pydantic import TypeAdapter

from ..contracts import Contracts, ended_since, registered, terminated
from ..decision import Decided, Decision, Domain, Ignored, Input, Overdue, Woke
from ..events.event import Event
from ..events.notice import ContractTerminated
from ..events.platform import (
    ContractRegistered,
    DeletionAcknowledged,
    Erased,
    ErasedInPart,
    LegalHoldPlaced,
    LegalHoldReleased,
    NotErased,
)
from ..events.retention import DeletionRequested
from ..holds import Holds, all_held, placed
from ..holds import released as released_from
from .tasks import Answer, Erase, EraseEnded


class Command(Struct, frozen=True):
    """One command; another one of the same deletion has another *respond_by*."""

    deletion_id: str
    holder: str
    respond_by: datetime


class Answered(Struct, frozen=True):
    """A command that was carried out, and its *answer* (``Erased`` as JSON), to be repeated when it is asked again."""

    command: Command
    answer: str
    answered_at: datetime


class Holding(Struct, frozen=True, tag_field="kind", tag="holding"):
    """What a holder remembers of one customer: its *contracts*, too, since a command may be of before another one."""

    holds: Holds = ()
    contracts: Contracts = ()
    running: tuple[Command, ...] = ()
    answered: tuple[Answered, ...] = ()


@dataclass(frozen=True, slots=True)
class HolderPolicy:
    """The holders that this process answers for, by the names in the list of holders."""

    answers_for: frozenset[str]


Reaction: TypeAlias = Callable[[Holding, Any, datetime, HolderPolicy], Decision[Holding]]
_answers: TypeAdapter[Erased | ErasedInPart | NotErased] = TypeAdapter(Answer)


def domain(policy: HolderPolicy, name: str = "holder") -> Domain[Holding, HolderPolicy]:
    """Give the holder as the machine runs it; *name* is its consumer group's and its database's."""
    return Domain(
        name=name,
        states=Holding,
        initial=Holding(),
        consumes=(LegalHoldPlaced, LegalHoldReleased, ContractRegistered, ContractTerminated, DeletionRequested),
        decide=decide,
        wakes_at=lambda _: None,
        policy=policy,
        tasks=(Erase,),
    )


def decide(state: Holding, given: Input, now: datetime, policy: HolderPolicy) -> Decision[Holding]:
    """Decide what follows from *given*."""
    if isinstance(given, Woke):
        return Ignored("a holder has no dates of its own")
    event: Event = given.event if isinstance(given, Overdue) else given
    return REACTIONS[type(event)](state, event, now, policy)


def hold_placed(state: Holding, event: LegalHoldPlaced, _: datetime, __: HolderPolicy) -> Decision[Holding]:
    """Remember a hold; a deletion under way asks for it again before its commit."""
    return _with_holds(state, placed(state.holds, event))


def hold_released(state: Holding, event: LegalHoldReleased, _: datetime, __: HolderPolicy) -> Decision[Holding]:
    """Remember that a hold is over; the command is given again by whoever gave it."""
    return _with_holds(state, released_from(state.holds, event))


def contract_registered(state: Holding, event: ContractRegistered, _: datetime, __: HolderPolicy) -> Decision[Holding]:
    """Remember a contract: while one goes on nothing is deleted, whatever was commanded before it."""
    return _with_contracts(state, registered(state.contracts, event))


def contract_terminated(state: Holding, event: ContractTerminated, _: datetime, __: HolderPolicy) -> Decision[Holding]:
    """Remember the end of a contract: a command of before it isn't of its window."""
    return _with_contracts(state, terminated(state.contracts, event))


def deletion_requested(
    state: Holding, event: DeletionRequested, now: datetime, policy: HolderPolicy
) -> Decision[Holding]:
    """Order the deletion, or say at once why not; a command that was carried out is answered as it was."""
    if event.holder not in policy.answers_for:
        return Ignored("another holder's command")
    command = Command(event.deletion_id, event.holder, event.respond_by)
    if command in state.running:
        return Ignored("already under way")
    for known in state.answered:
        if known.command == command:
            answer = _answers.validate_json(known.answer)
            return Decided(state, (_acknowledged(event.customer_id, command, answer, known.answered_at),))
    if event.respond_by <= now:
        # The customer may have come back and left again since. Whoever still may have it deleted commands it anew.
        return Ignored("it was to be answered before now")
    return _begin(state, event, command, now)


def erase_ended(state: Holding, event: EraseEnded, now: datetime, _: HolderPolicy) -> Decision[Holding]:
    """Answer with what became of the deletion; only what was carried out in full is remembered as answered.

    What a hold kept is looked at anew when it is asked for again: the hold may be over.
    """
    command = Command(event.deletion_id, event.holder, event.respond_by)
    if command not in state.running:
        return Ignored("not under way")
    running = tuple(other for other in state.running if other != command)
    answered = state.answered
    if isinstance(event.answer, Erased):
        answered = (*answered, Answered(command, event.answer.model_dump_json(), now))
    news = replace(state, running=running, answered=answered)
    return Decided(news, (_acknowledged(event.customer_id, command, event.answer, now),))


def _begin(state: Holding, event: DeletionRequested, command: Command, now: datetime) -> Decision[Holding]:
    since = ended_since(state.contracts, event.window_closed_at)
    if event.window_closed_at > now or since == "window_open":
        refusal = NotErased(reason="window_open")
    elif since is not None:
        refusal = NotErased(reason=since)
    elif all_held(state.holds, now):
        refusal = NotErased(reason="held")
    else:
        task = Erase(
            customer_id=event.customer_id,
            deletion_id=event.deletion_id,
            holder=event.holder,
            window_closed_at=event.window_closed_at,
            respond_by=event.respond_by,
            keep=event.keep,
            holds=event.holds,
            map_sha256=event.map_sha256,
        )
        return Decided(replace(state, running=(*state.running, command)), tasks=(task,))
    return Decided(state, (_acknowledged(event.customer_id, command, refusal, now),))


def _acknowledged(
    customer_id: str, command: Command, answer: Erased | ErasedInPart | NotErased, answered_at: datetime
) -> DeletionAcknowledged:
    return DeletionAcknowledged(
        customer_id=customer_id,
        deletion_id=command.deletion_id,
        holder=command.holder,
        outcome=answer,
        answered_at=answered_at,
    )


def _with_holds(state: Holding, holds: Holds) -> Decision[Holding]:
    return Ignored("known already") if holds == state.holds else Decided(replace(state, holds=holds))


def _with_contracts(state: Holding, news: Contracts | None) -> Decision[Holding]:
    return Ignored("known already") if news is None else Decided(replace(state, contracts=news))


REACTIONS: dict[type[Event], Reaction] = {
    LegalHoldPlaced: hold_placed,
    LegalHoldReleased: hold_released,
    ContractRegistered: contract_registered,
    ContractTerminated: contract_terminated,
    DeletionRequested: deletion_requested,
    EraseEnded: erase_ended,
}
