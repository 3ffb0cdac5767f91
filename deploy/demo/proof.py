"""The proof of one demo run: what is left, who was touched, and both documents checked with tools that aren't ours."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from deploy.platform.generate import BUCKET
from shared.datamap.model import DataMap
from shared.datamap.ownership import owned_by, relation
from shared.events.exporter import ExportReady
from shared.events.retention import AccountClosed
from shared.objects import ObjectStore

from .ground import Ground
from .watch import StoryError

if TYPE_CHECKING:
    from asyncpg import Connection


@dataclass(frozen=True)
class Holdings:
    """What the platform has of one customer: rows and a digest per table, and its objects."""

    tables: dict[str, tuple[int, str]]
    objects: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> int:
        """Count the rows."""
        return sum(rows for rows, _ in self.tables.values())


@dataclass(frozen=True)
class Checked:
    """One check by a stock tool: the *command* to paste, and what it *said*."""

    command: str
    said: str


async def holdings(ground: Ground, data_map: DataMap, customer: str) -> Holdings:
    """Look at all the platform has of *customer*, with plain SQL and a listing."""
    connection = await asyncpg.connect(ground.dsns["platform"])
    try:
        tables = {table.name: await _digest(connection, data_map, table.name, customer) for table in data_map.tables}
    finally:
        await connection.close()
    async with ObjectStore(ground.settings.s3) as store:
        objects = tuple(sorted([(one.key, one.etag) async for one in store.list(BUCKET, f"{customer}/")]))
    return Holdings(tables, objects)


async def _digest(connection: Connection, data_map: DataMap, name: str, customer: str) -> tuple[int, str]:
    table = next(table for table in data_map.tables if table.name == name)
    query = DIGEST.format(table=relation(name), owned=owned_by(data_map, table, "t", "$1"))
    (row,) = await connection.fetch(query, customer)
    return row["rows"], row["digest"] or ""


async def fetch_archive(ground: Ground, ready: ExportReady) -> Path:
    """Fetch the archive as its customer would, into the run's folder; in volumes it wasn't asked for."""
    target = ground.folder / "archive.zip"
    (one,) = ready.volumes
    bucket, key = _parts(one.place)
    async with ObjectStore(ground.settings.s3) as store:
        with target.open("wb") as file:
            async for piece in store.stream(bucket, key):
                file.write(piece)
    return target


async def fetch_certificate(ground: Ground, closed: AccountClosed) -> Path:
    """Fetch a certificate with its signatures, into a folder of the run's."""
    folder = ground.folder / f"certificate-{closed.customer_id}"
    folder.mkdir()
    bucket, key = _parts(closed.certificate)
    prefix = key.rpartition("/")[0] + "/"
    async with ObjectStore(ground.settings.s3) as store:
        async for one in store.list(bucket, prefix):
            (folder / one.key.removeprefix(prefix)).write_bytes(await store.get(bucket, one.key))
    return folder


def check_archive(archive: Path, ready: ExportReady) -> list[Checked]:
    """Check the archive's whole digest, each file against the bag's manifest (RFC 8493), and both signatures."""
    whole = _run(f"echo '{ready.sha256}  {archive.name}' | sha256sum -c", archive.parent)
    target = archive.parent / "archive"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(target)
    bag = next(target.rglob("bagit.txt")).parent
    every = "sha256sum --quiet -c tagmanifest-sha256.txt manifest-sha256.txt && echo every file is as it was written"
    return [whole, _run(every, bag), *_signatures("tagmanifest-sha256.txt", "offramp-archive", bag)]


def check_certificate(folder: Path, closed: AccountClosed) -> list[Checked]:
    """Check a certificate's digest and both signatures, with whichever of the stock tools are here."""
    name = "certificate.json"
    whole = _run(f"echo '{closed.certificate_sha256}  {name}' | sha256sum -c", folder)
    return [whole, *_signatures(name, "offramp", folder), *_paper(closed, folder)]


def _paper(closed: AccountClosed, folder: Path) -> list[Checked]:
    """Check the paper: that it names the certificate's digest, and its own signature."""
    if not (shutil.which("pdfsig") and shutil.which("pdftotext")):
        return []
    named = f"pdftotext certificate.pdf - | grep {closed.certificate_sha256}"
    return [_run(one, folder) for one in (named, "pdfsig -nocert certificate.pdf | grep 'Signature is Valid'")]


def _signatures(name: str, purpose: str, folder: Path) -> list[Checked]:
    checks = []
    if shutil.which("ssh-keygen"):
        verify = f"ssh-keygen -Y verify -f allowed_signers -I offramp -n {purpose} -s {name}.sshsig < {name}"
        checks.append(_run(verify, folder))
    if shutil.which("openssl"):
        verify = f"openssl dgst -sha256 -verify signing.pub.pem -signature {name}.sig {name}"
        checks.append(_run(verify, folder))
    return checks


def _run(command: str, folder: Path) -> Checked:
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StoryError(f"in {folder}: {command}\n{done.stdout}{done.stderr}")
    return Checked(f"cd {folder} && {command}", done.stdout.strip().splitlines()[-1])


def _parts(place: str) -> tuple[str, str]:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key


DIGEST = """
    select count(*) as rows, md5(string_agg(t::text, E'\\n' order by t::text)) as digest
      from {table} t where {owned}
"""
