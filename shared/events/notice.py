"""Events of the notice service: how a contract ends, and when (P1, P2)."""

from __future__ import annotations

from typing import ClassVar, Literal

from .event import Event
from .vocabulary import ContractId, Day, Moment, Ref, Zone


class NoticeAccepted(Event):
    """The notice was in time: service goes on to the end of *period_end*, then the contract is over."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    received_at: Moment
    last_day_for_notice: Day
    period_end: Day
    terminates_at: Moment


class NoticeRejected(Event):
    """The notice does not count, for *reason*; *earliest_end* is the day on which the contract can end now."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    reason: Literal["late", "channel_not_accepted", "unknown_contract", "already_given", "contract_ended"]
    last_day_for_notice: Day | None = None
    earliest_end: Day | None = None


class ContractTerminated(Event):
    """The contract is over since *terminated_at*, the first moment after *period_end* in *time_zone* (P2).

    The notice service publishes it at the end of the period; any platform service may for a breach or a bankruptcy.
    """

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    basis: Literal["notice", "expiry", "breach", "bankruptcy", "other"]
    period_end: Day
    terminated_at: Moment
    time_zone: Zone


class DeadlineApproaching(Event):
    """A date that matters to the customer is near and has to be told (P12); answered by ``CustomerInformed``."""

    owner: ClassVar[str] = "notice, exporter, retention"

    announcement_id: Ref
    deadline: Literal["notice_deadline", "period_end", "window_closes", "deletion"]
    due_at: Moment
