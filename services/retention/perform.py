"""What the retention service has done outside: reading the holders before and after, and the signed certificate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from shared.datamap.names import reported
from shared.errors import OperatorError
from shared.holder.right import RefusedError
from shared.objects import ObjectStore
from shared.performer import Attempt, Performance
from shared.settings import S3
from shared.signing.moments import ssh_time
from shared.signing.paperkeys import ROOTS, TIMESTAMP_ROOTS, PaperKeys
from shared.signing.signer import Signer
from shared.store_faults import ObjectMissingError, StoreRefusalError

from . import called
from .addendum import addendum_document, addendum_folder
from .certificate import NAME, certificate_of, document, folder
from .dues import Dues
from .gathered import Gathered
from .press import Order, Press, Printed
from .proving import NotProvenError
from .reading import Reader, Reading
from .tasks import (
    Amend,
    Certified,
    Certify,
    CertifyFailed,
    Check,
    Checked,
    CheckFailed,
    EmptiedColumns,
    HolderReading,
    Mention,
    ProofTask,
    Searched,
    Survey,
    Surveyed,
    SurveyFailed,
    TableReading,
    Upgrade,
    Upgraded,
)
from .upgrade import second_document
from .verifying import ADDENDUM_NAME, SECOND_NAME, Asked, verify_text
from .words import Tongue, tongue

_log = structlog.get_logger()
# Side by side: what each reads was read for all of them, and what it writes is written with the others'.
SURVEYS = 200
_TYPES = {"json": "application/json", "pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where certificates are kept, the folder of the *keys* that sign them, and what prints them.

    *authority* is the URL that timestamps (RFC 3161) are asked of, if they are.
    """

    s3: S3
    bucket: str
    keys: Path
    authority: str | None = None
    press: Press = field(default_factory=Press)


class UnreadableError(Exception):
    """A holder can't be read as declared, and waiting doesn't help; *reason* is a word for the outcome."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(says)
        self.reason = reason


def performances(reader: Reader, dues: Dues, shelf: Shelf) -> tuple[Performance, ...]:
    """Tell how each task of the service is performed."""
    return (
        Performance(Survey, partial(survey, Gathered(reader, dues), dues), places=SURVEYS),
        Performance(Check, partial(check, reader)),
        Performance(Certify, partial(certify, shelf)),
        Performance(Amend, partial(amend, shelf)),
        Performance(Upgrade, partial(upgrade, shelf)),
    )


async def survey(reader: Gathered, dues: Dues, task: Survey, attempt: Attempt) -> Surveyed | SurveyFailed:
    """Read every declared holder as it stands before the deletion; an outage is raised, and tried again."""
    try:
        read = await reader.before(task, attempt)
        readings = _declared(read)
    except (UnreadableError, OperatorError, StoreRefusalError) as error:
        return SurveyFailed(**_step(task), reason=_told("survey", task, error))
    rows = sum(table.own for reading in readings for table in reading.tables)
    await called.note(dues.dsn, task, read)
    load = await dues.count(task, rows, attempt.clock(), attempt.id)
    return Surveyed(
        **_step(task), readings=readings, due=load.due, customers=load.customers, usual_rows=load.usual_rows
    )


async def check(reader: Reader, task: Check, attempt: Attempt) -> Checked | CheckFailed:
    """Read every declared holder by another path than the deletion's; an outage is raised, and tried again."""
    try:
        held = {one.holder: one.keep for one in task.held}
        methods = {one.holder: one.tables[0].method for one in task.before if one.tables}
        names = await called.known(reader.settings.dsn("retention"), task)
        readings = _declared(await reader.after(task.customer_id, attempt.clock(), held, methods, names))
    except (UnreadableError, OperatorError, StoreRefusalError, RefusedError) as error:
        return CheckFailed(**_step(task), reason=_told("check", task, error))
    return Checked(**_step(task), readings=readings)


async def certify(shelf: Shelf, task: Certify, attempt: Attempt) -> Certified | CertifyFailed:
    """Write, sign and store the certificate; done again it makes the same files at the same place.

    Raises KeysError, StoreError or what the press raises, to be tried again: a deletion that is done must get its
    certificate.
    """
    try:
        certificate = document(certificate_of(task))
    except NotProvenError as error:
        return CertifyFailed(**_step(task), reason=_told("certificate", task, error))
    beside = folder(task.customer_id, task.deletion_id)
    named = Named(NAME, certificate, task.checked_at, tongue(task.language))
    place, sha256 = await _shelve(shelf, beside, named, attempt.clock())
    return Certified(**_step(task), certificate=place, certificate_sha256=sha256)


async def amend(shelf: Shelf, task: Amend, attempt: Attempt) -> Certified | CertifyFailed:
    """Write, sign and store the addendum in a folder of its own beside the files of the certificate that it is to.

    Raises KeysError, StoreError or what the press raises, to be tried again.
    """
    try:
        body = addendum_document(task)
    except NotProvenError as error:
        return CertifyFailed(**_step(task), reason=_told("addendum", task, error))
    beside = addendum_folder(folder(task.customer_id, task.first.deletion_id), task.number)
    named = Named(ADDENDUM_NAME, body, task.checked_at, tongue(task.language))
    place, sha256 = await _shelve(shelf, beside, named, attempt.clock())
    return Certified(**_step(task), certificate=place, certificate_sha256=sha256)


