"""What is known of a customer's contracts, the same whatever the order in which it was heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from .days import first_moment
from .events.notice import ContractTerminated
from .events.platform import ContractRegistered

# Ends that follow from the contract's calendar; any other end is somebody's decision and may cut a period short:
# another service's, or the customer's by the EU Data Act.
_CALENDAR = ("notice", "expiry")


@dataclass(frozen=True, slots=True)
class Ending:
    """A ``ContractTerminated``, as far as it matters: *decided* if it wasn't the period that ran out.

    *revision*: the one of the contract that it ended, if that was said.
    """

    decided: bool
    period_end: date
    terminated_at: datetime
    zone: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract: the highest revision that was heard (0: none yet) and its latest ending, if any.

    Without *period_end*, once registered, it goes on until further notice. *language* decides about no date.
    """

    contract_id: str
    zone: str
    revision: int = 0
    period_start: date | None = None
    period_end: date | None = None
    ending: Ending | None = None
    language: str | None = None

    @property
    def active(self) -> bool:
        """Tell whether it goes on: never ended, or registered anew for time that the ending doesn't cover."""
        if self.ending is None:
            return True
        if self.period_start is None:
            return False
        return not covers(self.ending, self.period_start, self.period_end, self.zone, self.revision)


Contracts = tuple[Contract, ...]


def ending_of(event: ContractTerminated) -> Ending:
    """Keep of *event* what decides whether a contract is over."""
    decided = event.basis not in _CALENDAR
    return Ending(decided, event.period_end, event.terminated_at, event.time_zone, event.revision)


def covers(ending: Ending, period_start: date, period_end: date | None, zone: str, revision: int = 0) -> bool:
    """Tell whether *ending* is the end of this period, as *revision* has it, and not of an earlier one.

    An ending by the calendar covers what ends by its day. An ending by decision also covers a period that
    had begun when it took effect, however long it would have lasted. A contract without an end of its own is covered by
    the end of that very revision, or a later one: it may have been given to one that was over.
    """
    if period_end is not None and period_end <= ending.period_end:
        return True
    open_until_then = period_end is None and ending.revision is not None and ending.revision >= revision
    return (ending.decided or open_until_then) and first_moment(period_start, zone) < ending.terminated_at


def later(known: Ending | None, heard: Ending) -> Ending:
    """Choose the ending that counts of two."""
    if known is None:
        return heard
    return max(known, heard, key=order)


def order(ending: Ending) -> tuple[datetime, bool, date, str, int]:
    """Order endings by how much they count: the later more; of two at one moment, the decided one."""
    return ending.terminated_at, ending.decided, ending.period_end, ending.zone, ending.revision or 0


def language_of(contracts: Contracts) -> str | None:
    """Tell the language (BCP 47) of whoever has *contracts*, if one of them names it: the one that ended last."""
    ended = [(one.ending.terminated_at, one.language) for one in contracts if one.ending and one.language]
    return max(ended)[1] if ended else next((one.language for one in contracts if one.language), None)


def registered(contracts: Contracts, event: ContractRegistered) -> Contracts | None:
    """Take *event* into *contracts*; None if it isn't news."""
    known = _find(contracts, event.contract_id, event.time_zone)
    if event.revision <= known.revision:
        return None
    news = replace(
        known,
        zone=event.time_zone,
        revision=event.revision,
        period_start=event.period_start,
        period_end=event.period_end,
        language=event.language,
    )
    return _with(contracts, news)


def terminated(contracts: Contracts, event: ContractTerminated) -> Contracts | None:
    """Take *event* into *contracts*; None if it isn't news."""
    known = _find(contracts, event.contract_id, event.time_zone)
    ending = later(known.ending, ending_of(event))
    return None if ending == known.ending else _with(contracts, replace(known, ending=ending))


def ended_since(contracts: Contracts, window_closed_at: datetime) -> Literal["contract_active", "window_open"] | None:
    """Tell why a command of the window that closed at *window_closed_at* isn't right any more, by *contracts*.

    A contract goes on, or one has ended since: then it has a window of its own (P4), though nothing of the customer's
    says which end it was that the command is of. Of whom no contract is known nothing speaks against it.
    """
    if any(contract.active for contract in contracts):
        return "contract_active"
    ends = [one.ending.terminated_at for one in contracts if one.ending is not None]
    return "window_open" if ends and max(ends) > window_closed_at else None


def _find(contracts: Contracts, contract_id: str, zone: str) -> Contract:
    return next((known for known in contracts if known.contract_id == contract_id), Contract(contract_id, zone))


def _with(contracts: Contracts, news: Contract) -> Contracts:
    others = [known for known in contracts if known.contract_id != news.contract_id]
    return tuple(sorted([*others, news], key=lambda known: known.contract_id))
