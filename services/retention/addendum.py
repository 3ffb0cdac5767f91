"""An addendum to a certificate: what of the rows that laws had kept has had its time, and is gone; canonical JSON."""

from __future__ import annotations

import json
from typing import Literal

from shared.events.vocabulary import Count, CustomerId, Place, Positive, Ref, Sha256, Value

from .about import ABOUT
from .parts import HolderPart, ValidationPart, answered, compared
from .proving import prove
from .tasks import Amend, ApprovalEvidence, HoldEvidence, JournalEntry, RetainedPart

WHAT = (
    "The certificate whose digest is first_sha256 said that laws kept rows of this customer, and until when. The time "
    "of what is under gone has come, and it is there no longer, but for objects under shared, to which others' rows "
    "refer by now; what is under retained still waits, and another addendum follows. Everything was asked and checked "
    "again as it was then. Moments are in UTC."
)


class Addendum(Value):
    """Everything that the *number*-th addendum says: *retained* still waits; *rows_deleted* has the needed, too."""

    format: Literal["offramp-addendum/1"]
    customer_id: CustomerId
    deletion_id: Ref
    first_deletion_id: Ref
    number: Positive
    erased: Literal["all", "all_but_retained"]
    first_certificate: Place
    first_sha256: Sha256
    rows_deleted: Count
    gone: tuple[RetainedPart, ...]
    retained: tuple[RetainedPart, ...]
    holders: tuple[HolderPart, ...]
    validation: ValidationPart
    holds: tuple[HoldEvidence, ...]
    approvals: tuple[ApprovalEvidence, ...]
    journal: tuple[JournalEntry, ...]
    journal_head: Sha256


def addendum_of(facts: Amend) -> Addendum:
    """Give the addendum of *facts*; raises ``NotProvenError`` where they don't show that all is gone that had to go."""
    prove(facts)
    return Addendum(
        format="offramp-addendum/1",
        customer_id=facts.customer_id,
        deletion_id=facts.deletion_id,
        first_deletion_id=facts.first.deletion_id,
        number=facts.number,
        erased="all_but_retained" if facts.retained else "all",
        first_certificate=facts.first.certificate,
        first_sha256=facts.first.certificate_sha256,
        rows_deleted=sum(one.rows for answer in facts.answers for one in answer.deleted),
        gone=facts.gone,
        retained=facts.retained,
        holders=tuple(answered(answer) for answer in facts.answers),
        validation=ValidationPart(checked_at=facts.checked_at, holders=compared(facts.before, facts.after)),
        holds=facts.holds,
        approvals=facts.approvals,
        journal=facts.journal,
        journal_head=facts.journal[-1].seal,
    )


def addendum_document(facts: Amend) -> bytes:
    """Write the addendum of *facts* as canonical JSON, as certificates are written; raises ``NotProvenError``."""
    about = {key: ABOUT[key] for key in ("method", "verification", "validation", "journal", "retained", "limits")}
    said = {"about": {**about, "what": WHAT}, **addendum_of(facts).model_dump(mode="json")}
    return json.dumps(said, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def addendum_folder(first: str, number: int) -> str:
    """Name the folder of the *number*-th addendum to the certificate in the folder *first*."""
    return f"{first}/addendum-{number}"
