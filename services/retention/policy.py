"""What the retention service has to be told: how long to keep, whom to command, when to ask again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.events.vocabulary import Code
from shared.policy import Ahead, PolicyPart, WindowDays


class HolderPolicy(BaseModel):
    """One system that holds customers' data, and how long it may take to answer a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Code
    respond_within: Annotated[timedelta, Field(gt=timedelta(0))]


class AnnounceBefore(BaseModel):
    """How many days before each date the customer is told of it (P12)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_closes: Ahead
    deletion: Ahead


class RetentionPolicy(PolicyPart):
    """The part of the policy that leads to deletions; no value has a default.

    *retry_after*: days until a command that failed is given again, the last one repeats. *bystanders*: whether
    everybody else's rows have to be the same before and after the whole deletion (strict), or each holder's
    comparison inside its own transaction is enough (in_transaction; for a platform that goes on working).
    """

    window_days: WindowDays
    # A deletion that reaches nobody would be complete at once.
    holders: Annotated[tuple[HolderPolicy, ...], Field(min_length=1)]
    retry_after: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    bystanders: Literal["strict", "in_transaction"]
    announce_before: AnnounceBefore

    @field_validator("holders")
    @classmethod
    def _each_once(cls, holders: tuple[HolderPolicy, ...]) -> tuple[HolderPolicy, ...]:
        names = [holder.name for holder in holders]
        if len(names) > len(set(names)):
            msg = "a holder is named twice"
            raise ValueError(msg)
        return holders
