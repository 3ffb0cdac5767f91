"""Checks that an archive is complete and unaltered; standard library only, so that this one file can be handed on.

``python verify.py [ARCHIVE.zip | FOLDER] [SHA256]`` prints what is wrong and ends with 1, or with 0 if nothing is; with
no argument it checks the unpacked archive that it lies in. Needs Python 3.11.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Protocol
from zipfile import BadZipFile, ZipFile

PAYLOAD_MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
DESCRIPTOR = "data/datapackage.json"
COMPLETENESS = "data/completeness.json"
MEDIA = "data/media/"
_PIECE = 1 << 20
# What zipfile raises when bytes are not what they were; RuntimeError is its word for an encrypted file.
_UNREADABLE = (BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; *kind* is altered, missing, added or broken, *path* is inside the bag."""

    kind: str
    path: str
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: nothing in *findings* means complete and unaltered; *rows* per resource of the descriptor."""

    sha256: str
    files: int
    size: int
    rows: Mapping[str, int]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was read; *sha256* is empty where it could not be."""

    size: int
    sha256: str
    says: str = ""


def verify(archive: Path, sha256: str | None = None) -> Verdict:
    """Check the ZIP *archive*, or the folder that it was unpacked into.

    The digest of a ZIP must be *sha256* if that is known (from ExportReady, in hexadecimal); a folder has none. Raises
    OSError where nothing can be opened at all.
    """
    if archive.is_dir():
        return _verdict("", _Folder(archive), [])
    whole = _digest_of(archive)
    findings = [] if sha256 in {None, whole} else [Finding("altered", archive.name, f"its SHA-256 is {whole}")]
    with archive.open("rb") as opened:
        return verify_opened(opened, archive.name, whole, findings)


def verify_opened(opened: IO[bytes], name: str, sha256: str, findings: Iterable[Finding] = ()) -> Verdict:
    """Check a ZIP that can be read and sought in, of which *sha256* and some *findings* are known already."""
    try:
        with ZipFile(opened) as read:
            return _verdict(sha256, _Zip(read), findings)
    except _UNREADABLE as error:
        return Verdict(sha256, 0, 0, {}, (*findings, Finding("broken", name, f"it is no whole ZIP: {error}")))


def _verdict(sha256: str, files: _Files, findings: Iterable[Finding]) -> Verdict:
    bag = _Bag(files)
    found = (*findings, *bag.check())
    return Verdict(sha256, len(bag.read), sum(one.size for one in bag.read.values()), bag.rows, found)


def _digest_of(archive: Path) -> str:
    with archive.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class _Files(Protocol):
    """The files of a bag, by their paths in it; *strays* are those that are not where they should be."""

    paths: frozenset[str]
    strays: tuple[Finding, ...]

    def open(self, path: str) -> IO[bytes]:
        """Open the file at *path*."""


class _Zip:
    """The files in a ZIP, of which all lie in one folder."""

    def __init__(self, opened: ZipFile) -> None:
        names = Counter(opened.namelist())
        self._zip = opened
        self._base = next(iter(names), "").partition("/")[0] + "/"
        self.paths = frozenset(name.removeprefix(self._base) for name in names if name.startswith(self._base))
        self.strays = tuple(self._strays(names))

    def _strays(self, names: Mapping[str, int]) -> Iterator[Finding]:
        for name, times in names.items():
            if not name.startswith(self._base) or ".." in name.split("/"):
                yield Finding("added", name, "it lies outside the bag")
            if times > 1:
                yield Finding("added", name, f"the ZIP holds it {times} times")

    def open(self, path: str) -> IO[bytes]:
        return self._zip.open(self._base + path)


