"""What the notice service has to be told by the policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.policy import Ahead, PolicyPart

Wait = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=30))]


class AnnounceBefore(BaseModel):
    """How many days before each date the customer is told of it (P12)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notice_deadline: Ahead
    period_end: Ahead


class NoticePolicy(PolicyPart):
    """How long a notice waits for its contract, a withdrawal for its notice; what is announced, and when."""

    unknown_contract_wait: Wait
    unknown_notice_wait: Wait
    announce_before: AnnounceBefore
