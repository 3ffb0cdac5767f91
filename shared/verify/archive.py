"""Checks that an archive is complete, unaltered and signed; one file, so that it can be handed on.

``python verify.py [ARCHIVE.zip | FOLDER] [SHA256] [--keys FOLDER] [--base ARCHIVE.zip | FOLDER]`` prints what is wrong.
It ends with 0 if nothing is and the archive is signed, with 1 if something is wrong, with 3 if it is whole but nobody
signed it or nobody could check that, with 5 if it is a delta and its base was not given. With no argument it checks the
unpacked archive that it lies in. Needs Python 3.11; signatures are checked by ``ssh-keygen`` and ``openssl``, which it
calls.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from heapq import heappush, heapreplace
from itertools import count, islice
from pathlib import Path
from threading import Event, Lock
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Literal, Protocol, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

try:
    # Whoever has it inflates and counts CRC-32 in half the time; nobody needs it.
    from isal import isal_zlib as deflate
except ImportError:
    deflate = zlib  # type: ignore[misc]
_INFLATES_NOT = cast("type[Exception]", deflate.error)

if TYPE_CHECKING:
    import subprocess

    from _typeshed import WriteableBuffer

PAYLOAD_MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
# The tag manifest has the digest of every other manifest, and so of all; it is what is signed, by two methods.
SIGNATURE, SECOND_SIGNATURE = f"{TAG_MANIFEST}.sshsig", f"{TAG_MANIFEST}.sig"
ALLOWED_SIGNERS, PUBLIC_PEM = "allowed_signers", "signing.pub.pem"
PRINCIPAL, PURPOSE = "offramp", "offramp-archive"
SIGNED_BY, NOBODY = "Signed-By", "nobody"
DESCRIPTOR = "data/datapackage.json"
COMPLETENESS = "data/completeness.json"
MEDIA = "data/media/"
# Of an archive in volumes: the digests of those before the last, which this lies in, so the signature is of all.
VOLUMES = "volumes-sha256.txt"
# Of a delta: the digests of the files that are in its base as they are in the full archive; a folder of what takes the
# place of its own page, manifests and signatures once both are joined; and how bag-info.txt names the base.
FROM_BASE, FULL = "from-base.txt", "full/"
BASE_NAME, BASE_MANIFEST, BASE_ARCHIVE = "Base-External-Identifier", "Base-Tagmanifest-Sha256", "Base-Archive-Sha256"
# What is outside data/ and the same in a delta and in the full archive.
IN_BOTH = ("bagit.txt", "verify.py", ALLOWED_SIGNERS, PUBLIC_PEM)
_OF_A_SET = re.compile(r"(.+)[.]vol[0-9]{3}([.]zip(?:[.]age)?)")
_AGE = b"age-encryption.org/"
_PIECE, _PACKED = 1 << 20, 1 << 16
# A smaller file takes longer to begin with than to read.
_SMALL = 1 << 18
# So many files are read at once at most, and so many of the largest before all others: at the end none is left alone.
_READERS, _LARGEST = 4, 16
# Of a digest, in bytes; how many numbers are kept of a file; so many files' headers zipfile is given at a time.
_DIGEST, _COUNTS, _AT_ONCE = 32, 3, 256
_UNCOUNTED = (1 << 64) - 1
# Of a ZIP (APPNOTE 4.3.12, 4.3.14 to 4.3.16): a file's header with the lengths of what follows it, the end of the
# directory for large ZIPs, what leads to that, the end, of which at most so many bytes are looked at.
_HEADER, _END64 = struct.Struct("<4s24x3H12x"), struct.Struct("<4sQ2H2L4Q")
_SIZED = struct.Struct("<8xH10xL4xH")
_LOCATOR, _END = struct.Struct("<4sLQL"), struct.Struct("<4s4H2LH")
# A header is shorter than that.
_HEADERS = 256 * 1024
_LONGEST_END, _UTF8 = (1 << 16) + _END.size + _LOCATOR.size + _END64.size, 0x0800
_NEITHER_QUOTES_NOR_LINE_ENDS = bytes(byte for byte in range(256) if byte not in b'"\n')
# What zipfile raises when bytes are not what they were; RuntimeError is its word for an encrypted file.
UNREADABLE = (BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError)
# What comes of JSON that is none, is nested too deep, or says other things than it should.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_NONE_PASSING: Mapping[str, Future[Read]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; *kind* is altered, missing, added or broken, *path* is inside the bag."""

    kind: str
    path: str
    says: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Whether the archive is signed: by the key *key_id*; *trusted* if that key did not come with the archive.

    *unsigned*: nobody signed it. *unchecked*: it says that it is signed, and there is no tool here to check that.
    *wrong*: it isn't signed as it says; a finding tells why.
    """

    state: Literal["signed", "unsigned", "unchecked", "wrong"]
    key_id: str = ""
    trusted: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """The archive that a delta is to be joined with: its name, the SHA-256 of its tag manifest, and of its ZIP."""

    export_id: str
    tagmanifest: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: nothing in *findings* means complete and unaltered; *rows* per resource of the descriptor.

    Whose data it is (*customer*), under which name (*export_id*), as of when: as bag-info.txt says. What *needs* a base
    is unaltered at best: it is a delta, and all that it takes from there was not seen.
    """

    sha256: str
    files: int
    size: int
    rows: Mapping[str, int]
    findings: tuple[Finding, ...]
    signature: Signature = Signature("wrong")
    customer: str = ""
    export_id: str = ""
    snapshot_at: str = ""
    needs: Base | None = None

    @property
    def exit_code(self) -> int:
        """Give 0 for whole and signed, 1 for anything wrong, 3 for whole but not known to be signed, 5 for a delta."""
        if self.findings:
            return 1
        if self.needs is not None:
            return 5
        return 0 if self.signature.state == "signed" else 3

    @property
    def told(self) -> str:
        """Say in a line how it stands."""
        if self.findings:
            return f"{len(self.findings)} things are wrong"
        by = self.signature
        if self.needs is not None:
            who = {"signed": f"signed by {by.key_id}", "unsigned": "NOT SIGNED"}.get(by.state, "signature NOT CHECKED")
            base = f"{self.needs.export_id}, SHA-256 {self.needs.sha256}"
            return f"NOT COMPLETE: a delta, unaltered, {who}, that needs its base (--base): {base}"
        match by.state:
            case "unsigned":
                return "complete and unaltered, but NOT SIGNED: nothing shows who made it"
            case "unchecked":
                return f"complete and unaltered, but its signature was NOT CHECKED: {by.says}"
            case _:
                beside = "" if by.trusted else ", a key that came with it: compare it with the published one (--keys)"
                return f"complete, unaltered, signed by {by.key_id}{beside}"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What signatures are checked by: the text of ``allowed_signers``, and ECDSA keys, present and former, as PEM."""

    allowed_signers: bytes
    pems: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """The signed manifest, both signatures, the keys to check them by, and the *moment* for which these must count."""

    manifest: bytes
    sshsig: bytes
    ecdsa: bytes
    keys: PublicKeys
    moment: datetime


class ForgedError(Exception):
    """A signature doesn't hold; the text says why."""


