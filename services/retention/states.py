"""What the retention service remembers of a customer, and how far the case is: thirteen states and what is known."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from shared.contracts import Contracts
from shared.holds import Holds
from shared.window import Window
from shared.windowchanges import Changes

from .journal import Journal

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


class Verdict(Struct, frozen=True):
    """What the exporter found at *compared_at*, when it compared an export with what there was: whether it *holds*."""

    export_id: str
    sha256: str
    compared_at: datetime
    holds: bool


class Promise(Struct, frozen=True):
    """The date that the customer was last told of for *name*, by which announcement; without *due_at*: it's off.

    It was told after the contracts had ended at *of* (UTC); None: by a release that didn't note it.
    """

    name: Literal["window_closes", "deletion"]
    last_day: date
    due_at: datetime | None
    announcement_id: str
    told_at: datetime
    of: datetime | None = None

    def past(self, now: datetime) -> bool:
        """Tell whether its date has come."""
        return self.due_at is not None and self.due_at <= now

    def stands(self, opens_at: datetime) -> bool:
        """Tell whether it says when something comes of the end of the contracts at *opens_at*, and of no other end."""
        return self.due_at is not None and self.of in (None, opens_at)


class Ready(Struct, frozen=True):
    """An export that was ready at *snapshot_at*, and how many rows of each table were in it.

    The last of *tables* counts all objects; *objects* those of each bucket, unless an exporter didn't tell.
    """

    export_id: str
    sha256: str
    snapshot_at: datetime
    tables: tuple[Rows, ...]
    objects: tuple[Rows, ...] = ()


class Approval(Struct, frozen=True):
    """A second person let a deletion of so many *rows* go on, *in_spite_of* what made it wait, or by other *maps*."""

    deletion_id: str
    in_spite_of: tuple[str, ...]
    rows: int
    requested_by: str
    approved_by: str
    approved_at: datetime
    maps: tuple[tuple[str, str], ...] = ()


class Expiring(Struct, frozen=True):
    """A certified deletion of which *copies* (name, of which holder, until when) are still to expire.

    The second certificate is made at *due_at*; None while it is being made, for the *attempt*-th time.
    """

    deletion_id: str
    certificate: str
    certificate_sha256: str
    copies: tuple[tuple[str, str, datetime], ...]
    due_at: datetime | None
    attempt: int = 0


class RetainedRows(Struct, frozen=True, array_like=True):
    """Rows of a table at a holder that the law cited as *basis* keeps to the end of the day *until*."""

    holder: str
    table: str
    basis: str
    until: date
    rows: int


class Retained(Struct, frozen=True):
    """What laws keep of a deletion that was certified, and what its *addenda*-th addendum has left of that.

    *due_at*: when the first of it is to go. *came_back*: a contract came since, so that nobody can tell its rows from
    those; they go, or stay, with the deletion after it, whose certificate names this one. *told*: an operator knows
    that they stay for longer than the law asks for, since that contract goes on.
    """

    deletion_id: str
    certificate: str
    certificate_sha256: str
    rows: tuple[RetainedRows, ...]
    due_at: datetime
    addenda: int = 0
    came_back: bool = False
    told: bool = False


class Known(Struct, frozen=True):
    """What is known of the customer, however far the case is.

    *window_days*, *policy_version*: by which the window under way is counted; 0 and "" while there is none.
    *decided_at*: the latest moment at which anything was decided, by which a clock that went back is noticed.
    *verdicts*: of each export whose confirmation was looked at, the last one.
    *attempts*: how many steps of proof were ordered, so that an outcome of an earlier one is told apart.
    *closed*: the deletions that were certified. *given_up*: those that were begun and whose customer came back, so that
    one that begins anew has another name, and no answer or approval of theirs counts for it.
    *unanswered*: the holds that are owed another answer.
    *reviewed*: the holds of whose review an operator was told.
    *retained*: what laws still keep, whatever becomes of the customer. *uncompared*: the requests for early deletion of
    which an operator was told that the exporter's second comparison hasn't come. *asked_anew*: the words of a second
    person by which holders were commanded again; each counts for that alone, and once.
    """

    customer_id: str = ""
    contracts: Contracts = ()
    holds: Holds = ()
    changes: Changes = ()
    window_days: int = 0
    policy_version: str = ""
    told: tuple[str, ...] = ()
    promised: tuple[Promise, ...] = ()
    informed: tuple[Informed, ...] = ()
    ready: tuple[Ready, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    early_asked: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
    attempts: int = 0
    decided_at: datetime | None = None
    closed: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    reviewed: tuple[str, ...] = ()
    expiring: tuple[Expiring, ...] = ()
    retained: Retained | None = None
    uncompared: tuple[str, ...] = ()
    asked_anew: tuple[Approval, ...] = ()
    journal: Journal = Journal()


class Load(Struct, frozen=True):
    """How much there is to delete these days: *due* customers within a day, of *customers* in all.

    *usual_rows*: the median of what former deletions deleted; None while there were too few to tell.
    """

    due: int
    customers: int
    usual_rows: int | None


class Seen(Struct, frozen=True, array_like=True):
    """One table at one holder as a survey or a check saw it; *category* as its data map says, if it says.

    *kept* rows of the customer's are covered by holds, or needed by such; they are not among its *own*. Of a bucket,
    *objects* of the customer's could be read, and *shared* besides; None: it is a table, or a release didn't note it.
    *method* is how the rows of a table were hashed, as ``TableReading`` says.
    """

    holder: str
    table: str
    own: int
    others: int
    fingerprint: str
    category: str = ""
    kept: int = 0
    objects: int | None = None
    shared: int = 0
    method: Literal[1, 2] = 1


class Holder(Struct, frozen=True, omit_defaults=True):
    """A holder and the command to it, given *sent* times.

    *asked*: it has until *due* to answer. *late* or *refused*: the command is given again when *due*, or, without
    one, not before an operator has looked. *erased*: it answered well; *kept*: so it did, but for what holds keep;
    *retained*: but for what nothing but a law keeps.
    *deleted* sums up all its answers that stand; *doubted* those that the check found otherwise.
    """

    name: str
    status: Literal["asked", "late", "refused", "kept", "retained", "erased"]
    sent: int
    commanded_at: datetime
    due: datetime | None = None
    reason: str = ""
    answered_at: datetime | None = None
    deleted: tuple[Rows, ...] = ()
    remaining: tuple[Rows, ...] = ()
    bystanders: tuple[Bystander, ...] = ()
    # What it kept, in all, by hold, by law and its last day, and what these rows need; and how many it emptied.
    kept: tuple[Rows, ...] = ()
    held: tuple[tuple[str, str, int], ...] = ()
    retained: tuple[RetainedRows, ...] = ()
    needed: tuple[Rows, ...] = ()
    minimised: tuple[Rows, ...] = ()
    # The holds of which its last command told.
    told: tuple[str, ...] = ()
    # What stays since others' rows refer to it too; where it compared some of the others' only; and how many batches
    # had gone before it compared.
    shared: tuple[Rows, ...] = ()
    sampled: tuple[str, ...] = ()
    accounted: int = 0
    # Comparisons of others' rows, of any of its answers, that were not equal.
    differed: tuple[Bystander, ...] = ()
    # The data map that it says it runs, where that wasn't the one which its command named.
    runs: str = ""
    # When it gave the last answer that was counted: told once more it is no answer to another command, and counts once.
    heard: datetime | None = None
    # When it gave the answer that the check found otherwise: of that, and of any before it, nothing counts any more.
    disputed: datetime | None = None
    # What the answers up to then said to have deleted: it counts only as far as the check shows it.
    doubted: tuple[Rows, ...] = ()
    # Of which tables it said then to keep so many rows, of which the check found fewer.
    vouched: tuple[Rows, ...] = ()


class Proposed(Struct, frozen=True):
    """What was *seen* when it was read anew, by data *maps* of which some are others: nobody has approved it yet."""

    seen: tuple[Seen, ...]
    maps: tuple[tuple[str, str], ...]


class Deletion(Struct, frozen=True):
    """A deletion under way: what was *before*, by which data *maps* that was read, and how far each holder is.

    *proposed* is by other maps, and waits for a second person. *emptied*: of which tables at which holders the check
    found which columns emptied in the rows that a law keeps. *searched*: at which holders the check looked for the
    customer's ids in how many columns, and which tables it passed over; *sought*: for how many ids, how many of those
    known it left out, and whether there may be others.
    """

    deletion_id: str
    window: Window
    before: tuple[Seen, ...]
    holders: tuple[Holder, ...]
    maps: tuple[tuple[str, str], ...] = ()
    proposed: Proposed | None = None
    emptied: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    searched: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    sought: tuple[tuple[str, int, int, bool], ...] = ()


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
    """What there is is read before the deletion; what follows is decided on the next waking, by what was *seen*."""

    known: Known
    window: Window
    seen: tuple[Seen, ...] = ()
    maps: tuple[tuple[str, str], ...] = ()
    load: Load | None = None
    wakes_at: datetime | None = None


class Awaiting(Struct, frozen=True, tag_field="kind", tag="awaiting"):
    """The window has closed and nothing holds, but *missing* stands against the deletion: nothing is commanded.

    Until *wakes_at* there is still time to hear that the customer was told; then an operator decides, and was asked
    *tries* times.
    """

    known: Known
    window: Window
    seen: tuple[Seen, ...]
    maps: tuple[tuple[str, str], ...]
    load: Load
    missing: tuple[str, ...]
    tries: int = 0
    wakes_at: datetime | None = None


class Deleting(Struct, frozen=True, tag_field="kind", tag="deleting"):
    """Every holder is commanded, and those that haven't answered are in time (P7)."""

    known: Known
    deletion: Deletion


