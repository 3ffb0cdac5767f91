"""What the retention service remembers of a customer, and how far the case is: nine states and what is known."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from shared.contracts import Contracts
from shared.holds import Holds
from shared.window import Window

# A table and its number of rows; the fingerprints of everybody else's rows before and after.
Rows: TypeAlias = tuple[str, int]
Bystander: TypeAlias = tuple[str, int, int, str, str]


class Informed(Struct, frozen=True):
    """An announcement of ours that reached the customer, or came back."""

    announcement_id: str
    channel: str
    outcome: Literal["delivered", "bounced"]
    informed_at: datetime


class Confirmed(Struct, frozen=True):
    """The customer confirmed an export (P10)."""

    export_id: str
    sha256: str
    confirmed_by: str
    confirmed_at: datetime


class Known(Struct, frozen=True):
    """What is known of the customer, however far the case is.

    *decided_at*: the latest moment at which anything was decided, by which a clock that went back is noticed.
    *attempts*: how many steps of proof were ordered, so that an outcome of an earlier one is told apart.
    """

    customer_id: str = ""
    contracts: Contracts = ()
    holds: Holds = ()
    told: tuple[str, ...] = ()
    informed: tuple[Informed, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()
    attempts: int = 0
    decided_at: datetime | None = None


class Seen(Struct, frozen=True, array_like=True):
    """One table at one holder as a survey or a check saw it."""

    holder: str
    table: str
    own: int
    others: int
    fingerprint: str


class Holder(Struct, frozen=True):
    """A holder and the command to it, given *sent* times.

    *asked*: it has until *due* to answer. *late* or *refused*: the command is given again when *due*, or, without
    one, not before an operator has looked. *erased*: it answered well. *deleted* sums up all its answers.
    """

    name: str
    status: Literal["asked", "late", "refused", "erased"]
    sent: int
    commanded_at: datetime
    due: datetime | None = None
    reason: str = ""
    answered_at: datetime | None = None
    deleted: tuple[Rows, ...] = ()
    remaining: tuple[Rows, ...] = ()
    bystanders: tuple[Bystander, ...] = ()


class Deletion(Struct, frozen=True):
    """A deletion under way: what was *before*, and how far each holder is."""

    deletion_id: str
    window: Window
    before: tuple[Seen, ...]
    holders: tuple[Holder, ...]


class Unknown(Struct, frozen=True, tag_field="kind", tag="unknown"):
    """No contract of the customer is known."""

    known: Known = Known()


class Serving(Struct, frozen=True, tag_field="kind", tag="serving"):
    """A contract goes on: nothing may be deleted (P2)."""

    known: Known


class InWindow(Struct, frozen=True, tag_field="kind", tag="window"):
    """All contracts are over, and the data can be exported until the window closes (P3, P4)."""

    known: Known
    window: Window
    wakes_at: datetime


class Held(Struct, frozen=True, tag_field="kind", tag="held"):
    """The window has closed, but a legal hold keeps everything as it is (P8)."""

    known: Known
    window: Window


class Surveying(Struct, frozen=True, tag_field="kind", tag="surveying"):
    """What there is is read before the deletion; the commands follow on the next waking, with what was *seen*."""

    known: Known
    window: Window
    seen: tuple[Seen, ...] = ()
    wakes_at: datetime | None = None


class Deleting(Struct, frozen=True, tag_field="kind", tag="deleting"):
    """Every holder is commanded, and those that haven't answered are in time (P7)."""

    known: Known
    deletion: Deletion


class Checking(Struct, frozen=True, tag_field="kind", tag="checking"):
    """Every holder has answered well; whether it is true is looked at by another way."""

    known: Known
    deletion: Deletion


class Certifying(Struct, frozen=True, tag_field="kind", tag="certifying"):
    """The deletion is complete, and the certificate is being made (P11)."""

    known: Known
    deletion: Deletion
    after: tuple[Seen, ...]
    checked_at: datetime


class Closed(Struct, frozen=True, tag_field="kind", tag="closed"):
    """The end (P11)."""

    known: Known
    window: Window
    deletion_id: str
    certificate: str
    certificate_sha256: str
    closed_at: datetime


Step: TypeAlias = Literal["survey", "answers", "check", "certify", "contract"]


class Stalled(Struct, frozen=True, tag_field="kind", tag="stalled"):
    """The case waits at *step*, and an operator was told why; it goes on at *retry_at*, or when the cause is gone."""

    known: Known
    window: Window
    step: Step
    reason: str
    holders: tuple[str, ...]
    deletion: Deletion | None = None
    retry_at: datetime | None = None
    # Of a case that had got as far as the certificate.
    after: tuple[Seen, ...] = ()
    checked_at: datetime | None = None


State: TypeAlias = Unknown | Serving | InWindow | Held | Surveying | Deleting | Checking | Certifying | Closed | Stalled