class NoToolError(Exception):
    """Signatures can't be checked here; the text says what is missing."""


# Gives the id of the key that signed; raises ForgedError or NoToolError.
Checker = Callable[[Sealed], str]
# Line ends, or those of them outside quotes, as CSV counts; of most files nobody wants to know either.
Counting = Literal["lines", "records", "nothing"]


def by_stock_tools(sealed: Sealed) -> str:
    """Check both signatures with OpenSSH's and OpenSSL's own programs."""
    # Loaded where there is a signature and no library to check it with: a small archive is checked in that time.
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, body in (("m", sealed.manifest), ("m.sshsig", sealed.sshsig), ("m.sig", sealed.ecdsa)):
            (folder / file).write_bytes(body)
        (folder / ALLOWED_SIGNERS).write_bytes(sealed.keys.allowed_signers)
        key_id = _ssh_keygen(folder, sealed)
        if not any(_openssl(folder, pem) for pem in sealed.keys.pems):
            raise ForgedError(f"the second signature, {SECOND_SIGNATURE}, is not by the key in {PUBLIC_PEM}")
        return key_id


def _ssh_keygen(folder: Path, sealed: Sealed) -> str:
    moment = f"verify-time={sealed.moment.astimezone(UTC):%Y%m%d%H%M%SZ}"
    command = ["ssh-keygen", "-Y", "verify", "-O", moment, "-f", ALLOWED_SIGNERS, "-I", PRINCIPAL, "-n", PURPOSE]
    done = _called([*command, "-s", "m.sshsig"], folder, sealed.manifest)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    found = re.search(r"key (SHA256:\S+)", done.stdout.decode("utf-8", "replace"))
    if done.returncode == 0 and found:
        return found[1]
    if "verify-time" in said:
        raise NoToolError("this ssh-keygen is older than OpenSSH 9.1, and can't check the period of a key")
    raise ForgedError(f"ssh-keygen says: {' '.join(said.split())}")


def _openssl(folder: Path, pem: bytes) -> bool:
    (folder / PUBLIC_PEM).write_bytes(pem)
    command = ["openssl", "dgst", "-sha256", "-verify", PUBLIC_PEM, "-signature", "m.sig", "m"]
    return _called(command, folder, b"").returncode == 0


def _called(command: list[str], folder: Path, given: bytes) -> subprocess.CompletedProcess[bytes]:
    import shutil  # noqa: PLC0415 - as above
    import subprocess  # noqa: PLC0415

    program = shutil.which(command[0])
    if program is None:
        raise NoToolError(f"there is no {command[0]} on this machine")
    # S603: the commands are those above.
    return subprocess.run([program, *command[1:]], cwd=folder, input=given, capture_output=True, check=False)


@dataclass(frozen=True, slots=True)
class Read:
    """A file as it was read; *sha256* is empty where it could not be.

    *lines* are its line ends, *records* those of them outside quotes, as CSV counts; None if nobody counted them.
    """

    size: int
    sha256: str
    says: str = ""
    lines: int | None = None
    records: int | None = None


class _Lines:
    """Counts line ends."""

    def __init__(self) -> None:
        self.count = 0

    def feed(self, piece: bytes) -> None:
        self.count += piece.count(b"\n")


class _Records:
    """Counts line ends outside quotes; pieces may be cut anywhere, since only odd and even quotes matter."""

    def __init__(self) -> None:
        self.count = 0
        self._inside = False

    def feed(self, piece: bytes) -> None:
        if not self._inside and b'"' not in piece:
            self.count += piece.count(b"\n")
            return
        marks = piece.translate(None, _NEITHER_QUOTES_NOR_LINE_ENDS).replace(b'""', b"").split(b'"')
        self.count += sum(map(len, marks[self._inside :: 2]))
        self._inside ^= len(marks) % 2 == 0


class Taking:
    """What a file's pieces come to; it *counts* what is wanted of it."""

    def __init__(self, counts: Counting) -> None:
        self.digest, self.size = hashlib.sha256(), 0
        self._lines = _Lines() if counts == "lines" else None
        self._records = _Records() if counts == "records" else None

    def all_of(self, opened: IO[bytes], beside: Callable[[], Executor | None]) -> None:
        """Take in all that can be read, and what was before it can't be; *beside*, if there is room, while reading."""
        taking: Future[None] | None = None
        try:
            while piece := opened.read(_PIECE):
                if taking is not None:
                    taking.result()
                taking = None
                # The rest of a file, or a small one, isn't worth the way to a thread.
                executor = beside() if len(piece) >= _PACKED else None
                if executor is None:
                    self.take(piece)
                else:
                    taking = executor.submit(self.take, piece)
        finally:
            if taking is not None:
                taking.result()

    def take(self, piece: bytes) -> None:
        """Take in the next piece."""
        self.digest.update(piece)
        self.size += len(piece)
        for counter in (self._lines, self._records):
            if counter is not None:
                counter.feed(piece)

    @property
    def read(self) -> Read:
        """Tell what they came to by now."""
        lines = None if self._lines is None else self._lines.count
        records = None if self._records is None else self._records.count
        return Read(self.size, self.digest.hexdigest(), "", lines, records)

    def broken(self, error: Exception) -> Read:
        """Tell of a file that can't be read any further."""
        return Read(self.size, "", f"it can't be read: {error}")


def verify(
    archive: Path,
    sha256: str | None = None,
    keys: Path | None = None,
    checker: Checker = by_stock_tools,
    base: Path | None = None,
) -> Verdict:
    """Check the ZIP *archive*, or the folder that it was unpacked into; a delta together with its *base*, if given.

    The digest of a ZIP must be *sha256* if that is known (from ExportReady, in hexadecimal); a folder has none.
    Signatures are checked by the public keys in the folder *keys*, else by those that came with the archive. Raises
    OSError where nothing can be opened at all.
    """
    with ExitStack() as stack:
        below = None if base is None else stack.enter_context(checked(base, None, keys, checker))
        return stack.enter_context(checked(archive, sha256, keys, checker, below)).verdict


