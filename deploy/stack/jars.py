"""Kafka's jars: those whose digests are committed, from Maven's central repository, kept in a cache of the user's."""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import OperatorError

if TYPE_CHECKING:
    import requests

COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.kafka:kafka-tools:4.3.1",
    "org.slf4j:slf4j-simple:1.7.36",
)
# What `jgo` resolves COORDINATES to, as `sha256sum` writes it; a path is the jar's in a Maven repository.
LOCK = Path(__file__).with_name("jars.sha256")
_REPOSITORY = Path("~/.m2/repository").expanduser()
_AT_ONCE = 8
_SECONDS = 60


def read_lock(lock: Path = LOCK) -> dict[str, str]:
    """Read the digest of every jar by its path; raises ``OperatorError``."""
    try:
        rows = [line.split() for line in lock.read_text().splitlines()]
        return {path: digest for digest, path in rows}
    except (FileNotFoundError, ValueError) as error:
        msg = f"{lock} is missing or broken: restore it from the repository, or make it with `offramp stack jars`."
        raise OperatorError(msg) from error


def class_path(cache: Path, lock: Mapping[str, str] | None = None) -> list[Path]:
    """Give every jar's path in *cache*, each checked against its digest; what is missing is fetched.

    Raises ``OperatorError`` for a jar that can't be had or is not the one that was locked.
    """
    wanted = read_lock() if lock is None else lock
    folder = cache / "jars"
    missing = {path: digest for path, digest in wanted.items() if not (folder / path).is_file()}
    if missing:
        _fetch_all(folder, missing)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda jar: _check(folder / jar[0], jar[1]), wanted.items()))
    return [folder / path for path in wanted]


def _fetch_all(folder: Path, missing: Mapping[str, str]) -> None:
    # Imported late: once the jars are there, nobody should wait for these.
    import requests  # noqa: PLC0415 - only where jars are missing
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - only where jars are missing

    repository = os.environ.get("OFFRAMP_MAVEN", MAVEN_CENTRAL_URL).rstrip("/")
    with requests.Session() as session, ThreadPoolExecutor(_AT_ONCE) as pool:
        session.verify = _certificates()
        list(pool.map(lambda jar: _fetch(session, f"{repository}/{jar[0]}", folder / jar[0], jar[1]), missing.items()))


def _certificates() -> str | bool:
    """Trust whom this machine trusts, such as a company's proxy; the library knows only the world's own."""
    known = ssl.get_default_verify_paths()
    if known.cafile:
        return known.cafile
    # As OpenSSL names them by their hashes; an empty folder would trust nobody.
    return known.capath if known.capath and any(Path(known.capath).glob("*.0")) else True


def _fetch(session: requests.Session, url: str, jar: Path, digest: str) -> None:
    import requests  # noqa: PLC0415 - only where jars are missing

    try:
        answer = session.get(url, timeout=_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        msg = f"{url} can't be fetched ({error}): check the network, or name a mirror of Maven in OFFRAMP_MAVEN."
        raise OperatorError(msg) from error
    found = hashlib.sha256(answer.content).hexdigest()
    if found != digest:
        msg = f"{url} has the SHA-256 {found}, not {digest} as {LOCK.name} says: nothing of it was kept."
        raise OperatorError(msg)
    _store(jar, answer.content)


def _store(target: Path, content: bytes) -> None:
    """Write so that a second run at the same time, or one that is cut off, never leaves half a jar."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as half:
        half.write(content)
    # The database's user aside, others of this machine may share the cache.
    Path(half.name).chmod(0o644)
    Path(half.name).replace(target)


def _check(jar: Path, digest: str) -> None:
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != digest:
        msg = f"{jar} has the SHA-256 {found}, not {digest} as {LOCK.name} says: delete it and start again."
        raise OperatorError(msg)


def resolve() -> dict[str, str]:
    """Let jgo work out anew, over a minute, which jars COORDINATES need; returns their digests by path."""
    # Imported late: nobody else needs the resolver.
    import jgo  # noqa: PLC0415 - only where jars are missing

    found = [artifact.resolve() for artifact in jgo.resolve("+".join(COORDINATES))]
    jars = sorted(jar.relative_to(_REPOSITORY).as_posix() for jar in found if jar.suffix == ".jar")
    return {jar: hashlib.sha256((_REPOSITORY / jar).read_bytes()).hexdigest() for jar in jars}


def write_lock(jars: Mapping[str, str], lock: Path = LOCK) -> None:
    """Write *jars* as `sha256sum` does."""
    lock.write_text("".join(f"{digest}  {path}\n" for path, digest in jars.items()))
