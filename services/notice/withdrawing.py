"""What taking a notice back undoes: that notice, and whatever else had been given until then."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.events.notice import WithdrawalAccepted, WithdrawalRejected
from shared.events.platform import NoticeWithdrawn

from .announcements import told_by_answer
from .calendar import end_of
from .contract import facts_of, final_end, goes_on, notices_of, standing
from .policy import NoticePolicy
from .states import ContractState, Ended, Leaving

_NEVER = datetime.min.replace(tzinfo=UTC)
Refusal: TypeAlias = Literal["contract_ended", "notice_does_not_count", "unknown_notice"]


def withdrawn(
    known: ContractState, event: NoticeWithdrawn, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, WithdrawalAccepted | WithdrawalRejected]:
    """Undo the notice that *event* names if the contract hasn't ended by then; answer either way.

    A second notice that was given before the withdrawal goes with the first: whoever stays must not be ended by a copy.
    """
    named = next((one for one in notices_of(known) if one.notice_id == event.notice_id), None)
    withdrawn_at = min(event.withdrawn_at, now)
    # Whatever its sender's clock says, a notice was taken back after it had been given.
    undone_until = max(withdrawn_at, known.undone_until or _NEVER, named.received_at if named else _NEVER)
    if known.terms is None or _is_over(known, withdrawn_at):
        # Should the contract be registered anew, what was given until then stays undone.
        return replace(known, undone_until=undone_until), _refused(event, "contract_ended")
    facts = replace(facts_of(known, known.terms, known.since or now), undone_until=undone_until)
    follows = told_by_answer(standing(facts, now, policy), now, policy)
    return follows, _accepted(event, follows) if named else _refused(event, "notice_does_not_count")


def unheard(event: NoticeWithdrawn) -> WithdrawalRejected:
    """Answer a withdrawal whose notice never came."""
    return _refused(event, "unknown_notice")


def _is_over(known: ContractState, moment: datetime) -> bool:
    end = final_end(known)
    return end is not None and moment >= end


def _accepted(event: NoticeWithdrawn, follows: ContractState) -> WithdrawalAccepted:
    return WithdrawalAccepted(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        withdrawn_at=event.withdrawn_at,
        ends_on=_ends_on(follows),
    )


def _ends_on(follows: ContractState) -> date | None:
    if isinstance(follows, Ended):
        return follows.ending.period_end
    if isinstance(follows, Leaving):
        return follows.last_day
    return None if goes_on(follows.terms) else end_of(follows.terms, follows.period)


def _refused(event: NoticeWithdrawn, reason: Refusal) -> WithdrawalRejected:
    return WithdrawalRejected(
        customer_id=event.customer_id, contract_id=event.contract_id, notice_id=event.notice_id, reason=reason
    )
