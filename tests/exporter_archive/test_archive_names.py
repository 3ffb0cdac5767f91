"""Object keys may be anything; names in the archive are safe on every file system."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.exporter.archive.names import SafeNames, is_packed

SAFE = re.compile(r"[\w. ()+,=@~-]+(/[\w. ()+,=@~-]+)*")


@pytest.mark.parametrize("key", ["a.mp4", "deep/er/film one (2).mp4", "räksmörgås.txt", "日本語.pdf", "x.tar.gz"])
def test_a_safe_key_is_its_own_name(key: str) -> None:
    """Most names are ordinary, and stay readable."""
    assert SafeNames().path("media", key) == f"media/{key}"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/../../etc/passwd", r"a_____etc_passwd~\w{16}"),
        ("/etc/passwd", r"__etc_passwd~\w{16}"),
        ("a\\b.txt", r"a_b~\w{16}\.txt"),
        ("line\nend.txt", r"line_end~\w{16}\.txt"),
        ("100%.txt", r"100_~\w{16}\.txt"),
        ("folder/", r"folder__~\w{16}"),
        ("NUL.txt", r"_NUL~\w{16}\.txt"),
        ("e\u0301.txt", r"e_~\w{16}\.txt"),
        ("\u202egpj.exe", r"_gpj~\w{16}\.exe"),
        ("x" * 1000 + ".mp4", r"x{120}~\w{16}\.mp4"),
        ("日本" * 30 + ".mp4", r"[日本]{40}~\w{16}\.mp4"),
        ("com¹.txt", r"_com¹~\w{16}\.txt"),
        ("aux .txt", r"_aux ~\w{16}\.txt"),
        (" .xml", r"xml~\w{16}\.xml"),
    ],
)
def test_an_unsafe_key_gets_a_tame_name_with_a_digest(key: str, name: str) -> None:
    """What some file system or tool would stumble over is replaced, and the digest keeps it apart from others."""
    assert re.fullmatch(f"media/{name}", SafeNames().path("media", key))


def test_a_long_name_keeps_its_suffix() -> None:
    """Under the name that a row gives the file too, whatever the object is called."""
    assert re.fullmatch(r"media/x{120}~\w{16}\.mp4", SafeNames().named("media", "x" * 300 + ".mp4", "ab/abcdef"))


def test_keys_that_differ_in_case_only_do_not_overwrite_each_other() -> None:
    """Windows and macOS take them for one file."""
    names = SafeNames()

    assert names.path("media", "a/Film.mp4") == "media/a/Film.mp4"
    assert names.path("media", "a/film.mp4") != "media/a/film.mp4"


@pytest.mark.parametrize("keys", [("a", "a/b"), ("a/b", "a"), ("A/b", "a")])
def test_a_file_is_never_another_files_folder(keys: tuple[str, str]) -> None:
    """S3 allows both, a file system one of them."""
    names = SafeNames()
    first, second = (names.path("media", key) for key in keys)

    assert first == f"media/{keys[0]}"
    assert "~" in second


@given(some.lists(some.text(alphabet="aA./~\\ \n%é\u0301", min_size=1, max_size=8), unique=True))
def test_no_two_keys_share_a_path(keys: list[str]) -> None:
    """Whatever the keys are: all paths are safe, distinct when case is folded, and none is a folder of another."""
    names = SafeNames()
    paths = [names.path("media", key).casefold() for key in keys]

    assert len(set(paths)) == len(keys)
    assert all(SAFE.fullmatch(path) and ".." not in path.split("/") for path in paths)
    assert not any(other.startswith(f"{path}/") for path in paths for other in paths)


def test_two_folders_that_become_one_share_no_path() -> None:
    """What is replaced in a bucket's name can't make its files another bucket's."""
    names = SafeNames()

    assert len({names.path(folder, "a.txt").casefold() for folder in ("x_", "x?", "x*", "X_")}) == 4


def test_what_is_packed_already_is_known_by_its_suffix() -> None:
    """Deflating a film costs time and saves nothing."""
    assert is_packed("a/B.MP4")
    assert not is_packed("a/b.svg")
    assert not is_packed("mp4")