async def upgrade(shelf: Shelf, task: Upgrade, attempt: Attempt) -> Upgraded:
    """Write, sign and store the second certificate in a folder of its own beside the first one's files.

    Raises KeysError, StoreError or what the press raises, to be tried again.
    """
    beside = f"{folder(task.customer_id, task.deletion_id)}/upgrade"
    last = max(copy.expires_at for copy in task.copies)
    named = Named(SECOND_NAME, second_document(task), last, tongue(task.language))
    place, sha256 = await _shelve(shelf, beside, named, attempt.clock())
    return Upgraded(**_step(task), certificate=place, certificate_sha256=sha256)


@dataclass(frozen=True, slots=True)
class Named:
    """A JSON *body* to be stored as *name*, with a paper in *language*.

    *at* is the moment that it names, for which the key has to count; not ours, so that a second try is no news.
    """

    name: str
    body: bytes
    at: datetime
    language: Tongue

    @property
    def sha256(self) -> str:
        """Give its digest in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def paper(self) -> str:
        """Name its paper."""
        return f"{self.name.removesuffix('.json')}.pdf"


async def _shelve(shelf: Shelf, place: str, named: Named, now: datetime) -> tuple[str, str]:
    """Sign *named* and store it with all that is needed to check it; give its place and its SHA-256."""
    # The keys are read each time, since an operator may have rotated them.
    signer, keys = Signer.load(shelf.keys), PaperKeys.load(shelf.keys)
    async with ObjectStore(shelf.s3) as store:
        kept = await _stored(store, shelf.bucket, f"{place}/{named.paper}")
        order = Order(named.body, named.name, named.sha256, named.language, named.at, now, keys, shelf.authority, kept)
        printed = await shelf.press.printed(order)
        for file, content in _files(named, signer, keys, printed).items():
            await _keep(store, shelf.bucket, f"{place}/{file}", content)
    return f"s3://{shelf.bucket}/{place}/{named.name}", named.sha256


def _files(named: Named, signer: Signer, keys: PaperKeys, printed: Printed) -> dict[str, bytes]:
    """Give all files of a certificate; itself comes last, so that whoever sees it can check it."""
    signed, name = signer.sign(named.body, named.at), named.name
    asked = Asked(named.sha256, signed.key_id, ssh_time(named.at), name, named.paper, printed.signed_at)
    return {
        "allowed_signers": signer.allowed_signers,
        "signing.pub.pem": signer.public_pem,
        ROOTS: keys.roots,
        **({TIMESTAMP_ROOTS: keys.timestamp_roots} if keys.timestamp_roots else {}),
        "VERIFY.txt": verify_text(asked, stamped=bool(keys.timestamp_roots)),
        named.paper: printed.body,
        f"{name}.sshsig": signed.sshsig,
        f"{name}.sig": signed.ecdsa,
        name: named.body,
    }


async def _keep(store: ObjectStore, bucket: str, key: str, body: bytes) -> None:
    # What is there already is left alone: a second try makes no second version.
    if await _stored(store, bucket, key) != body:
        await store.put(bucket, key, body, _TYPES.get(key.rpartition(".")[2], "application/octet-stream"))


async def _stored(store: ObjectStore, bucket: str, key: str) -> bytes | None:
    try:
        return await store.get(bucket, key)
    except ObjectMissingError:
        return None


def _declared(readings: tuple[Reading, ...]) -> tuple[HolderReading, ...]:
    undeclared = [f"{reading.holder}: {table}" for reading in readings for table in reading.undeclared]
    if undeclared:
        raise UnreadableError("not_declared", f"the map does not cover what is there: {', '.join(undeclared)}")
    return tuple(
        HolderReading(
            holder=reading.holder,
            tables=tuple(
                TableReading(
                    table=reported(one.table),
                    own=one.own,
                    others=one.others,
                    fingerprint=one.fingerprint,
                    category=one.category,
                    kept=one.kept,
                    objects=one.objects,
                    shared=one.shared,
                    method=reading.method,
                )
                for one in reading.seen
            ),
            map_sha256=reading.map_sha256,
            retained=reading.retained,
            emptied=tuple(EmptiedColumns(table=table, columns=columns) for table, columns in reading.emptied),
            searched=_searched(reading),
        )
        for reading in readings
    )


def _searched(reading: Reading) -> Searched | None:
    if reading.search is None or reading.sought is None:
        return None
    stops = tuple(
        Mention(table=reported(one.table), column=reported(one.column), rows=one.rows)
        for one in reading.search.mentions
        if one.stops
    )
    for one in stops:
        _log.error("an id of the customer's stands where nobody's rows are", holder=reading.holder, **one.model_dump())
    passed_over = tuple(reported(table) for table in reading.search.passed_over)
    return Searched(
        columns=reading.search.columns,
        passed_over=passed_over,
        mentions=stops,
        identifiers=len(reading.sought.identifiers),
        left_out=reading.sought.left_out,
        others_unknown=reading.sought.others_unknown,
    )


def _step(task: ProofTask) -> dict[str, Any]:
    return {"customer_id": task.customer_id, "deletion_id": task.deletion_id, "attempt": task.attempt}


def _told(step: str, task: ProofTask, error: Exception) -> str:
    """Say to the operator what the outcome has no room for, and give the word that it has."""
    reason = error.reason if isinstance(error, (UnreadableError, NotProvenError)) else "unreadable"
    _log.error(f"the {step} can't be made", customer=task.customer_id, reason=reason, says=str(error))
    return reason