@contextmanager
def checked(
    archive: Path,
    sha256: str | None = None,
    keys: Path | None = None,
    checker: Checker = by_stock_tools,
    base: Checked | None = None,
) -> Iterator[Checked]:
    """Check as ``verify`` does, and keep open what was checked."""
    known = published(keys)
    if archive.is_dir():
        yield _checked(archive.name, str, _Folder(archive), (), known, checker, base, readers=readers())
        return
    with ExitStack() as stack:
        beside = stack.enter_context(ThreadPoolExecutor(1))
        stop = Event()
        # First of all when this ends, so that nobody waits for what nobody wants to know any more.
        stack.callback(stop.set)
        # While the files inside are read.
        opened = [
            Volume(path.name, stack.enter_context(path.open("rb")), beside.submit(digest_of, path, stop))
            for path in volumes_of(archive)
        ]
        one = stack.enter_context(checked_volumes(opened, (), known, checker, base, readers=readers()))
        whole = one.verdict.sha256
        if sha256 not in {None, whole}:
            other = Finding("altered", opened[-1].name, f"its SHA-256 is {whole}")
            one = replace(one, verdict=replace(one.verdict, findings=(other, *one.verdict.findings)))
        yield one


@dataclass(frozen=True, slots=True)
class Checked:
    """An archive that was checked, while it is open: the *verdict* on it, its *files*, and each as it was *read*."""

    name: str
    verdict: Verdict
    files: Files
    read: Mapping[str, Read] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Volume:
    """A ZIP that can be read and sought in: an archive, or one of the files that it is; its *sha256* may be to come."""

    name: str
    opened: IO[bytes]
    sha256: str | Future[str]

    @property
    def digest(self) -> str:
        """Give the SHA-256, in hexadecimal; waits for it; raises OSError."""
        return self.sha256 if isinstance(self.sha256, str) else self.sha256.result()


def volumes_of(archive: Path) -> list[Path]:
    """Give all volumes that lie beside *archive*, if it is one, in their order; raises OSError."""
    given = _OF_A_SET.fullmatch(archive.name)
    if given is None:
        return [archive]
    named = ((_OF_A_SET.fullmatch(path.name), path) for path in archive.parent.iterdir())
    return sorted(path for found, path in named if found and found.groups() == given.groups()) or [archive]


def verify_opened(
    opened: IO[bytes],
    name: str,
    sha256: str,
    findings: Iterable[Finding] = (),
    published: PublicKeys | None = None,
    checker: Checker = by_stock_tools,
) -> Verdict:
    """Check a ZIP that can be read and sought in, of which *sha256* and some *findings* are known already."""
    return verify_volumes([Volume(name, opened, sha256)], findings, published, checker)


def verify_volumes(
    volumes: Sequence[Volume],
    findings: Iterable[Finding] = (),
    published: PublicKeys | None = None,
    checker: Checker = by_stock_tools,
    base: Checked | None = None,
    passing: Mapping[str, Future[Read]] = _NONE_PASSING,
) -> Verdict:
    """Check an archive of one or more *volumes*, the last of them last; some *findings* are known already.

    If it is a delta, it is checked together with its *base*, of which nothing is read a second time. What somebody else
    reads meanwhile is *passing*, by its path: it is waited for, and not read again.
    """
    with checked_volumes(volumes, findings, published, checker, base, passing) as one:
        return one.verdict


@contextmanager
def checked_volumes(
    volumes: Sequence[Volume],
    findings: Iterable[Finding] = (),
    published: PublicKeys | None = None,
    checker: Checker = by_stock_tools,
    base: Checked | None = None,
    passing: Mapping[str, Future[Read]] = _NONE_PASSING,
    readers: int = 1,
) -> Iterator[Checked]:
    """Check as ``verify_volumes`` does, with so many *readers* at once, and keep open what was checked."""
    last = volumes[-1]
    broken, one = last.name, volumes[0]
    try:
        read: list[Directory] = []
        for one in volumes:
            broken = one.name
            read.append(Directory(one))
        broken = last.name
        known = findings, published, checker, base, passing
        whole = _checked(last.name, lambda: last.digest, Zips(read), *known, readers)
    except UNREADABLE as error:
        says = _ENCRYPTED if is_encrypted(one.opened) else f"it is no whole ZIP: {error}"
        verdict = Verdict(last.digest, 0, 0, {}, (*findings, Finding("broken", broken, says)))
        whole = Checked(last.name, verdict, _Nothing(), {})
    yield whole


_ENCRYPTED = "it is encrypted: nothing in it was checked. First age --decrypt -i KEY -o ARCHIVE.zip ARCHIVE.zip.age"


def begins_as_age(path: Path) -> bool:
    """Tell whether the file at *path* is one of age; raises OSError."""
    with path.open("rb") as opened:
        return is_encrypted(opened)


def is_encrypted(opened: IO[bytes]) -> bool:
    """Tell whether what is *opened* is a file of age."""
    try:
        opened.seek(0)
        return opened.read(len(_AGE)) == _AGE
    except (OSError, ValueError):
        return False


def published(folder: Path | None) -> PublicKeys | None:
    """Read the public keys in *folder*, if one is given; raises OSError."""
    if folder is None:
        return None
    pems = tuple(pem.read_bytes() for pem in sorted(folder.glob("signing*.pub.pem")))
    return PublicKeys((folder / ALLOWED_SIGNERS).read_bytes(), pems)


def _checked(
    name: str,
    digest: Callable[[], str],
    files: Files,
    findings: Iterable[Finding],
    published: PublicKeys | None,
    checker: Checker,
    base: Checked | None,
    passing: Mapping[str, Future[Read]] = _NONE_PASSING,
    readers: int = 1,
) -> Checked:
    bag = _Bag(files, published, checker, _Reading(files, passing, readers).all())
    found = [*findings, *bag.check()]
    needs, whole = bag.needs, bag
    if base is not None and needs is None:
        found.append(Finding("added", base.name, "it was given as a base, and this archive is no delta: it needs none"))
    elif base is not None and needs is not None and (no_base := list(_no_base(base, needs))):
        found += no_base
    elif base is not None and needs is not None:
        needs, whole = None, bag.joined(base)
        # What is wrong with a file that the delta holds is found twice.
        found = list(dict.fromkeys([*found, *whole.check()]))
    tally = len(whole.read), sum(one.size for one in whole.read.values()), whole.rows, tuple(found), whole.signature
    whose = bag.said("Source-Customer"), bag.said("External-Identifier"), bag.said("Snapshot-At")
    return Checked(name, Verdict(digest(), *tally, *whose, needs), files, bag.read)


