"""What the retention service has done for it, and what comes back: survey, check, certificate."""

from __future__ import annotations

from typing import Literal

from shared.decision import Outcome, Task
from shared.events.platform import CustomerInformed, ExportConfirmed, HolderMap, RetainedRows
from shared.events.retention import Keep
from shared.events.vocabulary import (
    Citation,
    Code,
    Count,
    Day,
    Fingerprint,
    Language,
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


class TableReading(Value):
    """One table or bucket as it stands: *own* rows of the customer; everybody *others'*, and their fingerprint.

    *kept* are the customer's too, but holds cover them, or covered rows need them. Of a bucket, in which these are
    versions, *objects* are how many of the customer's can be read, and *shared* how many besides which others' rows
    refer to as well. *method* is how the rows of a table were written to be hashed (``shared.datamap.fingerprint``);
    what a former release read doesn't tell, and was by 1.
    """

    table: TableName
    own: Count
    others: Count
    fingerprint: Fingerprint
    category: Code | None = None
    kept: Count = 0
    objects: Count | None = None
    shared: Count = 0
    method: Literal[1, 2] = 1


class EmptiedColumns(Value):
    """Columns that are empty in what a law keeps of *table*, as the data map says."""

    table: TableName
    columns: tuple[TableName, ...]


class Mention(Value):
    """Rows of *table* that are nobody's, in whose *column* an id of the customer's stands."""

    table: TableName
    column: TableName
    rows: Positive


class Searched(Value):
    """The customer's ids were looked for in so many *columns*, but not in tables *passed_over*, as the map says why.

    These are *identifiers* of those by which it goes; *left_out* others could be anything or are another's, too. There
    may be more where the *others* are *unknown*: a release before this one didn't read them.
    """

    columns: Count
    passed_over: tuple[TableName, ...] = ()
    mentions: tuple[Mention, ...] = ()
    identifiers: Positive = 1
    left_out: Count = 0
    others_unknown: bool = True


class HolderReading(Value):
    """What was read at one holder, by which data map; of a check, what laws keep there, and what of it is emptied.

    *searched* is None where no id was looked for.
    """

    holder: Code
    tables: tuple[TableReading, ...]
    map_sha256: Sha256 | None = None
    retained: tuple[RetainedRows, ...] = ()
    emptied: tuple[EmptiedColumns, ...] = ()
    searched: Searched | None = None


class RetainedPart(Value):
    """Rows of *table* at *holder* that the law cited as *basis* keeps to the end of the day *until*.

    *minimised* are the columns that were emptied in them.
    """

    holder: Code
    table: TableName
    basis: Citation
    until: Day
    rows: Count
    minimised: tuple[TableName, ...] = ()


class ContinuedPart(Value):
    """An earlier certificate: what it said that laws keep is part of what this one says."""

    deletion_id: Ref
    certificate: Place
    certificate_sha256: Sha256


class HeldAt(Value):
    """What holds keep at one holder."""

    holder: Code
    keep: tuple[Keep, ...]


class HolderAnswer(Value):
    """How one holder answered the command: the sums of all its answers, and the comparison of the last.

    *differed* are the comparisons of any of them in which others' rows were not equal. *disputed* is what answers said
    to have deleted that the check found otherwise; it is in *deleted* only as far as the check shows it.
    """

    holder: Code
    commanded_at: Moment
    answered_at: Moment
    deleted: tuple[TableCount, ...]
    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    shared: tuple[TableCount, ...] = ()
    sampled: tuple[TableName, ...] = ()
    accounted: Count = 0
    differed: tuple[TableFingerprint, ...] = ()
    kept: tuple[TableCount, ...] = ()
    needed: tuple[TableCount, ...] = ()
    minimised: tuple[TableCount, ...] = ()
    disputed: tuple[TableCount, ...] = ()


class HoldEvidence(Value):
    """A legal hold that there was, of everything or of a part; *ended_at* by its own end."""

    hold_id: Ref
    basis: Citation | None
    placed_at: Moment | None
    released_at: Moment | None
    scope: Literal["all", "category", "table", "person"] = "all"
    ended_at: Moment | None = None


class ApprovalEvidence(Value):
    """That a second person let the deletion go on in spite of what made it wait, or by other data *maps*.

    With *asked_anew* nothing passed by it: holders were commanded again whose answers the check had found otherwise.
    """

    in_spite_of: tuple[Code, ...]
    rows: Count
    requested_by: Ref
    approved_by: Ref
    approved_at: Moment
    maps: tuple[HolderMap, ...] = ()
    asked_anew: bool = False


class JournalEntry(Value):
    """One decision in the case: *seal* is over it and the seal before (docs/certificate.md)."""

    at: Moment
    given: TableName
    state: Code
    events: tuple[TableName, ...]
    seal: Sha256


class ExportEvidence(Value):
    """What the last export that was ready had in it: the last of *tables* counts all objects, *objects* by bucket.

    That is empty for an export by a release that didn't tell.
    """

    export_id: Ref
    sha256: Sha256
    snapshot_at: Moment
    tables: tuple[TableCount, ...]
    objects: tuple[TableCount, ...] = ()


class CopyToExpire(Value):
    """A copy *of* a holder's data that expires by itself, at the latest at *expires_at*."""

    copy_name: Code
    of: Code
    expires_at: Moment


class AccessEnded(Value):
    """That a service which keeps no data ended the customer's access."""

    holder: Code
    commanded_at: Moment
    answered_at: Moment


class ProofTask(Task):
    """A step of one deletion; *attempt* tells its outcome from that of an earlier try."""

    deletion_id: Ref
    attempt: Positive


class ProofOutcome(Outcome):
    """What became of a step; names the same deletion and attempt as its task."""

    deletion_id: Ref
    attempt: Positive


class Survey(ProofTask):
    """Read all *holders* as they stand before anything is deleted."""

    holders: tuple[Code, ...]


class Surveyed(ProofOutcome):
    """Every holder was read; *due*, of all *customers*, are to be deleted within a day.

    *usual_rows*: the median of what former deletions deleted; None while there were too few to tell.
    """

    readings: tuple[HolderReading, ...]
    due: Count
    customers: Count
    usual_rows: Count | None


class SurveyFailed(ProofOutcome):
    """Not every holder could be read, for good."""

    reason: Code


class Check(ProofTask):
    """Look, by another way than the holders', for what is left at *holders*; *before* is what was surveyed.

    What is *held* may be left.
    """

    holders: tuple[Code, ...]
    before: tuple[HolderReading, ...]
    held: tuple[HeldAt, ...] = ()


class Checked(ProofOutcome):
    """What was found: whether it is good enough is the domain's to say."""

    readings: tuple[HolderReading, ...]


class CheckFailed(ProofOutcome):
    """The check could not be made, for good."""

    reason: Code


class Certify(ProofTask):
    """Write and sign the certificate (P11) of a deletion that is complete, and store it."""

    terminated_at: Moment
    window_days: Positive
    window_closed_at: Moment
    policy_version: Ref
    answers: tuple[HolderAnswer, ...]
    before: tuple[HolderReading, ...]
    after: tuple[HolderReading, ...]
    checked_at: Moment
    holds: tuple[HoldEvidence, ...]
    informed: tuple[CustomerInformed, ...]
    confirmed: tuple[ExportConfirmed, ...]
    access_ended: tuple[AccessEnded, ...]
    approvals: tuple[ApprovalEvidence, ...]
    exported: ExportEvidence | None
    copies: tuple[CopyToExpire, ...]
    sub_processors: tuple[Code, ...]
    journal: tuple[JournalEntry, ...]
    language: Language | None = None
    retained: tuple[RetainedPart, ...] = ()
    continues: ContinuedPart | None = None


class Amend(ProofTask):
    """Write, sign and store the *number*-th addendum to a certificate, and store it beside that: what had its time.

    *gone* is what of the retained isn't there any more, *retained* what still waits.
    """

    number: Positive
    first: ContinuedPart
    answers: tuple[HolderAnswer, ...]
    before: tuple[HolderReading, ...]
    after: tuple[HolderReading, ...]
    checked_at: Moment
    holds: tuple[HoldEvidence, ...]
    approvals: tuple[ApprovalEvidence, ...]
    gone: tuple[RetainedPart, ...]
    retained: tuple[RetainedPart, ...]
    journal: tuple[JournalEntry, ...]
    language: Language | None = None


class Certified(ProofOutcome):
    """The certificate, or the addendum, is stored at *certificate*."""

    certificate: Place
    certificate_sha256: Sha256


class CertifyFailed(ProofOutcome):
    """The certificate could not be made, for good."""

    reason: Code


class Upgrade(ProofTask):
    """Write and sign the second certificate: the *copies* that the first one named have expired."""

    certificate: Place
    certificate_sha256: Sha256
    copies: tuple[CopyToExpire, ...]
    language: Language | None = None


class Upgraded(ProofOutcome):
    """The second certificate is stored at *certificate*."""

    certificate: Place
    certificate_sha256: Sha256
