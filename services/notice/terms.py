"""Reads a contract's terms out of its event."""

from __future__ import annotations

from shared.events.platform import (
    Appointed,
    AutomaticRenewal,
    ContractRegistered,
    NoticeRule,
    OpenEnded,
    UntilFurtherNotice,
    WorkingDays,
)

from .calendar import Terms
from .policy import NoticePolicy
from .rules import RuleSet
from .workdays import Rule


def terms_of(event: ContractRegistered, policy: NoticePolicy) -> Terms:
    """Keep of *event* what the service needs, with the holidays that count by the rules in force."""
    renewal, rules = event.renewal, policy.in_force
    return Terms(
        contract_id=event.contract_id,
        revision=event.revision,
        period_start=event.period_start,
        first_end=event.period_end,
        zone=event.time_zone,
        months=renewal.months if isinstance(renewal, AutomaticRenewal) else 0,
        notice=_rule(event.notice, rules),
        channels=event.notice_channels,
        rules=policy.rules,
        open_notice=_open_notice(event, rules),
        givers=event.authority.by if isinstance(event.authority, Appointed) else None,
        language=event.language,
        transfer_help=event.transfer_help,
        service_class=event.service_class,
    )


def _open_notice(event: ContractRegistered, rules: RuleSet) -> Rule | None:
    if isinstance(event.renewal, OpenEnded):
        return _rule(event.notice, rules)
    return _rule(event.renewal.notice, rules) if isinstance(event.renewal, UntilFurtherNotice) else None


def _rule(notice: NoticeRule, rules: RuleSet) -> Rule:
    if isinstance(notice, WorkingDays):
        return Rule(notice.days, notice.country, rules.categories(notice.country))
    return Rule(notice.days)