def _no_base(base: Checked, needs: Base) -> Iterator[Finding]:
    """Tell why *base* isn't the one that a delta needs, or isn't whole."""
    found = base.read.get(TAG_MANIFEST, Read(0, "")).sha256
    if found != needs.tagmanifest:
        of = f"{base.verdict.export_id or 'no archive'} of {base.verdict.customer or 'nobody'}"
        says = f"it is not the base: it is {of}, needed is {needs.export_id}, SHA-256 {needs.sha256}"
        yield Finding("broken", base.name, says)
    yield from (replace(one, path=f"{base.name}: {one.path}") for one in base.verdict.findings)


def digest_of(archive: Path, stop: Event | None = None) -> str:
    """Give the SHA-256 of a file, in hexadecimal; raises OSError, also when it is to *stop*."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_PIECE))
    with archive.open("rb", buffering=0) as opened:
        while filled := opened.readinto(buffer):
            if stop is not None and stop.is_set():
                raise InterruptedError(_STOPPED)
            digest.update(buffer[:filled])
    return digest.hexdigest()


_STOPPED = "nobody wants to know any more"


def readers() -> int:
    """Tell how many files are read at once: one for each processor, as long as counting, one at a time, keeps up."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _READERS)


class Files(Protocol):
    """The files of a bag, by their paths in it; *strays* are those that are not where they should be.

    *base* is the folder in which all lie in a ZIP; empty where whoever unpacked it may have named it. *volumes* are the
    digests of the ZIPs before the last, by name; None where there are no ZIPs any more.
    """

    base: str
    strays: tuple[Finding, ...]

    @property
    def paths(self) -> AbstractSet[str]:
        """Give the paths of all files."""

    @property
    def volumes(self) -> Mapping[str, str] | None:
        """Give the digests of the ZIPs before the last."""

    def open(self, path: str) -> IO[bytes]:
        """Open the file at *path*."""

    def each(self) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
        """Give every path, the size there, and how to open it, in the order in which that is quickest."""


class Paths(AbstractSet[str]):
    """Paths in the order in which they were added, each with its number; of each little more than its text is kept."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._text = bytearray()
        self._ends = array("Q", [0])
        # An open hash table: the number of a path, counted from 1, at the place that its hash says, or the next free.
        self._slots = array("L", bytes(array("L").itemsize * 64))
        for path in paths:
            self.add(path)

    def add(self, path: str) -> int:
        """Add *path*, unless it is there; gives its number."""
        body = path.encode("utf-8", "surrogatepass")
        at = self._slot(body)
        if self._slots[at] == 0:
            self._text += body
            self._ends.append(len(self._text))
            self._slots[at] = len(self)
            if 2 * len(self) > len(self._slots):
                self._grow()
            return len(self) - 1
        return self._slots[at] - 1

    def number(self, path: object) -> int | None:
        """Give the number of *path*; None if it isn't there."""
        if not isinstance(path, str):
            return None
        found = self._slots[self._slot(path.encode("utf-8", "surrogatepass"))]
        return found - 1 if found else None

    def _slot(self, body: bytes) -> int:
        last = len(self._slots) - 1
        at = hash(body) & last
        while (found := self._slots[at]) and self._body(found - 1) != body:
            at = (at + 1) & last
        return at

    def _grow(self) -> None:
        self._slots = array("L", bytes(self._slots.itemsize * len(self._slots) * 2))
        for number in range(len(self)):
            self._slots[self._slot(self._body(number))] = number + 1

    def at(self, number: int) -> str:
        """Give the path of that *number*."""
        return self._body(number).decode("utf-8", "surrogatepass")

    def _body(self, number: int) -> bytes:
        return bytes(self._text[self._ends[number] : self._ends[number + 1]])

    def __contains__(self, path: object) -> bool:
        return self.number(path) is not None

    def __iter__(self) -> Iterator[str]:
        return map(self.at, range(len(self)))

    def __len__(self) -> int:
        return len(self._ends) - 1