class _Folder:
    """The files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = sorted(folder.rglob("*"))
        self.paths = frozenset(path.relative_to(folder).as_posix() for path in found if not path.is_dir())
        links = [path for path in found if path.is_symlink()]
        self.strays = tuple(Finding("added", path.relative_to(folder).as_posix(), "it is a link") for path in links)

    def open(self, path: str) -> IO[bytes]:
        return (self._folder / path).open("rb")


class _Bag:
    """The bag, all of whose files have been read."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self.read = {path: self._read(path) for path in sorted(files.paths)}
        self.rows: dict[str, int] = {}
        self._rows_at: dict[str, int] = {}

    def _read(self, path: str) -> _Read:
        digest, size = hashlib.sha256(), 0
        try:
            with self._files.open(path) as opened:
                while piece := opened.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
        except _UNREADABLE as error:
            return _Read(size, "", f"it can't be read: {error}")
        return _Read(size, digest.hexdigest())

    def check(self) -> Iterator[Finding]:
        yield from self._files.strays
        yield from self._declaration()
        payload = {path for path in self.read if path.startswith("data/")}
        yield from self._manifest(PAYLOAD_MANIFEST, payload)
        yield from self._manifest(TAG_MANIFEST, set(self.read) - payload - {TAG_MANIFEST})
        yield from self._bag_info(payload)
        yield from self._descriptor()
        yield from self._completeness()

    def _declaration(self) -> Iterator[Finding]:
        if not self._text("bagit.txt").startswith("BagIt-Version: 1.0\n"):
            yield Finding("broken", "bagit.txt", "this is no BagIt bag of version 1.0")

    def _manifest(self, manifest: str, present: set[str]) -> Iterator[Finding]:
        if manifest not in self.read:
            yield Finding("missing", manifest, "without it nothing is proven")
            return
        said: dict[str, str] = {}
        for line in self._text(manifest).splitlines():
            found = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
            if found is None or found[2] in said:
                yield Finding("broken", manifest, f"a line is not readable: {line[:100]!r}")
            else:
                said[found[2]] = found[1]
        yield from self._compared(said, present, manifest)

    def _compared(self, said: Mapping[str, str], present: set[str], manifest: str) -> Iterator[Finding]:
        for path in sorted(said.keys() - present):
            yield Finding("missing", path, f"{manifest} names it")
        for path in sorted(present - said.keys()):
            yield Finding("added", path, f"{manifest} does not name it")
        for path in sorted(present & said.keys()):
            read = self.read[path]
            if read.sha256 != said[path]:
                yield Finding("altered", path, read.says or f"its SHA-256 is {read.sha256}, not {said[path]}")

    def _bag_info(self, payload: set[str]) -> Iterator[Finding]:
        found = re.search(r"^Payload-Oxum: (.*)$", self._text("bag-info.txt"), re.MULTILINE)
        oxum = f"{sum(self.read[path].size for path in payload)}.{len(payload)}"
        if found is None or found[1] != oxum:
            yield Finding("altered", "bag-info.txt", f"it has Payload-Oxum {found and found[1]}, found were {oxum}")

    def _descriptor(self) -> Iterator[Finding]:
        try:
            said = json.loads(self._text(DESCRIPTOR))["resources"]
            resources = [(one["name"], f"data/{one['path']}", one) for one in said]
        except (ValueError, KeyError, TypeError) as error:
            yield Finding("broken", DESCRIPTOR, f"it is no data package: {error!r}")
            return
        for name, path, one in resources:
            yield from self._resource(name, path, one)

    def _resource(self, name: str, path: str, said: Mapping[str, object]) -> Iterator[Finding]:
        read = self.read.get(path)
        if read is None:
            yield Finding("missing", path, f"{DESCRIPTOR} describes it")
            return
        if (read.size, f"sha256:{read.sha256}") != (said.get("bytes"), said.get("hash")):
            yield Finding("altered", path, f"size or digest is not what {DESCRIPTOR} says")
        try:
            self.rows[name] = self._rows_at[path] = self._count(path, str(said.get("format")))
        except (*_UNREADABLE, csv.Error) as error:
            yield Finding("altered", path, f"its rows can't be counted: {error}")
            return
        if self.rows[name] != said.get("rows"):
            yield Finding("altered", path, f"it has {self.rows[name]} rows, {DESCRIPTOR} says {said.get('rows')}")

    def _completeness(self) -> Iterator[Finding]:
        try:
            said = json.loads(self._text(COMPLETENESS))
            files = [(one["table"], file["path"], one["rows"]) for one in said["tables"] for file in one["files"]]
            also = [file["path"] for one in said["tables"] for file in one.get("also", ())]
            together = [file["path"] for file in said.get("together", ())]
            empty = [one["table"] for one in said["tables"] if not (one["files"] or one.get("also") or together)]
            objects = sum(one.get("files", 0) for one in said["objects"])
        except (ValueError, KeyError, TypeError) as error:
            yield Finding("broken", COMPLETENESS, f"it is no report of completeness: {error!r}")
            return
        yield from (Finding("missing", COMPLETENESS, f"it names no file of the table {table}") for table in empty)
        for path in (*also, *together):
            if not ((path.endswith("/") and any(found.startswith(path) for found in self.read)) or path in self.read):
                yield Finding("missing", path, f"{COMPLETENESS} names it")
        for table, path, rows in files:
            if self._rows_at.get(path) != rows:
                says = f"it has {self._rows_at.get(path, 'no')} rows, {COMPLETENESS} says {rows} of the table {table}"
                yield Finding("altered" if path in self.read else "missing", path, says)
        present = sum(path.startswith(MEDIA) for path in self.read)
        if present != objects:
            yield Finding("altered", MEDIA, f"there are {present} files, {COMPLETENESS} says {objects}")

    def _count(self, path: str, form: str) -> int:
        with self._files.open(path) as raw, TextIOWrapper(raw, "utf-8", newline="") as text:
            if form != "csv":
                return sum(line.endswith("\n") for line in text)
            csv.field_size_limit(0x7FFFFFFF)
            return sum(1 for _ in csv.reader(text)) - 1

    def _text(self, path: str) -> str:
        if not self.read.get(path, _Read(0, "")).sha256:
            return ""
        with self._files.open(path) as opened:
            return opened.read().decode("utf-8", "replace")


def main(arguments: list[str]) -> int:
    """Check the archive named in *arguments*, or the one that this file lies in; gives the exit code."""
    verdict = verify(Path(arguments[0]) if arguments else Path(__file__).parent, *arguments[1:2])
    for found in verdict.findings:
        print(f"{found.kind}: {found.path}: {found.says}")  # noqa: T201 - handed on alone, it has no other voice
    print(f"{verdict.files} files, {verdict.size} bytes, {len(verdict.findings)} findings")  # noqa: T201 - as above
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
