"""Opens the archive that a delta is to be made against, and refuses what isn't whole, ours, and the customer's."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shared.objects import ObjectStore
from shared.ranged import opened
from shared.store_faults import ObjectMissingError
from shared.verify.archive import Checked, PublicKeys, Verdict, Volume, checked_volumes, is_encrypted, volumes_of
from shared.verify.by_library import by_library
from shared.verify.in_store import NothingThereError, lying_at

from .delta import Since
from .faults import UnusableBaseError
from .names import bag_name

if TYPE_CHECKING:
    from shared.age.identity import Identity

_S3 = "s3://"
_FULL = "Make a full export instead"
_OF_SEVERAL = re.compile(r".+[.]vol[0-9]{3}[.]zip([.]age)?")


@asynccontextmanager
async def opened_base(
    place: str,
    store: ObjectStore,
    keys: PublicKeys,
    customer: str,
    export_id: str,
    now: datetime,
    identities: Sequence[Identity] = (),
) -> AsyncIterator[Since]:
    """Check the archive at *place*, a path or ``s3://bucket/key``, and keep it open for a delta of *customer*'s data.

    *keys* are our own published ones; *export_id* and *now* (UTC) are those of the delta; *identities* open what is
    encrypted, which is decrypted as it is read. Raises UnusableBaseError, which says why, or StoreError.
    """
    with ExitStack() as stack:
        files = await _in_store(place, store, stack) if place.startswith(_S3) else _in_folder(place, stack)
        encrypted = await asyncio.to_thread(is_encrypted, files[-1][1])
        if encrypted and not identities:
            raise _refused(place, "it is encrypted", "Name the file with the key to it: --identity KEY")
        key = identities if encrypted else ()
        volumes = [await _volume(place, name, file, key, stack) for name, file in files]
        since = await _since(place, volumes, keys, (customer, export_id, now), stack)
        yield replace(since, encrypted=encrypted)


@asynccontextmanager
async def kept_base(
    store: ObjectStore, lying: Sequence[Lying], keys: PublicKeys, customer: str, export_id: str, now: datetime
) -> AsyncIterator[Since]:
    """Check an archive of our own, whose volumes are *lying* in *store*, the last of them last, and keep it open.

    Each has to be what was announced. Raises as ``opened_base`` does.
    """
    with ExitStack() as stack:
        volumes = [await _announced(store, one, stack) for one in lying]
        yield await _since(lying[-1].place, volumes, keys, (customer, export_id, now), stack)


@dataclass(frozen=True, slots=True)
class Lying:
    """A file of an archive at *place*, ``s3://bucket/key``, and the SHA-256 that was announced of it."""

    place: str
    sha256: str


async def _announced(store: ObjectStore, one: Lying, stack: ExitStack) -> Volume:
    # Whichever version lies there now: links may have been taken back since, and its digest tells if it is the same.
    bucket, _, key = one.place.removeprefix(_S3).partition("/")
    try:
        there = await store.head(bucket, key)
    except ObjectMissingError as error:
        raise _refused(one.place, "nothing lies there", _FULL) from error
    file = stack.enter_context(opened(store, bucket, there))
    found = await asyncio.to_thread(_digest, file)
    if found != one.sha256:
        raise _refused(one.place, f"its SHA-256 is {found}, announced was {one.sha256}", _FULL)
    return Volume(key.rpartition("/")[2], file, found)


async def _volume(
    place: str, name: str, file: io.BufferedReader, identities: Sequence[Identity], stack: ExitStack
) -> Volume:
    """Give a file of the base to be read, by *identities* if it is encrypted; its digest is of what lies there."""
    digest = await asyncio.to_thread(_digest, file)
    inside = await asyncio.to_thread(_decrypted, place, name, file, identities) if identities else file
    return Volume(name, stack.enter_context(inside), digest)


def _decrypted(place: str, name: str, file: IO[bytes], identities: Sequence[Identity]) -> io.BufferedReader:
    # Loaded when used: the library is megabytes, which an export's memory is measured in.
    from shared.age.decrypted import NotForThisKeyError, decrypted  # noqa: PLC0415
    from shared.age.header import NotAgeError  # noqa: PLC0415

    try:
        return decrypted(file, identities, name)
    except NotForThisKeyError as error:
        raise _refused(place, "it is not encrypted for this key", "Name the file with the key to it") from error
    except (NotAgeError, OSError) as error:
        raise _refused(place, "it is not whole: it was altered or cut off, and doesn't open", _FULL) from error


async def _since(
    place: str, volumes: list[Volume], keys: PublicKeys, of: tuple[str, str, datetime], stack: ExitStack
) -> Since:
    checking = checked_volumes(volumes, published=keys, checker=by_library)
    checked = await asyncio.to_thread(stack.enter_context, checking)
    _judge(place, checked, *of)
    return Since(checked, several=_OF_SEVERAL.fullmatch(volumes[-1].name) is not None)


def _in_folder(place: str, stack: ExitStack) -> list[tuple[str, io.BufferedReader]]:
    try:
        # Opened here, so that closing them ends a thread that still reads.
        return [(path.name, stack.enter_context(path.open("rb"))) for path in volumes_of(Path(place))]
    except OSError as error:
        raise _refused(place, f"it can't be read: {error.strerror}", "Name the ZIP of an archive") from error


async def _in_store(place: str, store: ObjectStore, stack: ExitStack) -> list[tuple[str, io.BufferedReader]]:
    bucket, _, key = place.removeprefix(_S3).partition("/")
    if not bucket or not key:
        raise _refused(place, "it is no place of an object", "It is s3://bucket/key")
    try:
        found = await lying_at(store, place)
    except NothingThereError as error:
        raise _refused(place, "nothing lies there", "Name an archive that is there") from error
    return [(one.key.rpartition("/")[2], stack.enter_context(opened(store, bucket, one))) for one in found]


def _digest(file: io.BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _judge(place: str, checked: Checked, customer: str, export_id: str, now: datetime) -> None:
    verdict = checked.verdict
    if verdict.needs is not None:
        says = f"it is a delta itself, of {verdict.needs.export_id}"
        raise _refused(place, says, "Join the two first: offramp export join BASE DELTA --to FULL.zip")
    # Before what is wrong with its signature, which says the same in other words.
    if verdict.signature.state == "unsigned":
        raise _refused(place, "nobody signed it", "A delta is made only against an archive that is signed")
    if verdict.findings:
        raise _refused(place, _broken(verdict), "offramp verify tells all; make a full export instead")
    if verdict.customer != customer:
        raise _refused(place, f"it is of {verdict.customer}, not of {customer}", "Name an archive of the same customer")
    if bag_name(verdict.export_id) == bag_name(export_id):
        raise _refused(place, f"the delta would have its name, {export_id}", "Let --to name another one")
    if datetime.fromisoformat(verdict.snapshot_at) > now:
        raise _refused(place, f"it is of {verdict.snapshot_at}, which is later than now", "Look at the clock")


def _broken(verdict: Verdict) -> str:
    first, more = verdict.findings[0], len(verdict.findings) - 1
    others = f", and {more} things more" if more else ""
    return f"it is not whole: {first.kind}: {first.path}: {first.says}{others}"


def _refused(place: str, says: str, remedy: str) -> UnusableBaseError:
    return UnusableBaseError(f"--since {place}", says, remedy)