class Reads(Mapping[str, Read]):
    """The files at *paths* as they were read; of each little more than its digest is kept."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = paths if isinstance(paths, Paths) else Paths(paths)
        self._digests = bytearray(_DIGEST * len(self.paths))
        self._counts = array("Q", bytes(_COUNTS * len(self.paths) * array("Q").itemsize))
        # Of those that could not be read.
        self._says: dict[int, str] = {}

    def put(self, path: str, read: Read) -> None:
        """Note the file at *path*, which is among the paths."""
        number = self._number(path)
        self._digests[_DIGEST * number : _DIGEST * (number + 1)] = bytes.fromhex(read.sha256) or bytes(_DIGEST)
        counts = (_UNCOUNTED if one is None else one for one in (read.size, read.lines, read.records))
        self._counts[_COUNTS * number : _COUNTS * (number + 1)] = array("Q", counts)
        if not read.sha256:
            self._says[number] = read.says

    def at(self, number: int) -> Read:
        """Give the file of that *number*."""
        size, *counts = self._counts[_COUNTS * number : _COUNTS * (number + 1)]
        lines, records = (None if one == _UNCOUNTED else one for one in counts)
        if number in self._says:
            return Read(size, "", self._says[number])
        return Read(size, self._digests[_DIGEST * number : _DIGEST * (number + 1)].hex(), "", lines, records)

    def _number(self, path: str) -> int:
        number = self.paths.number(path)
        if number is None:
            raise KeyError(path)
        return number

    def __getitem__(self, path: str) -> Read:
        return self.at(self._number(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


class Directory:
    """Where the files in a ZIP are, read piece by piece (APPNOTE 4.3.12 to 4.3.16).

    ``zipfile`` keeps some 600 bytes of each file as long as a ZIP is open. So it is given some of the files at a time:
    the ZIP's very bytes, behind which only these files' headers lie.
    """

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        # Files that are read at once are read from one place.
        self.alone = Lock()
        size = self._opened.seek(0, os.SEEK_END)
        at = max(size - _LONGEST_END, 0)
        self._opened.seek(at)
        tail = self._opened.read(_LONGEST_END)
        end = tail.rfind(b"PK\5\6")
        if end < 0 or len(tail) < end + _END.size:
            raise BadZipFile("File is not a zip file")
        *_, self._size, self._offset, _ = _END.unpack_from(tail, end)
        begins = end
        if end >= _LOCATOR.size + _END64.size and tail[end - _LOCATOR.size :].startswith(b"PK\6\7"):
            begins = end - _LOCATOR.size - _END64.size
            sign, *_, self._size, self._offset = _END64.unpack_from(tail, begins)
            if sign != b"PK\6\6":
                raise BadZipFile("its ZIP64 record is not where it should be")
        # Where the directory is; its own field may say less, if something was put before the ZIP.
        self._begins = at + begins - self._size
        if min(self._begins, self._begins - self._offset) < 0:
            raise BadZipFile("Bad offset for central directory")
        # Kept as it lies there, but packed to a quarter: going back for it would cost a store's request each time.
        headers = self._read()
        self._packed = []
        while some := list(islice(headers, _AT_ONCE)):
            self._packed.append(zlib.compress(b"".join(some), 1))

    def through(self, opened: IO[bytes]) -> Directory:
        """Give the same directory of the same ZIP that was *opened* once more, so that both can be read at once."""
        other = copy(self)
        other.volume, other.alone = replace(self.volume, opened=opened), Lock()
        return other

    @property
    def _opened(self) -> IO[bytes]:
        return self.volume.opened

    def names(self) -> Iterator[tuple[str, int]]:
        """Give the names of the files, in their order, and how many bytes each is said to take, or 4 GiB."""
        for packed in self._packed:
            for header in _cut(zlib.decompress(packed)):
                flags, size, length = _SIZED.unpack_from(header)
                name = header[_HEADER.size : _HEADER.size + length]
                yield ZipInfo(name.decode("utf-8" if flags & _UTF8 else "cp437")).filename, size

    def _read(self) -> Iterator[bytes]:
        """Read the headers, a piece at a time."""
        at, end = self._begins, self._begins + self._size
        while at < end:
            self._opened.seek(at)
            piece, taken = self._opened.read(min(_HEADERS, end - at)), 0
            for header in _cut(piece):
                yield header
                taken += len(header)
            if not taken:
                raise BadZipFile("Truncated central directory")
            at += taken

    def parts(self) -> Iterator[ZipFile]:
        """Give some of the files after the other, each time as a ZIP of those alone."""
        return (self._part(list(_cut(zlib.decompress(packed)))) for packed in self._packed)

    def only(self, number: int) -> ZipFile:
        """Give a ZIP of the one file of that *number*, from 0 on."""
        headers = _cut(zlib.decompress(self._packed[number // _AT_ONCE]))
        return self._part([next(islice(headers, number % _AT_ONCE, None))])

    def _part(self, headers: Sequence[bytes]) -> ZipFile:
        return ZipFile(cast("IO[bytes]", _Part(self._opened, self.alone, self._begins, self._offset, headers)))


def _cut(piece: bytes) -> Iterator[bytes]:
    """Give the headers that are whole in *piece*."""
    at = 0
    while len(piece) - at >= _HEADER.size:
        sign, *lengths = _HEADER.unpack_from(piece, at)
        if sign != b"PK\1\2":
            raise BadZipFile("Bad magic number for central directory")
        whole = _HEADER.size + sum(lengths)
        if at + whole > len(piece):
            return
        yield piece[at : at + whole]
        at += whole


class _Part:
    """A ZIP as it lies there up to its directory, which begins at *begins*; in that are *headers* alone.

    Others read what is *opened* as well, each *alone*.
    """

    def __init__(self, opened: IO[bytes], alone: Lock, begins: int, offset: int, headers: Sequence[bytes]) -> None:
        self._opened, self._alone, self._begins, self._at = opened, alone, begins, 0
        many, directory = len(headers), b"".join(headers)
        end64 = _END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, many, many, len(directory), offset)
        locator = _LOCATOR.pack(b"PK\6\7", 0, offset + len(directory), 1)
        end = _END.pack(b"PK\5\6", 0, 0, *2 * (min(many, 0xFFFF),), 0xFFFFFFFF, 0xFFFFFFFF, 0)
        self._rest = directory + end64 + locator + end

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begins = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._begins + len(self._rest)}
        if begins[whence] + offset < 0:
            raise OSError("before the beginning")
        self._at = begins[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._at >= self._begins:
            rest = self._rest[self._at - self._begins :]
            piece = rest if size < 0 else rest[:size]
        else:
            with self._alone:
                self._opened.seek(self._at)
                piece = self._opened.read(self._begins - self._at if size < 0 else min(size, self._begins - self._at))
        self._at += len(piece)
        return piece


class Zips:
    """The files in one ZIP or in several, of which all lie in one folder, that of the last."""

    def __init__(self, directories: Sequence[Directory]) -> None:
        self.directories = directories
        self.base = next(directories[-1].names(), ("", 0))[0].partition("/")[0]
        self._base = f"{self.base}/"
        self.paths = Paths()
        # By the number of a path: in which ZIP it is, and as which file there.
        self._in, self._at = array("H"), array("Q")
        self._largest: list[tuple[int, int]] = []
        self.strays = tuple(self._found())

    def _found(self) -> Iterator[Finding]:
        """Find all files; gives those that are not where they should be."""
        times, outside = dict[str, int](), set[str]()
        for place, one in enumerate(self.directories):
            for at, (name, size) in enumerate(one.names()):
                inside = name.startswith(self._base)
                if (not inside or ".." in name.split("/")) and name not in outside:
                    outside.add(name)
                    yield Finding("added", name, "it lies outside the bag")
                if not inside:
                    times[name] = times.get(name, 0) + 1
                elif (number := self.paths.add(name.removeprefix(self._base))) < len(self._at):
                    # Of several the last one counts, as everywhere.
                    self._in[number], self._at[number] = place, at
                    times[name] = times.get(name, 1) + 1
                else:
                    self._in.append(place)
                    self._at.append(at)
                    self._note(size, number)
        yield from (
            Finding("added", name, f"the ZIP holds it {many} times") for name, many in times.items() if many > 1
        )

    def _note(self, size: int, number: int) -> None:
        """Remember the file of that *number*, if it is one of the largest."""
        if len(self._largest) < _LARGEST:
            heappush(self._largest, (size, -number))
        elif size > self._largest[0][0]:
            heapreplace(self._largest, (size, -number))

    def through(self, opened: Sequence[IO[bytes]]) -> Zips:
        """Give the same files in the same ZIPs, *opened* once more, so that both can be read at once."""
        other = copy(self)
        other.directories = [one.through(file) for one, file in zip(self.directories, opened, strict=True)]
        return other

    @property
    def volumes(self) -> Mapping[str, str]:
        """Give the digests of the ZIPs before the last."""
        return {one.volume.name: one.volume.digest for one in self.directories[:-1]}

    def open(self, path: str) -> IO[bytes]:
        """Open the file at *path*."""
        number = self.paths.number(path)
        if number is None:
            raise KeyError(path)
        return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", self._open(number)), _PACKED))

    def _open(self, number: int) -> IO[bytes]:
        with self.directories[self._in[number]].only(self._at[number]) as part:
            return _unpacked(part, part.infolist()[0])

    def each(self) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
        """Give every path, the size there, and how to open it: the largest first, the others as they lie in the ZIP."""
        first = {-number: size for size, number in sorted(self._largest, reverse=True)}
        yield from ((self.paths.at(number), size, partial(self._open, number)) for number, size in first.items())
        for place, one in enumerate(self.directories):
            numbers = count()
            for part in one.parts():
                with part:
                    for found in part.infolist():
                        at = next(numbers)
                        path = found.filename.removeprefix(self._base)
                        number = self.paths.number(path) if found.filename.startswith(self._base) else None
                        if number is None or number in first or (self._in[number], self._at[number]) != (place, at):
                            continue
                        yield path, found.file_size, partial(_unpacked, part, found)


def _unpacked(part: ZipFile, found: ZipInfo) -> IO[bytes]:
    """Open the file that was *found* in *part*; raises what zipfile does."""
    if found.compress_type != ZIP_DEFLATED or found.file_size < _SMALL:
        return part.open(found)
    # As it lies there: zipfile has looked at its header, and has nothing to compare that with.
    packed = copy(found)
    packed.compress_type, packed.file_size = ZIP_STORED, found.compress_size
    del packed.CRC
    return cast("IO[bytes]", _Inflated(part.open(packed), found))


class _Inflated(io.RawIOBase):
    """What *packed* holds, deflated; told of it is what was *found* in the ZIP's directory.

    It is not zipfile's own: that copies what is still packed once for each piece, and has one way to inflate. Raises
    BadZipFile where size or CRC-32 are other than told, or something is left over.
    """

    def __init__(self, packed: IO[bytes], found: ZipInfo) -> None:
        super().__init__()
        self._packed, self._found = packed, found
        self._inflating = deflate.decompressobj(-zlib.MAX_WBITS)
        self._size = self._crc = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Give at most so many bytes; fewer are no sign of an end, unless there are none."""
        if size < 0:
            return self.readall()
        piece = self._more(size) if size else b""
        self._size += len(piece)
        self._crc = deflate.crc32(piece, self._crc)
        if size and not piece:
            self._compare()
        return piece

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def _more(self, size: int) -> bytes:
        while not self._inflating.eof:
            packed = self._inflating.unconsumed_tail or self._packed.read(_PACKED)
            try:
                piece = self._inflating.decompress(packed, size)
            except _INFLATES_NOT as error:
                raise BadZipFile(f"Bad deflate data for file {self._found.filename!r}: {error}") from error
            if piece:
                return piece
            if not packed and not self._inflating.eof:
                raise EOFError(f"File {self._found.filename!r} ends in the middle")
        return b""

    def _compare(self) -> None:
        if self._crc != self._found.CRC:
            raise BadZipFile(f"Bad CRC-32 for file {self._found.filename!r}")
        if self._size != self._found.file_size:
            raise BadZipFile(f"Bad size for file {self._found.filename!r}: {self._size}, not {self._found.file_size}")
        if self._inflating.unused_data or self._packed.read(1):
            raise BadZipFile(f"Something lies behind the end of file {self._found.filename!r}")

    def close(self) -> None:
        self._packed.close()
        super().close()


