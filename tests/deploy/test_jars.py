"""Only jars whose digests are committed are run."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.stack import jars
from shared.errors import OperatorError

CONTENT = b"a jar"
LOCK = {"org/example/a/1/a-1.jar": hashlib.sha256(CONTENT).hexdigest()}
JAR = next(iter(LOCK))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a Maven repository of one jar from a folder."""
    folder = tmp_path / "repository"
    (folder / JAR).parent.mkdir(parents=True)
    (folder / JAR).write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OFFRAMP_MAVEN", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield folder
        server.shutdown()


def test_a_jar_is_fetched_once(repository: Path, tmp_path: Path) -> None:
    """A jar is fetched into the cache, and found there when the repository is gone."""
    first = jars.class_path(tmp_path / "cache", LOCK)
    (repository / JAR).unlink()

    assert jars.class_path(tmp_path / "cache", LOCK) == first
    assert first[0].read_bytes() == CONTENT


def test_another_jar_is_not_kept(repository: Path, tmp_path: Path) -> None:
    """A jar with another digest than the committed one is refused, and nothing of it stays."""
    (repository / JAR).write_bytes(b"another jar")

    with pytest.raises(OperatorError, match=r"a-1\.jar has the SHA-256"):
        jars.class_path(tmp_path / "cache", LOCK)

    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []


def test_a_missing_jar_is_a_sentence(repository: Path, tmp_path: Path) -> None:
    """A jar that the repository does not have is named, with what to do."""
    (repository / JAR).unlink()

    with pytest.raises(OperatorError, match=r"a-1\.jar can't be fetched.*OFFRAMP_MAVEN"):
        jars.class_path(tmp_path / "cache", LOCK)


def test_a_jar_that_changed_in_the_cache_is_refused(repository: Path, tmp_path: Path) -> None:
    """The digests are checked at every start, so a jar that was exchanged in the cache is not run."""
    (jar,) = jars.class_path(tmp_path / "cache", LOCK)
    jar.write_bytes(b"exchanged")

    with pytest.raises(OperatorError, match="delete it and start again"):
        jars.class_path(tmp_path / "cache", LOCK)


def test_a_jar_that_nobody_locked_is_not_run(repository: Path, tmp_path: Path) -> None:
    """What else lies in the cache is not on the class path."""
    (tmp_path / "cache" / "jars").mkdir(parents=True)
    (tmp_path / "cache" / "jars" / "stranger.jar").write_bytes(b"x")

    assert [jar.name for jar in jars.class_path(tmp_path / "cache", LOCK)] == ["a-1.jar"]


def test_a_broken_lock_is_a_sentence(tmp_path: Path) -> None:
    """Without the committed digests nothing is run."""
    (tmp_path / "half").write_text("only-a-digest\n")

    for lock in (tmp_path / "none", tmp_path / "half"):
        with pytest.raises(OperatorError, match="missing or broken"):
            jars.read_lock(lock)


def test_the_committed_lock_holds_the_named_versions() -> None:
    """The lock was made from the coordinates that the code names."""
    locked = jars.read_lock()

    for coordinate in jars.COORDINATES:
        group, artifact, version = coordinate.split(":")
        assert f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar" in locked
