"""Writes the full archive that a delta and its base make together: byte for byte what a full export would have made."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import IO
from zipfile import BadZipFile

from shared.verify.archive import (
    DESCRIPTOR,
    IN_BOTH,
    PAYLOAD_MANIFEST,
    SECOND_SIGNATURE,
    SIGNATURE,
    TAG_MANIFEST,
    Checked,
    Joined,
)

from .archive import Archive
from .faults import NotReadBackError
from .names import bag_name, is_packed
from .sink import Sink

_PIECE = 512 * 1024
_DIGEST = 64
_KEEP = "Leave both archives alone while they are joined"


async def join(delta: Checked, base: Checked, sink: Sink) -> None:
    """Write to *sink* what *delta* and *base* are together; both, and that they belong together, were checked before.

    Raises NotReadBackError where a file isn't any more what it was then, or UnwritableError; then *sink* shows nothing.
    """
    files = Joined(delta.files, base.files)

    def size(path: str) -> int:
        lies_in, there = files.at(path)
        return (delta if lies_in is delta.files else base).read[there].size

    async with sink:
        with closing(Archive(sink, bag_name(delta.verdict.export_id))) as archive:
            for path, sha256 in _in_order(files):
                await _copy(archive, files, path, size(path), sha256)
            await archive.end()


async def _copy(archive: Archive, files: Joined, path: str, size: int, sha256: str | None) -> None:
    async with archive.file(path, packed=is_packed(path), expected=size) as file:
        try:
            with await asyncio.to_thread(files.open, path) as opened:
                while piece := await asyncio.to_thread(opened.read, _PIECE):
                    await file.write(piece)
        except (BadZipFile, zlib.error, EOFError) as error:
            raise NotReadBackError(path, f"it can't be read any more: {error}", _KEEP) from error
    found = file.done().sha256
    if sha256 not in {None, found}:
        raise NotReadBackError(path, f"its SHA-256 is {found} by now, not {sha256}", _KEEP)


def _in_order(files: Joined) -> Iterator[tuple[str, str | None]]:
    """Give the files as an export writes them, each with its digest if a manifest has it."""
    payload, tags = _manifest(files, PAYLOAD_MANIFEST), _manifest(files, TAG_MANIFEST)
    declaration, *beside = IN_BOTH
    yield declaration, tags.pop(declaration)
    for path, sha256 in payload.items():
        yield path, sha256
        if path == DESCRIPTOR:
            yield from ((one, tags.pop(one)) for one in beside if one in tags)
    yield from tags.items()
    yield from ((path, None) for path in (TAG_MANIFEST, SIGNATURE, SECOND_SIGNATURE) if path in files.paths)


def _manifest(files: Joined, name: str) -> dict[str, str]:
    with files.open(name) as opened:
        return dict(map(_line, _lines(opened)))


def _lines(opened: IO[bytes]) -> Iterator[str]:
    return (line.decode().rstrip("\n") for line in opened)


def _line(line: str) -> tuple[str, str]:
    return line[_DIGEST + 2 :], line[:_DIGEST]
