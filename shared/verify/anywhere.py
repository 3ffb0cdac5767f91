"""Archives wherever they lie, in a folder or in a store, and encrypted for a key that is here, checked where they are.

What lies in a store is read there, piece by piece; what is encrypted is decrypted as it is read. Nothing is written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ..age.decrypted import decrypted
from ..age.header import read_header
from ..age.identity import Identity, identities_in
from ..errors import OperatorError
from ..objects import ObjectStore
from ..ranged import opened
from ..settings import read_settings
from .archive import Checked, Finding, Verdict, Volume, checked, checked_volumes, is_encrypted, published, volumes_of
from .by_library import by_library
from .encrypted import Unopened
from .in_store import S3, lying_at


class NoIdentityError(OperatorError):
    """It is encrypted, and no key to it was given."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Checks archives by the public keys in the folder *keys*, else by those that came with them.

    *identities* decrypt what is encrypted; *store* is there if anything lies in one.
    """

    keys: Path | None
    identities: tuple[Identity, ...]
    store: ObjectStore | None

    async def checked(self, place: str, stack: ExitStack, base: Checked | None = None) -> Checked:
        """Check the archive at *place*, with its *base* if it is a delta, and keep it open for as long as *stack*.

        Raises NothingThereError, NoIdentityError, NotForThisKeyError, NotAgeError, StoreError, and OSError.
        """
        if await asyncio.to_thread(Path(place).is_dir):
            unpacked = checked(Path(place), None, self.keys, by_library, base)
            return await asyncio.to_thread(stack.enter_context, unpacked)
        volumes = [await self._volume(*one, stack) for one in await self._opened(place, stack)]
        known = await asyncio.to_thread(published, self.keys)
        checking = checked_volumes(volumes, (), known, by_library, base)
        return await asyncio.to_thread(stack.enter_context, checking)

    async def unopened(self, place: str, stack: ExitStack) -> Unopened | None:
        """Tell what can be told of it without a key, if it is encrypted and there is none; None if it can be read."""
        folder: bool = await asyncio.to_thread(Path(place).is_dir)
        if self.identities or folder:
            return None
        name, last = (await self._opened(place, stack))[-1]
        if not await asyncio.to_thread(is_encrypted, last):
            return None
        last.seek(0)
        header = await asyncio.to_thread(read_header, last, name)
        return Unopened(place, await asyncio.to_thread(_digest, last), header.recipients, ())

    async def _opened(self, place: str, stack: ExitStack) -> list[tuple[str, IO[bytes]]]:
        if not place.startswith(S3):
            # Opened here, so that closing them ends a thread that still reads.
            return [(path.name, stack.enter_context(path.open("rb"))) for path in volumes_of(Path(place))]
        if self.store is None:
            raise RuntimeError(f"{place} can't be read without a store")
        bucket = place.removeprefix(S3).partition("/")[0]
        found = await lying_at(self.store, place)
        return [(one.key.rpartition("/")[2], stack.enter_context(opened(self.store, bucket, one))) for one in found]

    async def _volume(self, name: str, file: IO[bytes], stack: ExitStack) -> Volume:
        """Give a volume to be read; its digest is that of what lies there, encrypted or not."""
        digest = await asyncio.to_thread(_digest, file)
        if not await asyncio.to_thread(is_encrypted, file):
            return Volume(name, file, digest)
        if not self.identities:
            raise NoIdentityError(f"{name} is encrypted. Name the file with your key: --identity KEY.")
        file.seek(0)
        inside = await asyncio.to_thread(decrypted, file, self.identities, name)
        return Volume(name, stack.enter_context(inside), digest)


@asynccontextmanager
async def reader(places: Sequence[str], keys: Path | None, identity: Path | None) -> AsyncIterator[Reader]:
    """Give what reads *places*: a store is connected to if one of them is in one; raises IdentityError."""
    identities = () if identity is None else identities_in(identity)
    async with AsyncExitStack() as stack:
        in_store = any(one.startswith(S3) for one in places)
        store = await stack.enter_async_context(ObjectStore(read_settings().s3)) if in_store else None
        yield Reader(keys, identities, store)


async def verify_anywhere(
    place: str, sha256: str | None, keys: Path | None, identity: Path | None, base: str | None
) -> Verdict | Unopened:
    """Check the archive at *place* as ``verify`` does, a delta together with its *base*, wherever either lies.

    *sha256* is of what lies there. Raises as ``Reader.checked`` does.
    """
    places = [place] if base is None else [place, base]
    async with reader(places, keys, identity) as read:
        with ExitStack() as stack:
            unopened = await read.unopened(place, stack)
            if unopened is not None:
                return Unopened(place, unopened.sha256, unopened.recipients, _compared(place, unopened.sha256, sha256))
            below = None if base is None else await read.checked(base, stack)
            verdict = (await read.checked(place, stack, below)).verdict
            return replace(verdict, findings=(*_compared(place, verdict.sha256, sha256), *verdict.findings))


def _compared(place: str, found: str, announced: str | None) -> tuple[Finding, ...]:
    named = place.rpartition("/")[2]
    return () if announced in {None, found} else (Finding("altered", named, f"its SHA-256 is {found}"),)


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