class _Folder:
    """The files in a folder."""

    base = ""
    volumes = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = sorted(folder.rglob("*"))
        self.paths = frozenset(path.relative_to(folder).as_posix() for path in found if not path.is_dir())
        links = [path for path in found if path.is_symlink()]
        self.strays = tuple(Finding("added", path.relative_to(folder).as_posix(), "it is a link") for path in links)

    def open(self, path: str) -> IO[bytes]:
        return (self._folder / path).open("rb")

    def each(self) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
        return ((path, (self._folder / path).stat().st_size, partial(self.open, path)) for path in sorted(self.paths))


class _Nothing:
    """What is no archive has no files."""

    base = ""
    volumes = None
    paths: AbstractSet[str] = frozenset()
    strays: tuple[Finding, ...] = ()

    def open(self, path: str) -> IO[bytes]:
        raise FileNotFoundError(path)

    def each(self) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
        return iter(())


class Joined:
    """The files of the full archive that a *delta* and its *below* give together, where each lies; written nowhere.

    Without what is below: those of them that are in the delta.
    """

    volumes = None
    strays: tuple[Finding, ...] = ()

    def __init__(self, delta: Files, below: Files | None = None) -> None:
        self.base = delta.base
        self._in: dict[str, tuple[Files, str]] = {}
        if below is not None and FROM_BASE in delta.paths:
            with delta.open(FROM_BASE) as opened:
                taken, _ = _said(opened.read().decode("utf-8", "replace"))
            self._in |= {path: (below, path) for path in taken.keys() & below.paths if path.startswith("data/")}
        own = (path for path in delta.paths if path in IN_BOTH or path.startswith(("data/", FULL)))
        self._in |= {path.removeprefix(FULL): (delta, path) for path in own}
        self.paths: AbstractSet[str] = frozenset(self._in)

    def at(self, path: str) -> tuple[Files, str]:
        """Tell in which of the two, and where there, the file at *path* lies."""
        return self._in[path]

    def open(self, path: str) -> IO[bytes]:
        """Open the file at *path*."""
        files, there = self._in[path]
        return files.open(there)

    def each(self) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
        """Give every path, 0 for a size that isn't known, and how to open the file there."""
        return ((path, 0, partial(self.open, path)) for path in sorted(self.paths))


def _said(manifest: str) -> tuple[dict[str, str], list[str]]:
    """Give the digests of a manifest by their paths, and the lines that can't be read."""
    said: dict[str, str] = {}
    unreadable = []
    for line in manifest.splitlines():
        found = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if found is None or found[2] in said:
            unreadable.append(line)
        else:
            said[found[2]] = found[1]
    return said, unreadable


class _Reading:
    """Reads every one of the *files*, so many of them at once; what somebody else reads is waited for in the end."""

    def __init__(self, files: Files, passing: Mapping[str, Future[Read]], readers: int) -> None:
        self._files, self._passing, self._readers = files, passing, readers
        self._counting = _counting(files)
        self._reads = Reads(files.paths)
        self._each = files.each()
        self._alone, self._stop = Lock(), Event()
        # Whoever has nothing left to read hashes and counts for the others.
        self._crew = ThreadPoolExecutor(max(readers, 2))
        self._idle = max(readers, 2) - readers

    def all(self) -> Reads:
        with self._crew:
            try:
                for reader in [self._crew.submit(self._read_some) for _ in range(self._readers)]:
                    reader.result()
            finally:
                # Also where somebody has interrupted the waiting: the readers end with the piece that they are at.
                self._stop.set()
        for path in self._files.paths & self._passing.keys():
            self._reads.put(path, self._passing[path].result())
        return self._reads

    def _read_some(self) -> None:
        try:
            while (found := self._next_large()) is not None:
                path, opened, taking = found
                read = self._read(opened, taking)
                with self._alone:
                    self._reads.put(path, read)
        finally:
            with self._alone:
                self._idle += 1

    def _next_large(self) -> tuple[str, IO[bytes], Taking] | None:
        """Open the next large file; small ones on the way are read by one reader alone, which is quicker."""
        with self._alone:
            for path, size, opener in self._each:
                if self._stop.is_set():
                    break
                if path in self._passing:
                    continue
                taking = Taking(self._counting.get(path, "nothing"))
                try:
                    opened = opener()
                except UNREADABLE as error:
                    self._reads.put(path, taking.broken(error))
                    continue
                if size >= _SMALL:
                    return path, opened, taking
                self._reads.put(path, self._read(opened, taking))
        return None

    def _read(self, opened: IO[bytes], taking: Taking) -> Read:
        try:
            with opened:
                taking.all_of(opened, self._beside)
        except UNREADABLE as error:
            return taking.broken(error)
        return taking.read

    def _beside(self) -> Executor | None:
        if self._stop.is_set():
            raise InterruptedError(_STOPPED)
        return self._crew if self._idle else None


