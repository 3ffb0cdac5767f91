"""The certificate (P11): what was deleted, when, by whom, and how it was checked; canonical JSON, no personal data."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from shared.events.platform import CustomerInformed, ExportConfirmed
from shared.events.vocabulary import (
    Code,
    Count,
    CustomerId,
    Fingerprint,
    Moment,
    Place,
    Positive,
    Ref,
    Sha256,
    TableCount,
    TableFingerprint,
    TableName,
    Value,
)

from .journal import sealed
from .tasks import (
    AccessEnded,
    Amend,
    ApprovalEvidence,
    Certify,
    ContinuedPart,
    CopyToExpire,
    HolderAnswer,
    HolderReading,
    HoldEvidence,
    JournalEntry,
    RetainedPart,
    TableReading,
    Upgrade,
)

NAME = "certificate.json"

# Sentences for whoever reads a certificate years later. They are the same in each, so they have no room for a person.
ABOUT = {
    "what": "After the end of its contract and of the days in which it could fetch its data, everything of this "
    "customer was deleted from every system under holders, but for objects under shared, and, where erased says "
    "all_but_retained, for rows under retained. This document shows what, when, by whom, and how it was checked. "
    "Moments are in UTC.",
    "retained": "Rows that the law cited as basis keeps to the end of the day until; their columns under minimised "
    "were emptied, since it doesn't need them. Rows under needed are those that they refer to, or are found by. When "
    "the time of each has come it is deleted as well, and an addendum, which names this document by its digest, says "
    "so.",
    "shared": "Objects that this customer's rows referred to and others' rows refer to as well, such as a file that "
    "equal files share. They are theirs too, and stay; the customer's rows that led to them are gone.",
    "method": "The term of NIST SP 800-88r2 that comes nearest is Clear, by logical deletion: rows were deleted by the "
    "database's own commands, objects with all their versions and unfinished uploads by the object store's. The media "
    "were neither overwritten nor destroyed; a database reuses the space of deleted rows in its own time.",
    "verification": "Each holder read its own system again before it answered: rows or objects left, and fingerprints "
    "of everybody else's before and after. A fingerprint does not depend on the order of rows. Of a table or bucket "
    "under sampled only so many of the others' were compared as are counted. Where accounted is not 0, so many batches "
    "had gone before it compared; of each of them the database's own counters showed that it wrote nothing else. What "
    "is under differed was not equal when the holder first answered: it was told to an operator, and the holder "
    "answered again.",
    "validation": "Then the retention service looked for itself, with queries and listings other than those that "
    "deleted. What it found left is 0 everywhere, but for what is under kept: just the rows under retained and needed, "
    "or there would be no certificate. Everybody else's rows are shown as "
    "it saw them before the first command and after the last answer; on a platform that goes on working they may have "
    "changed in between by their owners' own work.",
    "journal": "Every decision in this case, in order. An entry's seal is the SHA-256 of the JSON list [seal before "
    "it, at, given, state, [events]], written without spaces; before the first entry the seal is 64 zeros. Nothing can "
    "be taken out, put in or altered without breaking all seals after it.",
    "symmetry": "The last full export beside the deletion, table by table: what was written after the export, and what "
    "was gone before the deletion, is the difference.",
    "stage": "production: deleted from every system, while the copies under copies_to_expire, from which nothing is "
    "deleted, expire by themselves at the moments named there; another certificate follows. full: there are no such "
    "copies.",
    "limits": "Copies under copies_to_expire are not covered by the counts. This document names ids, "
    "counts, digests and moments, and holds no personal data.",
}


SECOND = (
    "The certificate whose digest is first_sha256 said that copies of this customer's data would expire by themselves. "
    "The last of the moments that it named has passed. That the copies were removed then is the work of the systems "
    "that keep them, by the retention that was declared; it was not read back."
)
SECOND_NAME = "upgrade.json"


class NotProvenError(Exception):
    """What the certificate would say is not true; *reason* is a word for the outcome, the text is for the log."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(says)
        self.reason = reason


