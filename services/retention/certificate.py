"""The certificate (P11): what was deleted, when, by whom, and how it was checked; canonical JSON, no personal data."""

from __future__ import annotations

import json
import re
from typing import Literal

from shared.events.platform import CustomerInformed, ExportConfirmed
from shared.events.vocabulary import (
    Code,
    Count,
    CustomerId,
    Moment,
    Positive,
    Ref,
    Sha256,
    Value,
)

from .about import ABOUT
from .parts import HolderPart, ValidationPart, answered, compared
from .proving import prove
from .symmetry import SymmetryPart, symmetry
from .tasks import (
    AccessEnded,
    ApprovalEvidence,
    Certify,
    ContinuedPart,
    CopyToExpire,
    HoldEvidence,
    JournalEntry,
    RetainedPart,
)

NAME = "certificate.json"


class WindowPart(Value):
    """The days in which the data could be fetched, and the policy that says how many."""

    terminated_at: Moment
    window_days: Positive
    window_closed_at: Moment
    policy_version: Ref


class Certificate(Value):
    """Everything that the certificate says of one deletion."""

    format: Literal["offramp-certificate/1"]
    customer_id: CustomerId
    deletion_id: Ref
    rows_deleted: Count
    window: WindowPart
    holders: tuple[HolderPart, ...]
    validation: ValidationPart
    holds: tuple[HoldEvidence, ...]
    customer_informed: bool
    informed: tuple[CustomerInformed, ...]
    export_confirmed: bool
    confirmed: tuple[ExportConfirmed, ...]
    stage: Literal["production", "full"]
    copies_to_expire: tuple[CopyToExpire, ...]
    sub_processors: tuple[Code, ...]
    access_ended: tuple[AccessEnded, ...]
    approvals: tuple[ApprovalEvidence, ...]
    symmetry: SymmetryPart | None
    journal: tuple[JournalEntry, ...]
    journal_head: Sha256
    erased: Literal["all", "all_but_retained"]
    retained: tuple[RetainedPart, ...]
    continues: ContinuedPart | None = None


def certificate_of(facts: Certify) -> Certificate:
    """Give the certificate of *facts*; raises ``NotProvenError`` where they don't show that everything is gone."""
    prove(facts)
    return Certificate(
        format="offramp-certificate/1",
        customer_id=facts.customer_id,
        deletion_id=facts.deletion_id,
        rows_deleted=sum(one.rows for answer in facts.answers for one in answer.deleted),
        window=WindowPart.model_validate(facts, from_attributes=True),
        holders=tuple(answered(answer) for answer in facts.answers),
        validation=ValidationPart(checked_at=facts.checked_at, holders=compared(facts.before, facts.after)),
        holds=facts.holds,
        customer_informed=any(one.outcome == "delivered" for one in facts.informed),
        informed=facts.informed,
        export_confirmed=bool(facts.confirmed),
        confirmed=facts.confirmed,
        stage="production" if facts.copies else "full",
        copies_to_expire=facts.copies,
        sub_processors=facts.sub_processors,
        access_ended=facts.access_ended,
        approvals=facts.approvals,
        symmetry=symmetry(facts),
        journal=facts.journal,
        journal_head=facts.journal[-1].seal,
        erased="all_but_retained" if facts.retained else "all",
        retained=facts.retained,
        continues=facts.continues,
    )


def document(certificate: Certificate) -> bytes:
    """Write *certificate* as canonical JSON: keys sorted, UTF-8, one line end; the same facts give the same bytes."""
    said = {"about": ABOUT, **certificate.model_dump(mode="json")}
    return json.dumps(said, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def folder(customer: str, deletion_id: str) -> str:
    """Name the folder of a deletion's certificate; two deletions never share one."""
    # A deletion's id may hold "/" and ":", never "=": what is written for them can't be part of another id.
    safe = re.sub(r"[^A-Za-z0-9._-]", lambda found: f"={ord(found.group()):02X}", deletion_id)
    return f"{customer}/{safe}"
