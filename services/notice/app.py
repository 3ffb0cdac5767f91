"""Composition root of the notice service: the policy in, one worker out; ``offramp notice``."""

from __future__ import annotations

from shared.declared import policy_file
from shared.policy import load_policy
from shared.run import group
from shared.settings import Settings
from shared.worker import Service

from .commands import contribute
from .domain import domain
from .policy import NoticePolicy


def build(_: Settings) -> Service:
    """Put the service together; raises PolicyError."""
    return Service(domain(load_policy(policy_file(), "notice", NoticePolicy)))


app = group("notice", 6066, build)
contribute(app)