class WindowPart(Value):
    """The days in which the data could be fetched, and the policy that says how many."""

    terminated_at: Moment
    window_days: Positive
    window_closed_at: Moment
    policy_version: Ref


class VerificationPart(Value):
    """What the holder itself counted and compared when it had deleted; of what is *sampled* only some of the others'.

    Before it compared *accounted* batches had gone, of which the database's counters showed that they wrote nothing
    else. *differed* are earlier comparisons that were not equal, after which it was looked at and answered again. What
    laws keep is *kept*, with what such rows *needed*, and *minimised* are how many of them were emptied in part.
    """

    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    sampled: tuple[TableName, ...] = ()
    accounted: Count = 0
    differed: tuple[TableFingerprint, ...] = ()
    kept: tuple[TableCount, ...] = ()
    needed: tuple[TableCount, ...] = ()
    minimised: tuple[TableCount, ...] = ()


class HolderPart(Value):
    """What one holder answered: *deleted* per table or bucket; *shared* stays, since others' rows refer to it too."""

    holder: Code
    commanded_at: Moment
    answered_at: Moment
    method: Literal["clear"]
    deleted: tuple[TableCount, ...]
    shared: tuple[TableCount, ...] = ()
    verification: VerificationPart


class ReadPart(Value):
    """One table or bucket as the check found it: *left* of the customer's, and everybody else's before and after.

    *kept* are the customer's, too, and stay for a law.
    """

    table: TableName
    left: Count
    others_before: Count | None
    others_after: Count
    fingerprint_before: Fingerprint | None
    fingerprint_after: Fingerprint
    kept: Count = 0


class ReadHolderPart(Value):
    """What the check found at one holder."""

    holder: Code
    tables: tuple[ReadPart, ...]


class ValidationPart(Value):
    """The check, by another path than the one that deleted."""

    checked_at: Moment
    holders: tuple[ReadHolderPart, ...]


class SymmetryRow(Value):
    """One table of the last export beside what was deleted: the difference is named, never explained away.

    *retained* stays for a law, or is needed by such rows.
    """

    table: TableName
    exported: Count
    deleted: Count
    written_since: Count
    gone_before: Count
    retained: Count = 0


class SymmetryPart(Value):
    """Whether what was deleted is what the customer could take along, as of the last export that was ready."""

    export_id: Ref
    export_sha256: Sha256
    snapshot_at: Moment
    tables: tuple[SymmetryRow, ...]


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
        symmetry=_symmetry(facts),
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


class SecondStage(Value):
    """What the second certificate says: the copies that the first one named have expired."""

    format: Literal["offramp-upgrade/1"]
    customer_id: CustomerId
    deletion_id: Ref
    stage: Literal["full"]
    first_certificate: Place
    first_sha256: Sha256
    expired: tuple[CopyToExpire, ...]


