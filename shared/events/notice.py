"""Events of the notice service: how a contract ends, and when (P1, P2)."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from .event import Event
from .platform import Ground
from .vocabulary import Code, ContractId, Count, Country, Day, Moment, Positive, Ref, Value, Zone


class Step(Value):
    """One step of the reckoning: *count* of *unit* from *start* on (or back from it) give *result*.

    *rule* is the clause by which it is taken, whose text is in the rule set: of the policy, a law, or the contract.
    Of working days in *country*, *skipped* are the days that would have counted were they not holidays.
    """

    figure: Literal["period_end", "last_day_for_notice", "notice_ends", "transition_ends", "last_day"]
    rule: Code
    start: Day
    direction: Literal["on", "back"]
    count: Count
    unit: Literal["calendar_days", "working_days", "months"]
    result: Day
    country: Country | None = None
    skipped: tuple[Day, ...] = ()


class NoticeAccepted(Event):
    """The notice counts: service goes on to the end of *period_end*, then the contract is over.

    *last_day_for_notice*: the last day on which a notice would have led to the same end. *because*: the reckoning,
    by the rule set *rules*.
    """

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    received_at: Moment
    last_day_for_notice: Day
    period_end: Day
    terminates_at: Moment
    ground: Ground = "non_renewal"
    rules: Ref | None = None
    because: tuple[Step, ...] = ()


class NoticeRejected(Event):
    """The notice does not count, for *reason*; *earliest_end* is the day on which the contract can end now.

    One that is late stands for that day, unless it is withdrawn: the contract is over at *stands_until*.
    The sentence that belongs to each reason is in the rule set *rules*.
    """

    version: ClassVar[int] = 2
    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    reason: Literal[
        "late",
        "not_in_writing",
        "channel_not_accepted",
        "no_authority",
        "unknown_contract",
        "already_given",
        "withdrawn",
        "contract_ended",
    ]
    last_day_for_notice: Day | None = None
    earliest_end: Day | None = None
    stands_until: Moment | None = None
    rules: Ref | None = None
    because: tuple[Step, ...] = ()


class WithdrawalAccepted(Event):
    """The notice is undone: the contract goes on as if it had never been given.

    *ends_on*: the day with which it ends all the same, since it isn't renewed or another notice counts.
    """

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    withdrawn_at: Moment
    ends_on: Day | None = None


class WithdrawalRejected(Event):
    """The withdrawal changes nothing, for *reason*."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    reason: Literal["contract_ended", "notice_does_not_count", "unknown_notice"]


class ProlongationAccepted(Event):
    """The transition goes on to the end of *until*, and the contract with it."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    prolongation_id: Ref
    until: Day
    terminates_at: Moment


class ProlongationRejected(Event):
    """The transition isn't prolonged, for *reason*; *at_most* is the last day that would be possible."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    prolongation_id: Ref
    reason: Literal["unknown_notice", "no_transition", "too_late", "too_long", "no_longer", "already_prolonged"]
    at_most: Day | None = None


class CompletionAccepted(Event):
    """The switch is complete: service goes on to the end of *ends_on*, the day of its completion, and no further."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    completed_at: Moment
    ends_on: Day
    terminates_at: Moment


class CompletionRejected(Event):
    """The contract doesn't end by this report, for *reason*; *possible_from*: the first day of the transition."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    completed_at: Moment
    reason: Literal["unknown_notice", "no_switch", "not_confirmed", "too_early", "contract_ended"]
    possible_from: Day | None = None


Basis: TypeAlias = Literal["notice", "switch", "on_premises", "erasure", "expiry", "breach", "bankruptcy", "other"]


class Announced(Value):
    """That the customer was told of a date, and what became of it: *unanswered* as long as nobody said."""

    announcement_id: Ref
    outcome: Literal["delivered", "bounced", "unanswered"]
    informed_at: Moment | None = None


class ContractTerminated(Event):
    """The contract is over since *terminated_at*; *period_end* is the last day of its service (P2).

    The notice service publishes it when a period, a notice or a transition has run out; any platform service may for
    a breach, a bankruptcy or another *basis*. *revision*: that of the contract which it ended. *announced*: what became
    of the dates that the customer was told of before, as evidence.
    """

    version: ClassVar[int] = 2
    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    basis: Basis
    period_end: Day
    terminated_at: Moment
    time_zone: Zone
    revision: Positive | None = None
    announced: tuple[Announced, ...] = ()


class DeadlineApproaching(Event):
    """A date that matters to the customer is near and has to be told (P12); answered by ``CustomerInformed``.

    *change*: the date is another one than was told before (*before*), or doesn't come any more.
    """

    version: ClassVar[int] = 2
    owner: ClassVar[str] = "notice, exporter, retention"

    announcement_id: Ref
    deadline: Literal["notice_deadline", "period_end", "transition_end", "window_closes", "deletion"]
    due_at: Moment
    change: Literal["moved", "cancelled"] | None = None
    before: Moment | None = None