def _counting(files: Files) -> Mapping[str, Counting]:
    """Tell what is to be counted of which files: of those that the descriptor names, which are compared with it."""
    try:
        with files.open(DESCRIPTOR) as opened:
            said = json.loads(opened.read())["resources"]
        return {f"data/{one['path']}": _counted(one) for one in said}
    except (*UNREADABLE, *MALFORMED):
        return {}


def _counted(said: Mapping[str, object]) -> Counting:
    return "records" if said.get("format") == "csv" else "lines"


def _is_payload(path: str) -> bool:
    return path.startswith("data/")


def _is_tag(path: str) -> bool:
    # A manifest can't name itself, nor what was made of it.
    return not _is_payload(path) and path not in {TAG_MANIFEST, SIGNATURE, SECOND_SIGNATURE}


class _Bag:
    """The bag, all of whose files have been *read*."""

    def __init__(
        self,
        files: Files,
        published: PublicKeys | None,
        checker: Checker,
        read: Reads,
    ) -> None:
        self._files = files
        self._published = published
        self._checker = checker
        self.signature = Signature("wrong")
        self.read = read
        self.rows: dict[str, int] = {}
        self._rows_at: dict[str, int] = {}

    def check(self) -> Iterator[Finding]:
        yield from self._files.strays
        yield from self._declaration()
        yield from self._volumes()
        yield from self._manifest(PAYLOAD_MANIFEST, _is_payload)
        yield from self.tags()
        yield from self._bag_info()
        if self.needs is None:
            yield from self._descriptor()
            yield from self._completeness()
        else:
            yield from self._delta()

    @property
    def needs(self) -> Base | None:
        """Name the base, if this is a delta."""
        if FROM_BASE not in self.read:
            return None
        return Base(self.said(BASE_NAME), self.said(BASE_MANIFEST), self.said(BASE_ARCHIVE))

    def joined(self, base: Checked | None) -> _Bag:
        """Give the full archive that this delta and its *base* are together, as both were read already."""
        files = Joined(self._files, None if base is None else base.files)
        read = Reads(files.paths)
        for path in files.paths:
            lies_in, there = files.at(path)
            read.put(path, self.read[there] if base is None or lies_in is self._files else base.read[there])
        return _Bag(files, self._published, self._checker, read)

    def _delta(self) -> Iterator[Finding]:
        """Check what can be without the base: what is here and what is to be there make up all, and that is signed."""
        own, _ = _said(self._text(PAYLOAD_MANIFEST))
        taken, unreadable = _said(self._text(FROM_BASE))
        manifest = FULL + PAYLOAD_MANIFEST
        whole, also = _said(self._text(manifest))
        yield from (Finding("broken", FROM_BASE, f"a line is not readable: {line[:100]!r}") for line in unreadable)
        yield from (Finding("broken", manifest, f"a line is not readable: {line[:100]!r}") for line in also)
        for path in sorted(own.keys() & taken.keys()):
            yield Finding("added", path, f"it is here, and {FROM_BASE} says that it is in the base")
        together = {**taken, **own}
        for path in sorted(whole.keys() - together.keys()):
            yield Finding("missing", path, f"{manifest} names it; it is not here, nor does {FROM_BASE} name it")
        for path in sorted(together.keys() - whole.keys()):
            yield Finding("added", path, f"{manifest} does not name it")
        for path in sorted(together.keys() & whole.keys()):
            if together[path] != whole[path]:
                yield Finding("altered", path, f"{manifest} has another digest of it")
        for found in self.joined(None).tags():
            yield found if found.path in IN_BOTH else replace(found, path=FULL + found.path)

    def tags(self) -> Iterator[Finding]:
        """Check the files outside data/ alone."""
        yield from self._manifest(TAG_MANIFEST, _is_tag)
        yield from self._signatures()

    def _declaration(self) -> Iterator[Finding]:
        if not self._text("bagit.txt").startswith("BagIt-Version: 1.0\n"):
            yield Finding("broken", "bagit.txt", "this is no BagIt bag of version 1.0")

    def _volumes(self) -> Iterator[Finding]:
        there = self._files.volumes
        if there is None:
            return
        lines = (line.partition("  ") for line in self._text(VOLUMES).splitlines())
        said = {name: digest for digest, _, name in lines}
        # What was decrypted has lost the end of its name, and with it what its digest is of; its files are checked.
        plain = {name.removesuffix(".age") for name in said}
        for name in sorted(said):
            if name not in there and name.removesuffix(".age") not in there:
                yield Finding("missing", name, f"{VOLUMES} names this volume; put it beside the others")
        for name, digest in sorted(there.items()):
            if name not in said and name not in plain:
                yield Finding("added", name, f"{VOLUMES} does not name it")
            elif digest != said.get(name, digest):
                yield Finding("altered", name, f"its SHA-256 is {digest}, not {said[name]}")

    def _manifest(self, manifest: str, names: Callable[[str], bool]) -> Iterator[Finding]:
        """Compare the *manifest*, which *names* a path or not, with what was read; line by line, as it may be long."""
        if manifest not in self.read:
            yield Finding("missing", manifest, "without it nothing is proven")
            return
        paths = self.read.paths
        named, missing, altered = bytearray(len(paths)), set[str](), []
        for line in self._lines(manifest):
            found = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
            number = paths.number(found[2]) if found and names(found[2]) else None
            if found is None or found[2] in missing or (number is not None and named[number]):
                yield Finding("broken", manifest, f"a line is not readable: {line[:100]!r}")
            elif number is None:
                missing.add(found[2])
            else:
                named[number] = 1
                read = self.read.at(number)
                if read.sha256 != found[1]:
                    says = read.says or f"its SHA-256 is {read.sha256}, not {found[1]}"
                    altered.append(Finding("altered", found[2], says))
        yield from (Finding("missing", path, f"{manifest} names it") for path in sorted(missing))
        added = (path for path, is_named in zip(paths, named, strict=True) if not is_named and names(path))
        yield from (Finding("added", path, f"{manifest} does not name it") for path in sorted(added))
        yield from sorted(altered, key=lambda one: one.path)

    def _lines(self, path: str) -> Iterator[str]:
        if self.read[path].sha256:
            with self._files.open(path) as opened:
                for line in opened:
                    yield from line.decode("utf-8", "replace").splitlines()

    def said(self, name: str) -> str:
        """Give what bag-info.txt says under *name*; empty if nothing."""
        found = re.search(rf"^{name}: (.*)$", self._text("bag-info.txt"), re.MULTILINE)
        return found[1] if found else ""

    def _signatures(self) -> Iterator[Finding]:
        signer = self.said(SIGNED_BY)
        present = {SIGNATURE, SECOND_SIGNATURE} & self.read.keys()
        if signer in {"", NOBODY}:
            yield from (Finding("added", path, "bag-info.txt says that nobody signed") for path in sorted(present))
            if self._published is not None:
                yield Finding("missing", SIGNATURE, "there are keys to check it by, but nobody signed this archive")
            self.signature = Signature("unsigned")
            return
        missing = [path for path in (SIGNATURE, SECOND_SIGNATURE) if path not in present]
        yield from (Finding("missing", path, f"bag-info.txt says that {signer} signed") for path in missing)
        if not missing:
            yield from self._signed_by(signer)

    def _signed_by(self, signer: str) -> Iterator[Finding]:
        beside = PublicKeys(self._bytes(ALLOWED_SIGNERS), (self._bytes(PUBLIC_PEM),))
        try:
            manifest, first, second = (self._bytes(path) for path in (TAG_MANIFEST, SIGNATURE, SECOND_SIGNATURE))
            moment = datetime.fromisoformat(self.said("Snapshot-At"))
            key_id = self._checker(Sealed(manifest, first, second, self._published or beside, moment))
        except NoToolError as error:
            self.signature = Signature("unchecked", says=str(error))
        except (ForgedError, ValueError) as error:
            yield Finding(
                "altered", SIGNATURE, f"it does not sign {TAG_MANIFEST}; one of the two was replaced: {error}"
            )
        else:
            if key_id == signer:
                self.signature = Signature("signed", key_id, trusted=self._published is not None)
            else:
                yield Finding("altered", SIGNATURE, f"it is by {key_id}, bag-info.txt says {signer}")

    def _bag_info(self) -> Iterator[Finding]:
        sizes = [self.read.at(number).size for number, path in enumerate(self.read) if _is_payload(path)]
        said, oxum = self.said("Payload-Oxum"), f"{sum(sizes)}.{len(sizes)}"
        if said != oxum:
            yield Finding("altered", "bag-info.txt", f"it has Payload-Oxum {said or None}, found were {oxum}")
        named = re.sub(r"[^A-Za-z0-9._-]", "_", self.said("External-Identifier"))
        if self._files.base not in {"", named}:
            yield Finding("altered", "bag-info.txt", f"it is of {named or 'no archive'}, not of {self._files.base}")

    def _descriptor(self) -> Iterator[Finding]:
        try:
            said = json.loads(self._text(DESCRIPTOR))["resources"]
            resources = [(one["name"], f"data/{one['path']}", one) for one in said]
        except MALFORMED as error:
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
        self.rows[name] = self._rows_at[path] = self._rows(path, read, _counted(said))
        if self.rows[name] != said.get("rows"):
            yield Finding("altered", path, f"it has {self.rows[name]} rows, {DESCRIPTOR} says {said.get('rows')}")

    def _rows(self, path: str, read: Read, counted: Counting) -> int:
        found = read.records if counted == "records" else read.lines
        if found is None:
            # Read as a part of something else, in which nobody wanted to know: a file that is in a delta's base.
            taking = Taking(counted)
            with self._files.open(path) as opened:
                taking.all_of(opened, lambda: None)
            found = taking.read.records if counted == "records" else taking.read.lines
        # A CSV begins with a header.
        return (found or 0) - (counted == "records")

    def _completeness(self) -> Iterator[Finding]:
        try:
            said = json.loads(self._text(COMPLETENESS))
            files = [(one["table"], file["path"], one["rows"]) for one in said["tables"] for file in one["files"]]
            also = [file["path"] for one in said["tables"] for file in one.get("also", ())]
            together = [file["path"] for file in said.get("together", ())]
            empty = [one["table"] for one in said["tables"] if not (one["files"] or one.get("also") or together)]
            objects = sum(one.get("files", 0) for one in said["objects"])
        except MALFORMED as error:
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

    def _text(self, path: str) -> str:
        return self._bytes(path).decode("utf-8", "replace")

    def _bytes(self, path: str) -> bytes:
        if not self.read.get(path, Read(0, "")).sha256:
            return b""
        with self._files.open(path) as opened:
            return opened.read()