def second_document(facts: Upgrade) -> bytes:
    """Write the second certificate as canonical JSON, too."""
    said = SecondStage(
        format="offramp-upgrade/1",
        customer_id=facts.customer_id,
        deletion_id=facts.deletion_id,
        stage="full",
        first_certificate=facts.certificate,
        first_sha256=facts.certificate_sha256,
        expired=facts.copies,
    )
    about = {"what": SECOND}
    written = {"about": about, **said.model_dump(mode="json")}
    return json.dumps(written, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def folder(customer: str, deletion_id: str) -> str:
    """Name the folder of a deletion's certificate; two deletions never share one."""
    # A deletion's id may hold "/" and ":", never "=": what is written for them can't be part of another id.
    safe = re.sub(r"[^A-Za-z0-9._-]", lambda found: f"={ord(found.group()):02X}", deletion_id)
    return f"{customer}/{safe}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the commands of VERIFY.txt ask for: the certificate *name*, its digest, its *paper*, and by which keys.

    *time* is the moment that the certificate names, as ssh-keygen reads it: for it the key has to count. The paper's
    has to count when it was signed, *signed_at*.
    """

    sha256: str
    key_id: str
    time: str
    name: str
    paper: str
    signed_at: datetime


def verify_text(asked: Asked, *, stamped: bool = False) -> bytes:
    """Write what a stranger pastes to check the files beside it."""
    text = VERIFY + (VERIFY_STAMP if stamped else VERIFY_NO_STAMP) + _BESIDES.get(asked.name, "")
    return text.format(**asdict(asked), at=math.ceil(asked.signed_at.timestamp())).encode()


def _symmetry(facts: Certify) -> SymmetryPart | None:
    if facts.exported is None:
        return None
    deleted, kept = Counter[str](), Counter[str]()
    for answer in facts.answers:
        deleted.update({one.table: one.rows for one in answer.deleted})
        kept.update({one.table: one.rows for one in answer.kept})
    rows = (_side_by_side(one.table, one.rows, deleted[one.table], kept[one.table]) for one in facts.exported.tables)
    return SymmetryPart(
        export_id=facts.exported.export_id,
        export_sha256=facts.exported.sha256,
        snapshot_at=facts.exported.snapshot_at,
        tables=tuple(rows),
    )


def _side_by_side(table: str, exported: int, deleted: int, kept: int) -> SymmetryRow:
    return SymmetryRow(
        table=table,
        exported=exported,
        deleted=deleted,
        written_since=max(deleted + kept - exported, 0),
        gone_before=max(exported - deleted - kept, 0),
        retained=kept,
    )


def prove(facts: Certify | Amend) -> None:
    """Raise ``NotProvenError`` where *facts* don't show that all is gone but what laws keep."""
    if not sealed((entry.at, entry.given, entry.state, entry.events, entry.seal) for entry in facts.journal):
        raise NotProvenError("journal", "the case's journal was altered")
    answered, checked = {one.holder for one in facts.answers}, {one.holder for one in facts.after if one.tables}
    if not answered or answered - checked:
        raise NotProvenError("not_checked", f"answered: {sorted(answered)}, but checked: {sorted(checked)}")
    read = [(at.holder, one) for at in facts.after for one in at.tables]
    kept = {(answer.holder, one.table): one.rows for answer in facts.answers for one in answer.kept}
    other = (one for one in read if one[1].own or one[1].kept != kept.get((one[0], one[1].table), 0))
    left = [*_left(facts.answers), *(f"{holder} {one.table}" for holder, one in other)]
    left += _without_reason(facts, kept)
    if left:
        raise NotProvenError("residue", f"something is left: {', '.join(left)}")
    holding = [hold.hold_id for hold in facts.holds if _holds(hold)]
    if holding:
        raise NotProvenError("held", f"still held: {', '.join(holding)}")


def _without_reason(facts: Certify | Amend, kept: dict[tuple[str, str], int]) -> list[str]:
    """Name where rows are kept that no law and none of its rows need, or more are named than are kept."""
    names = {answer.holder for answer in facts.answers}
    named: Counter[tuple[str, str]] = Counter()
    for row in facts.retained:
        if row.holder in names:
            named[row.holder, row.table] += row.rows
    for answer in facts.answers:
        named.update({(answer.holder, one.table): one.rows for one in answer.needed})
    return [
        f"{holder} {table}"
        for holder, table in sorted({*named, *kept})
        if named[holder, table] != kept.get((holder, table), 0)
    ]


def _holds(hold: HoldEvidence) -> bool:
    return (
        hold.placed_at is not None
        and hold.ended_at is None
        and (hold.released_at is None or hold.released_at < hold.placed_at)
    )


def _left(answers: tuple[HolderAnswer, ...]) -> list[str]:
    return [f"{answer.holder} {one.table}" for answer in answers for one in answer.remaining if one.rows]


def answered(answer: HolderAnswer) -> HolderPart:
    """Write one holder's answer."""
    compared = answer.model_dump(include={*VerificationPart.model_fields})
    verification = VerificationPart.model_validate(compared)
    told = answer.model_dump(include={"holder", "commanded_at", "answered_at", "deleted", "shared"})
    return HolderPart(**told, method="clear", verification=verification)


def compared(before: tuple[HolderReading, ...], after: tuple[HolderReading, ...]) -> tuple[ReadHolderPart, ...]:
    """Write what was read before and after beside each other."""
    known = {(at.holder, one.table): one for at in before for one in at.tables}
    return tuple(
        ReadHolderPart(
            holder=at.holder, tables=tuple(_read(known.get((at.holder, one.table)), one) for one in at.tables)
        )
        for at in after
    )


def _read(before: TableReading | None, after: TableReading) -> ReadPart:
    return ReadPart(
        table=after.table,
        left=after.own,
        others_before=before and before.others,
        others_after=after.others,
        fingerprint_before=before and before.fingerprint,
        fingerprint_after=after.fingerprint,
        kept=after.kept,
    )


VERIFY = """\
How to check this certificate. Save all files of this folder into one folder, open a terminal there, and paste.

1. The file is the one that the announcement of the account's end names (its certificate_sha256). Expect "OK".

   echo "{sha256}  {name}" | sha256sum -c

   On macOS: echo "{sha256}  {name}" | shasum -a 256 -c

2. It was signed by the key {key_id}. Expect 'Good "offramp" signature'.

   ssh-keygen -Y verify -O verify-time={time} -f allowed_signers -I offramp -n offramp \
-s {name}.sshsig < {name}

Below OpenSSH 9.1, leave out -O verify-time={time}.

3. It was signed a second time, by another method and another tool. Expect "Verified OK".

   openssl dgst -sha256 -verify signing.pub.pem -signature {name}.sig {name}

4. {paper} says the same for people. Its text names the digest of {name}. Expect a line with it.

   pdftotext {paper} - | grep {sha256}

5. It carries a signature of its own. Expect "Signature is Valid" and "Total document signed".

   pdfsig -nocert {paper}

6. That signature is by a key for which a published root vouches. Expect "verification successful".

   set -- $(grep -ao '/ByteRange \\[[0-9 ]*' {paper} | tr -dc '0-9 '); (head -c $2 {paper}; tail -c $4 {paper}) > signed
   pdfsig -dump {paper}
   openssl cms -verify -binary -inform DER -in {paper}.sig0 -content signed -CAfile paper_roots.pem \
-purpose any -attime {at} -out /dev/null

allowed_signers, signing.pub.pem and paper_roots.pem lie beside the certificate for convenience. Whoever could replace
the certificate could replace them too: compare them with those that were published elsewhere, or use those instead.

With offramp all of that, the chain of the journal and the second stage are checked at once. Expect exit code 0.

   offramp verify {name}
"""

VERIFY_NO_STAMP = """
There is no timestamp by a third party (RFC 3161): when it was signed is the word of whoever holds the keys.
"""

VERIFY_STAMP = """
The signature in {paper} has a timestamp by a third party (RFC 3161), whose roots are in timestamp_roots.pem: it was
made at that moment at the latest. offramp verify checks it, and so does Acrobat.
"""

VERIFY_ADDENDUM = """
This is an addendum to a certificate, whose files lie in the folder above. Its digest is in first_sha256. Expect "OK".

   echo "$(jq -r .first_sha256 addendum.json)  ../certificate.json" | sha256sum -c
"""

VERIFY_SECOND = """
This is the second certificate. It speaks of the first, whose files lie in the folder above. Expect "OK".

   echo "$(jq -r .first_sha256 {name})  ../certificate.json" | sha256sum -c
"""

_BESIDES = {SECOND_NAME: VERIFY_SECOND, "addendum.json": VERIFY_ADDENDUM}