class Checking(Struct, frozen=True, tag_field="kind", tag="checking"):
    """Every holder has answered well; whether it is true is looked at by another way."""

    known: Known
    deletion: Deletion


class Keeping(Struct, frozen=True, tag_field="kind", tag="keeping"):
    """All is gone but what holds keep, and that was looked at (P8); the rest goes when they are over."""

    known: Known
    deletion: Deletion
    after: tuple[Seen, ...]
    checked_at: datetime


class Certifying(Struct, frozen=True, tag_field="kind", tag="certifying"):
    """All is gone but what laws keep, and the certificate, or an addendum to it, is being made (P11)."""

    known: Known
    deletion: Deletion
    after: tuple[Seen, ...]
    checked_at: datetime


class Retaining(Struct, frozen=True, tag_field="kind", tag="retaining"):
    """The account is closed, and what laws keep waits for its time: it is in what is *known*."""

    known: Known
    window: Window
    deletion_id: str
    closed_at: datetime
    # What each holder deleted, for a hold that comes too late for it.
    deleted: tuple[tuple[str, tuple[Rows, ...]], ...] = ()


class Closed(Struct, frozen=True, tag_field="kind", tag="closed"):
    """The end (P11)."""

    known: Known
    window: Window
    deletion_id: str
    certificate: str
    certificate_sha256: str
    closed_at: datetime
    # What each holder deleted, for a hold that comes too late for it.
    deleted: tuple[tuple[str, tuple[Rows, ...]], ...] = ()


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
    # Who says that it keeps other rows than the check found: it is commanded again when a second person says so.
    disputed: tuple[str, ...] = ()


State: TypeAlias = (
    Unknown
    | Serving
    | InWindow
    | Held
    | Surveying
    | Awaiting
    | Deleting
    | Checking
    | Keeping
    | Certifying
    | Retaining
    | Closed
    | Stalled
)
# Of these there is a window; what it was is theirs to say.
Ended: TypeAlias = (
    InWindow | Held | Surveying | Awaiting | Deleting | Checking | Keeping | Certifying | Retaining | Closed | Stalled
)


def window_of_state(state: Ended) -> Window:
    """Give the window that *state* is about."""
    return state.deletion.window if isinstance(state, Deleting | Checking | Keeping | Certifying) else state.window
