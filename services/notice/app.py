"""Composition root of the notice service: the policy in, one worker out; ``offramp notice``."""

from __future__ import annotations

from shared.declared import policy_file, rules_folder
from shared.run import group
from shared.settings import Settings
from shared.worker import Service

from .domain import domain
from .policy import load_notice_policy


def build(_: Settings) -> Service:
    """Put the service together; raises PolicyError."""
    return Service(domain(load_notice_policy(policy_file(), rules_folder())))


app = group("notice", 6066, build)
