"""What the notice service has to be told by the policy, and by the rules that it names."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from shared.events.vocabulary import Ref
from shared.policy import PolicyPart, load_policy

from .rules import RuleSet, load_rules

Wait = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=30))]


class UnknownRulesError(LookupError):
    """A case was decided by a rule set whose file is no longer there: put it back."""


class NoticePolicy(PolicyPart):
    """How long a notice waits for its contract, a withdrawal for its notice; which of the *rule_sets* is in force."""

    unknown_contract_wait: Wait
    unknown_notice_wait: Wait
    rule_sets: dict[Ref, RuleSet]
    rules: Ref

    @field_validator("rules")
    @classmethod
    def _there(cls, rules: str, info: ValidationInfo) -> str:
        known = info.data.get("rule_sets", {rules: None})
        if rules not in known:
            raise ValueError(f"there is no rule set {rules}, only {', '.join(known) or 'none at all'}")
        lacking = known[rules].lacking() if rules in info.data.get("rule_sets", ()) else ()
        if lacking:
            raise ValueError(f"rule set {rules} lacks {', '.join(lacking)}")
        return rules

    @cached_property
    def in_force(self) -> RuleSet:
        """Give the rules by which is decided now."""
        return self.rule_sets[self.rules]

    def rules_of(self, version: str) -> RuleSet:
        """Give the rules by which a case was decided; raises ``UnknownRulesError``."""
        known = self.rule_sets.get(version)
        if known is None:
            raise UnknownRulesError(version)
        return known


def load_notice_policy(policy: Path, rules: Path) -> NoticePolicy:
    """Read the policy and every rule set of the folder *rules*; raises ``PolicyError``, naming the field."""
    return load_policy(policy, "notice", NoticePolicy, rule_sets=load_rules(rules))
