"""Whether a notice counts (P1): judged by the moment it was received, whenever we come to read it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.events.notice import NoticeAccepted, NoticeRejected
from shared.events.platform import NoticeReceived

from .calendar import Terms
from .contract import facts_of, final_end, notices_of, over_until, standing, terminates_at
from .grounds.dates import Dates
from .grounds.table import dates
from .policy import NoticePolicy
from .states import ContractState, Ended, Leaving, Notice, Running

Flaw: TypeAlias = Literal["not_in_writing", "channel_not_accepted", "no_authority"]
Objection: TypeAlias = Literal["withdrawn", "contract_ended", "already_given", "late"]
FLAWS: frozenset[str] = frozenset(("not_in_writing", "channel_not_accepted", "no_authority"))


def flaw(terms: Terms, event: NoticeReceived, policy: NoticePolicy) -> Flaw | None:
    """Tell what is wrong with a notice in itself: its form, its channel, who gave it."""
    if event.channel in policy.in_force.unwritten_channels:
        return "not_in_writing"
    if event.channel not in terms.channels:
        return "channel_not_accepted"
    return "no_authority" if terms.givers is not None and event.given_by not in terms.givers else None


def heard(event: NoticeReceived, now: datetime, policy: NoticePolicy) -> Notice:
    """Keep of *event* what leads to an end. What we hold in our hands was received by now, whatever its clock says."""
    return Notice(event.notice_id, min(event.received_at, now), now, policy.rules, event.ground)


def judged(terms: Terms, notice: Notice, policy: NoticePolicy) -> tuple[Notice, Dates]:
    """Reckon the days of *notice*, and keep that it was in time, if it was."""
    reckoned = dates(terms, notice, policy)
    return (notice if reckoned.late else replace(notice, in_time=True)), reckoned


def with_notice(
    known: ContractState, terms: Terms, notice: Notice, now: datetime, policy: NoticePolicy
) -> ContractState:
    """Take *notice* into what was heard; the same notice by a second channel counts from its earlier receipt."""
    others = [one for one in notices_of(known) if one.notice_id != notice.notice_id]
    return standing(facts_of(known, terms, known.since or now, (*others, notice)), now, policy)


def earlier_receipt(
    known: ContractState, terms: Terms, event: NoticeReceived, now: datetime, policy: NoticePolicy
) -> Notice | None:
    """Give the notice that *event* tells again with an earlier receipt than was known; None if it does nothing new.

    Where it would have ended the contract before now, it does so now: nobody knew of it. What was over is left.
    """
    told = next((one for one in notices_of(known) if one.notice_id == event.notice_id), None)
    received_at = min(event.received_at, now)
    if told is None or received_at >= told.received_at:
        return None
    sooner, since = replace(told, received_at=received_at, ground=event.ground), known.since or now
    before, after = (terminates_at(one, dates(terms, one, policy), terms, since) for one in (told, sooner))
    if after >= now:
        return sooner
    return None if before < now else replace(sooner, heard_at=now)


def objection(
    known: ContractState, follows: ContractState, notice: Notice, reckoned: Dates, now: datetime
) -> Objection | None:
    """Tell why *notice*, which led from *known* to *follows*, doesn't end the contract as it asks; None if it does."""
    if _undone(known, notice):
        return "withdrawn"
    if _after_the_end(known, notice, now):
        return "contract_ended"
    if notice is not counting_notice(follows):
        return "already_given"
    return "late" if reckoned.late else None


def counting_notice(known: ContractState) -> Notice | None:
    """Give the notice that counts, if there is one."""
    return None if isinstance(known, Running) else known.notice


def accepted(event: NoticeReceived, follows: ContractState, notice: Notice, reckoned: Dates) -> NoticeAccepted:
    """Answer a notice that counts, with its dates and how they were reckoned."""
    # What is under notice has an end.
    return NoticeAccepted.model_validate(
        {"customer_id": event.customer_id, "contract_id": event.contract_id, "notice_id": event.notice_id,
         "received_at": notice.received_at, "last_day_for_notice": reckoned.last_day_for_notice,
         "period_end": reckoned.last_day, "terminates_at": final_end(follows), "ground": notice.ground,
         "rules": notice.rules, "because": reckoned.steps}
    )  # fmt: skip


def rejected(
    event: NoticeReceived,
    terms: Terms,
    follows: ContractState,
    reason: Objection | Flaw,
    policy: NoticePolicy,
    now: datetime,
) -> NoticeRejected:
    """Answer a notice that doesn't count as it asks, with the day on which the contract can end now."""
    counting = counting_notice(follows)
    reckoned = dates(terms, counting or heard(event, now, policy), policy)
    return NoticeRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        reason=reason,
        last_day_for_notice=reckoned.last_day_for_notice,
        earliest_end=follows.ending.period_end if isinstance(follows, Ended) else reckoned.last_day,
        stands_until=follows.terminates_at if reason == "late" and isinstance(follows, Leaving) else None,
        rules=policy.rules,
        because=reckoned.steps,
    )


def unheard(event: NoticeReceived, policy: NoticePolicy, *, ended: bool) -> NoticeRejected:
    """Answer a notice for a contract whose terms never came."""
    return NoticeRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        reason="contract_ended" if ended else "unknown_contract",
        rules=policy.rules,
    )


def _undone(known: ContractState, notice: Notice) -> bool:
    return known.undone_until is not None and notice.received_at <= known.undone_until


def _after_the_end(known: ContractState, notice: Notice, now: datetime) -> bool:
    """Tell whether the contract was over when the notice came; or its time under an earlier revision is over now."""
    if isinstance(known, Ended):
        return notice.received_at >= known.ending.terminated_at
    begins = over_until(known.earlier, known.terms, now)
    return begins is not None and notice.received_at < begins
