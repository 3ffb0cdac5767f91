"""What the retention service has to be told: how long to keep, whom to command, when to ask again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.events.vocabulary import Code, Ref
from shared.policy import Ahead, PolicyPart, WindowDays


class HolderPolicy(BaseModel):
    """One system that holds customers' data, and how long it may take to answer a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Code
    respond_within: Annotated[timedelta, Field(gt=timedelta(0))]
    # Keeps no data: it only ends the customer's access, so there is nothing to read before or after.
    access_only: bool = False


class AnnounceBefore(BaseModel):
    """How many days before each date the customer is told of it (P12)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_closes: Ahead
    # Never none: nothing is deleted of which the customer wasn't told.
    deletion: Annotated[Ahead, Field(min_length=1)]


class BlastRadius(BaseModel):
    """From when on a deletion waits for a second person; what is missing stops the service from starting.

    *customers*: more due within a day. *percent*: of all customers, once more than *few* are due. *rows*: more of one
    customer; or more than *times_usual* the median of former deletions, unless it is *small*.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    customers: Annotated[int, Field(ge=1)]
    few: Annotated[int, Field(ge=0)]
    percent: Annotated[int, Field(ge=1, le=100)]
    rows: Annotated[int, Field(ge=1)]
    times_usual: Annotated[int, Field(ge=2)]
    small: Annotated[int, Field(ge=0)]


class Escalation(BaseModel):
    """Who has to know when a step failed *after* so many times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[int, Field(ge=1)]
    to: Code


class BackupPolicy(BaseModel):
    """Copies *of* a holder's data that nobody deletes from: they expire *kept_days* after they were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Code
    of: Code
    kept_days: Annotated[int, Field(ge=1)]


class RetentionPolicy(PolicyPart):
    """The part of the policy that leads to deletions; no value has a default.

    *retry_after*: days until a command that failed is given again, the last one repeats. *bystanders*: whether
    everybody else's rows have to be the same before and after the whole deletion (strict), or each holder's
    comparison inside its own transaction is enough (in_transaction; for a platform that goes on working).
    """

    # The versions whose windows may still be carried to their end; a window of another one stops for an operator.
    former_versions: tuple[Ref, ...]
    window_days: WindowDays
    # A deletion that reaches nobody would be complete at once.
    holders: Annotated[tuple[HolderPolicy, ...], Field(min_length=1)]
    retry_after: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    bystanders: Literal["strict", "in_transaction"]
    escalation: Annotated[tuple[Escalation, ...], Field(min_length=1)]
    blast_radius: BlastRadius
    backups: tuple[BackupPolicy, ...]
    # Who else handles customers' data on our behalf; named in the certificate.
    sub_processors: tuple[Code, ...]
    announce_before: AnnounceBefore
    # How long a request for early deletion waits until the exporter has compared what was confirmed (P10).
    confirmation_wait: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=30))]

    @property
    def access_only(self) -> frozenset[str]:
        """Name the holders that only end access."""
        return frozenset(holder.name for holder in self.holders if holder.access_only)

    @property
    def readable(self) -> tuple[str, ...]:
        """Name the holders that keep data."""
        return tuple(holder.name for holder in self.holders if not holder.access_only)

    @field_validator("holders")
    @classmethod
    def _each_once(cls, holders: tuple[HolderPolicy, ...]) -> tuple[HolderPolicy, ...]:
        names = [holder.name for holder in holders]
        if len(names) > len(set(names)):
            msg = "a holder is named twice"
            raise ValueError(msg)
        if all(holder.access_only for holder in holders):
            msg = "none of them keeps data"
            raise ValueError(msg)
        return holders