def a_digest(text: str) -> str:
    """Read a SHA-256 as programs write it, PowerShell's in capitals; raises ArgumentTypeError if it is none."""
    plain = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256: that has 64 digits, from 0 to 9 and a to f")
    return plain


def main(arguments: list[str]) -> int:
    """Check the archive named in *arguments*, or the one that this file lies in; gives the exit code."""
    parser = argparse.ArgumentParser(description="Check that an archive is complete, unaltered and signed.")
    parser.add_argument("archive", nargs="?", type=Path, default=Path(__file__).parent, help="a .zip or a folder")
    parser.add_argument("sha256", nargs="?", type=a_digest, help="what the ZIP's SHA-256 must be")
    parser.add_argument("--keys", type=Path, help=f"a folder with the published {ALLOWED_SIGNERS} and {PUBLIC_PEM}")
    parser.add_argument("--base", type=Path, help="the archive that a delta is to be joined with: a .zip or a folder")
    given = parser.parse_args(arguments)
    verdict = verify(given.archive, given.sha256, given.keys, base=given.base)
    lines = [f"{found.kind}: {found.path}: {found.says}" for found in verdict.findings]
    # Of what can't be read it isn't known.
    named = f"{verdict.export_id} of {verdict.customer}, as of {verdict.snapshot_at}"
    whose = f"{named if verdict.export_id else given.archive}: "
    tally = f"{verdict.files} files, {verdict.size} bytes, {len(verdict.findings)} findings"
    print("\n".join([*lines, f"{whose}{verdict.told}", tally]))  # noqa: T201 - handed on alone, it has no other voice
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
