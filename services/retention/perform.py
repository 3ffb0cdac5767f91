"""What the retention service has done outside: reading the holders before and after, and the signed certificate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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
from shared.signing.allowed import ssh_time
from shared.signing.signer import Signer
from shared.store_faults import ObjectMissingError, StoreRefusalError

from .certificate import (
    NAME,
    SECOND_NAME,
    NotProvenError,
    certificate_of,
    document,
    folder,
    second_document,
    verify_text,
)
from .dues import Dues
from .reading import Reader, Reading
from .tasks import (
    Certified,
    Certify,
    CertifyFailed,
    Check,
    Checked,
    CheckFailed,
    HolderReading,
    ProofTask,
    Survey,
    Surveyed,
    SurveyFailed,
    TableReading,
    Upgrade,
    Upgraded,
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where certificates are kept, and the folder of the *keys* that sign them."""

    s3: S3
    bucket: str
    keys: Path


class UnreadableError(Exception):
    """A holder can't be read as declared, and waiting doesn't help; *reason* is a word for the outcome."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(says)
        self.reason = reason


def performances(reader: Reader, dues: Dues, shelf: Shelf) -> tuple[Performance, ...]:
    """Tell how each task of the service is performed."""
    return (
        Performance(Survey, partial(survey, reader, dues)),
        Performance(Check, partial(check, reader)),
        Performance(Certify, partial(certify, shelf)),
        Performance(Upgrade, partial(upgrade, shelf)),
    )


async def survey(reader: Reader, dues: Dues, task: Survey, attempt: Attempt) -> Surveyed | SurveyFailed:
    """Read every declared holder as it stands before the deletion; an outage is raised, and tried again."""
    try:
        readings = _declared(await reader.before(task.customer_id))
    except (UnreadableError, OperatorError, StoreRefusalError) as error:
        return SurveyFailed(**_step(task), reason=_told("survey", task, error))
    rows = sum(table.own for reading in readings for table in reading.tables)
    load = await dues.count(task, rows, attempt.clock())
    return Surveyed(
        **_step(task), readings=readings, due=load.due, customers=load.customers, usual_rows=load.usual_rows
    )


async def check(reader: Reader, task: Check, _: Attempt) -> Checked | CheckFailed:
    """Read every declared holder by another path than the deletion's; an outage is raised, and tried again."""
    try:
        held = {one.holder: one.keep for one in task.held}
        readings = _declared(await reader.after(task.customer_id, held))
    except (UnreadableError, OperatorError, StoreRefusalError, RefusedError) as error:
        return CheckFailed(**_step(task), reason=_told("check", task, error))
    return Checked(**_step(task), readings=readings)


async def certify(shelf: Shelf, task: Certify, _: Attempt) -> Certified | CertifyFailed:
    """Write, sign and store the certificate; done again it makes the same files at the same place.

    Raises KeysError or StoreError, to be tried again: a deletion that is done must get its certificate.
    """
    try:
        certificate = document(certificate_of(task))
    except NotProvenError as error:
        return CertifyFailed(**_step(task), reason=_told("certificate", task, error))
    beside = folder(task.customer_id, task.deletion_id)
    place, sha256 = await _shelve(shelf, beside, NAME, certificate, task.checked_at)
    return Certified(**_step(task), certificate=place, certificate_sha256=sha256)


async def upgrade(shelf: Shelf, task: Upgrade, _: Attempt) -> Upgraded:
    """Write, sign and store the second certificate in a folder of its own beside the first one's files.

    Raises KeysError or StoreError, to be tried again.
    """
    beside = f"{folder(task.customer_id, task.deletion_id)}/upgrade"
    last = max(copy.expires_at for copy in task.copies)
    place, sha256 = await _shelve(shelf, beside, SECOND_NAME, second_document(task), last)
    return Upgraded(**_step(task), certificate=place, certificate_sha256=sha256)


async def _shelve(shelf: Shelf, place: str, name: str, body: bytes, at: datetime) -> tuple[str, str]:
    """Sign *body* and store it with all that is needed to check it; give its place and its SHA-256.

    *at* is the moment that *body* names, for which the key has to count; not ours, so that a second try is no news.
    """
    # The keys are read each time, since an operator may have rotated them.
    signer = Signer.load(shelf.keys)
    sha256 = hashlib.sha256(body).hexdigest()
    async with ObjectStore(shelf.s3) as store:
        for file, content in _files(name, body, signer, at).items():
            await _keep(store, shelf.bucket, f"{place}/{file}", content)
    return f"s3://{shelf.bucket}/{place}/{name}", sha256


def _files(name: str, certificate: bytes, signer: Signer, at: datetime) -> dict[str, bytes]:
    """Give all files of a certificate; itself comes last, so that whoever sees it can check it."""
    signed = signer.sign(certificate, at)
    return {
        "allowed_signers": signer.allowed_signers,
        "signing.pub.pem": signer.public_pem,
        "VERIFY.txt": verify_text(hashlib.sha256(certificate).hexdigest(), signed.key_id, ssh_time(at), name),
        f"{name}.sshsig": signed.sshsig,
        f"{name}.sig": signed.ecdsa,
        name: certificate,
    }


async def _keep(store: ObjectStore, bucket: str, key: str, body: bytes) -> None:
    # What is there already is left alone: a second try makes no second version.
    try:
        if await store.get(bucket, key) == body:
            return
    except ObjectMissingError:
        pass
    await store.put(bucket, key, body, "application/json" if key.endswith(".json") else "application/octet-stream")


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
                )
                for one in reading.seen
            ),
            map_sha256=reading.map_sha256,
        )
        for reading in readings
    )


def _step(task: ProofTask) -> dict[str, Any]:
    return {"customer_id": task.customer_id, "deletion_id": task.deletion_id, "attempt": task.attempt}


def _told(step: str, task: ProofTask, error: Exception) -> str:
    """Say to the operator what the outcome has no room for, and give the word that it has."""
    reason = error.reason if isinstance(error, (UnreadableError, NotProvenError)) else "unreadable"
    _log.error(f"the {step} can't be made", customer=task.customer_id, reason=reason, says=str(error))
    return reason
