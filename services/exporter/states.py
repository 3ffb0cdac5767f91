"""What the exporter remembers of a customer: its window, its archives, and how far their deletion is."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from shared.contracts import Contracts
from shared.holds import Holds
from shared.windowchanges import Changes


class Building(Struct, frozen=True):
    """An archive in the making; *until* is the end of the window in which it was asked for.

    *scope*, *formats*, *language*, *encrypt_to* and *volume_size* are those of the request. With *since*, the name of
    another export, it is to be a delta against that one.
    """

    request_id: str
    export_id: str
    attempt: int
    until: datetime
    scope: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    language: str = "en"
    encrypt_to: tuple[str, ...] = ()
    volume_size: int | None = None
    since: str = ""


class Accounted(Struct, frozen=True, array_like=True):
    """What a table, or all objects, came to in the snapshot of an archive."""

    place: str
    rows: int
    fingerprint: str


class Volume(Struct, frozen=True):
    """A file of an archive, in the *version* that was read back."""

    place: str
    sha256: str = ""
    version: str = ""


class Copy(Struct, frozen=True):
    """An archive that lies at *place*, in the *version* that was read back; none of what was built before it was kept.

    Of one in several volumes these are the last one's, whose *sha256* is so that of all; *before* are the others.
    *account* is that of its snapshot, by the data map *map_sha256* and of the *scope* that it holds; none of an archive
    that was built before accounts were kept. Nobody gets one that wasn't *announced* as ready: it came too late.
    *formats* and *language* are what was asked for, *encrypted* whether it was to be; None where that wasn't kept.
    """

    export_id: str
    place: str
    sha256: str = ""
    snapshot_at: datetime | None = None
    map_sha256: str = ""
    scope: tuple[str, ...] = ()
    account: tuple[Accounted, ...] = ()
    announced: bool = True
    version: str = ""
    before: tuple[Volume, ...] = ()
    formats: tuple[str, ...] | None = None
    language: str | None = None
    encrypted: bool | None = None

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Give all files of the archive, in order."""
        return (*self.before, Volume(self.place, self.sha256, self.version))


class Delta(Struct, frozen=True):
    """What lies there of a delta, which is complete only together with the archive *base_id*.

    It is a kind of its own, so that nothing takes it for an archive: it can be confirmed by nobody, nor be a base.
    """

    copy: Copy
    base_id: str


class Confirming(Struct, frozen=True):
    """A confirmation of *export_id* that is being compared with what there is now, by the how manieth *attempt*."""

    export_id: str
    confirmed_by: str
    attempt: int


class Revoking(Struct, frozen=True):
    """Links to *export_id* are being taken back, in the how manieth *attempt* at all; *request_id* who asked for it."""

    export_id: str
    request_id: str | None
    attempt: int


class Agreement(Struct, frozen=True):
    """Help with moving (P9) was agreed on, and perhaps withdrawn; which of the two was read first doesn't matter."""

    agreement_id: str
    agreed_at: datetime | None = None
    withdrawn_at: datetime | None = None


class Delivering(Struct, frozen=True):
    """*export_id* is being sent to *destination* for *request_id*, by the how manieth *attempt* at all."""

    export_id: str
    request_id: str
    destination: str
    attempt: int


class Verdict(Struct, frozen=True):
    """What the last comparison of *export_id* came to, at *compared_at*: whether its confirmation *holds*."""

    export_id: str
    confirmed_by: str
    compared_at: datetime
    holds: bool


class Known(Struct, frozen=True):
    """What is known of the customer, however far its archives' deletion is.

    *asked*: the requests that were taken on or answered. *expired_at*: the latest window's end that retention told, and
    *expired_from* the termination from which it was counted.
    *attempts*: how many deletions were ordered, so that the outcome of an earlier one is told apart.
    *confirming* are under comparison; of each export that was compared, *verdicts* has the last one.
    *agreements* are on help with moving, *delivering* is what is being sent because of one; *delivery_requests* were
    taken on or answered, *deliveries* of them ordered.
    *deltas* lie beside the *archives*, each announced only if its base was.
    *window_days*: by which the window under way is counted, whatever the policy says by now; 0 if it was never kept.
    """

    customer_id: str = ""
    contracts: Contracts = ()
    holds: Holds = ()
    expired_at: datetime | None = None
    expired_from: datetime | None = None
    changes: Changes = ()
    asked: tuple[str, ...] = ()
    building: tuple[Building, ...] = ()
    archives: tuple[Copy, ...] = ()
    attempts: int = 0
    window_days: int = 0
    confirming: tuple[Confirming, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    revoking: tuple[Revoking, ...] = ()
    revocations: int = 0
    agreements: tuple[Agreement, ...] = ()
    delivering: tuple[Delivering, ...] = ()
    delivery_requests: tuple[str, ...] = ()
    deliveries: int = 0
    deltas: tuple[Delta, ...] = ()

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Give all that lies there: archives, and what is complete only with one of them."""
        return (*self.archives, *(one.copy for one in self.deltas))


class Keeping(Struct, frozen=True, tag_field="kind", tag="keeping"):
    """Archives are built on request and kept."""

    known: Known = Known()


class Deleting(Struct, frozen=True, tag_field="kind", tag="deleting"):
    """The command to delete was taken on; what is *building*, *revoking* or *delivering* is waited for.

    The holds *elsewhere* were known by then, at *commanded_at*, not to concern the archives.
    """

    known: Known
    deletion_id: str
    window_closed_at: datetime
    elsewhere: tuple[str, ...] = ()
    commanded_at: datetime | None = None


class Erased(Struct, frozen=True, tag_field="kind", tag="erased"):
    """No archive is left, and none is made any more."""

    known: Known
    deletion_id: str
    window_closed_at: datetime


State: TypeAlias = Keeping | Deleting | Erased
