"""Where ``offramp export`` puts an archive: a file or an object, or several of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from shared.errors import OperatorError
from shared.objects import ObjectStore
from shared.upload import nobody_else

from .archive.abandoned import claimed, largest
from .archive.build import Order
from .archive.going_on import is_gone_on_with
from .archive.in_store import InStore
from .archive.kept import Kept, KeptFile, KeptVolumes
from .archive.names import bag_name
from .archive.numbering import before_number, numbered, volume_of
from .archive.report import ArchiveReport
from .archive.sink import FileSink, no_room
from .archive.suffix import file_suffix
from .archive.volumes import Volume, Volumes

if TYPE_CHECKING:
    from .archive.earlier import Earlier

S3 = "s3://"
# Below this the ends of ZIPs would be most of it.
_SMALLEST = 1 << 16
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for; with *volume_size*, in bytes, it is to be in several files.

    Where *since* names an archive, only what that one hasn't is wanted; *identity* is a file with the key to it.
    """

    dsn: str
    order: Order
    to: str
    scratch: str | None
    volume_size: int | None = None
    since: str | None = None
    identity: Path | None = None


def bytes_of(size: str) -> int:
    """Read a size such as ``4GiB``; raises OperatorError."""
    found = re.fullmatch(r"([0-9]{1,15}) ?(KiB|MiB|GiB|TiB)?", size)
    count = int(found[1]) * _UNITS[found[2] or ""] if found else 0
    if count < _SMALLEST:
        raise OperatorError(f"--volume-size {size}: it is a number of bytes of at least 64KiB, such as 700MiB or 4GiB.")
    return count


@dataclass(frozen=True, slots=True)
class Placed:
    """The *sink* to write it to, how to read back what is *kept*, and what an *earlier* try left in the folder."""

    sink: Volume | Volumes
    kept: Kept | KeptVolumes
    earlier: Earlier | None = None


async def placed(asked: Asked, store: ObjectStore) -> Placed:
    """Give where to write it, and how to read it back."""
    if not asked.to.startswith(S3):
        return _in_folder(asked)
    bucket, _, key = asked.to.removeprefix(S3).partition("/")
    if not bucket or not key:
        raise OperatorError(f"--to {asked.to}: an object's place is s3://bucket/key.")
    if asked.volume_size is not None:
        if not key.endswith((".zip", ".zip.age")):
            raise OperatorError(f"--to {asked.to}: with --volume-size it ends with .zip, before which numbers are put.")
        await _nothing_there(asked, store)
    place = InStore(store, bucket, key, asked.volume_size, nobody_else)
    return Placed(place.sink(asked.order.encryption, _told), place.kept)


def _in_folder(asked: Asked) -> Placed:
    suffix = file_suffix(encrypted=asked.order.encryption is not None)
    path = Path(asked.to) / f"{bag_name(asked.order.export_id)}{suffix}"
    earlier = _earlier(path.parent, asked.order.customer)

    def sink(path: Path) -> FileSink:
        return FileSink(path, is_gone_on_with, _told, no_room if earlier is None else earlier.make_room)

    if asked.volume_size is None:
        return Placed(sink(path), KeptFile(path), earlier)
    volumes = Volumes(lambda number: sink(path.with_name(numbered(path.name, number))), asked.volume_size)
    return Placed(volumes, KeptVolumes(lambda stored: KeptFile(Path(stored.place))), earlier)


def _earlier(folder: Path, customer: str) -> Earlier | None:
    """Give what is to be gone on with, and remove all else that an export of *customer* left unfinished."""
    left = claimed(folder, _others_of(customer))
    known = largest(left)
    for one in left:
        if one not in known:
            one.drop()
            one.file.close()
            typer.echo(f"offramp: {one.path}: what a killed export had begun was removed", err=True)
    if not known:
        return None
    # Loaded when used: the library that finds the objects is megabytes.
    from .archive.earlier import Earlier  # noqa: PLC0415

    for one in known:
        typer.echo(f"offramp: {one.path}: what is the same in it of media isn't fetched again", err=True)
    return Earlier(known)


async def _nothing_there(asked: Asked, store: ObjectStore) -> None:
    """Raise OperatorError where volumes lie: one of another archive would be beside those of this one."""
    bucket, _, key = asked.to.removeprefix(S3).partition("/")
    volume = volume_of(key)
    async for found, _ in store.versions(bucket, before_number(key)):
        if volume.fullmatch(found):
            raise OperatorError(f"s3://{bucket}/{found} lies there, and belongs to another archive. Name another --to.")


async def swept(asked: Asked, store: ObjectStore, report: ArchiveReport) -> None:
    """Drop what an earlier try sent of volumes that this archive has no need of."""
    if not report.volumes or not asked.to.startswith(S3):
        return
    bucket, _, key = asked.to.removeprefix(S3).partition("/")
    await InStore(store, bucket, key, asked.volume_size, nobody_else).abort()


def _others_of(customer: str) -> re.Pattern[str]:
    named = r"[0-9]{8}T[0-9]{6}Z([.]vol[0-9]{3})?[.]zip([.]age)?"
    return re.compile(re.escape(bag_name(f"{customer}-")) + named)


def _told(event: str, **values: object) -> None:
    typer.echo(f"{event}: {', '.join(f'{name} {value}' for name, value in values.items())}", err=True)
