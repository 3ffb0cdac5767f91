"""Where archives may be sent is written down by operators; what is wrong there is named, and no value repeated (P9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.exporter.destinations import DestinationsError, check_destinations, destination_of
from shared.declared import destinations_file

GOOD = """
version: 1
destinations:
  new-provider:
    customers: [acme]
    endpoint: https://s3.example.org/
    region: eu-north-1
    bucket: incoming
    prefix: from-us/
    credentials: {kind: environment, access_key: FAR_ACCESS, secret_key: FAR_SECRET}
"""
KEYS = {"FAR_ACCESS": "AKIAFAR", "FAR_SECRET": "hush-hush"}
IN_FILE = "{kind: file, path: keys.ini}"
FROM_ENVIRONMENT = "{kind: environment, access_key: FAR_ACCESS, secret_key: FAR_SECRET}"


def written(folder: Path, text: str) -> Path:
    """Write the operators' file."""
    path = folder / "destinations.yaml"
    path.write_text(text)
    return path


def test_what_is_written_down(tmp_path: Path) -> None:
    """A destination has its place and its keys, and shows no secret."""
    found = destination_of(written(tmp_path, GOOD), "new-provider", "acme", KEYS)

    assert (found.address.endpoint, found.bucket, found.key_of("e-1", "s3://exports/acme/e-1.zip")) == (
        "https://s3.example.org",
        "incoming",
        "from-us/e-1.zip",
    )
    assert (found.address.access_key, found.address.secret_key) == ("AKIAFAR", "hush-hush")
    assert "hush" not in repr(found)


def test_the_keys_in_a_file(tmp_path: Path) -> None:
    """As AWS' own tools have it, beside the list or anywhere."""
    (tmp_path / "keys.ini").write_text("[default]\naws_access_key_id = AKIAFAR\naws_secret_access_key = hu%sh\n")
    path = written(tmp_path, GOOD.replace(FROM_ENVIRONMENT, IN_FILE))

    assert destination_of(path, "new-provider", "acme", {}).address.secret_key == "hu%sh"


@pytest.mark.parametrize(
    "text",
    ["hush-hush", "[default]\naws_access_key_id = hush-hush", "[other]\nhush = hush-hush", ""],
    ids=["no file of this kind", "half", "another profile", "empty"],
)
def test_a_file_without_keys(tmp_path: Path, text: str) -> None:
    """What isn't such a file is told without a word of it."""
    (tmp_path / "keys.ini").write_text(text)
    with pytest.raises(DestinationsError, match=r"new-provider\.credentials\.path") as told:
        destination_of(written(tmp_path, GOOD.replace(FROM_ENVIRONMENT, IN_FILE)), "new-provider", "acme", {})

    assert "hush" not in f"{told.value}{told.value.__cause__}"


@pytest.mark.parametrize(
    ("find", "put", "field"),
    [
        ("version: 1", "version: 2", "version"),
        ("customers: [acme]", "customers: []", "customers"),
        ("    customers: [acme]\n", "", "customers"),
        ("https://s3.example.org/", "http://hush.example.org", "endpoint"),
        ("https://s3.example.org/", "http://127.0.0.1.hush.org", "endpoint"),
        ("https://s3.example.org/", "https://user:hush@example.org", "endpoint"),
        ("https://s3.example.org/", "https://example.org/?hush", "endpoint"),
        ("https://s3.example.org/", "https://", "endpoint"),
        ("https://s3.example.org/", "file:///hush", "endpoint"),
        ("bucket: incoming", "bucket: Hush/../hush", "bucket"),
        ("prefix: from-us/", "prefix: ../hush/", "prefix"),
        ("prefix: from-us/", "prefix: hush", "prefix"),
        ("prefix: from-us/", "prefix: /hush/", "prefix"),
        ("secret_key: FAR_SECRET", "secret_key: hush-hush", "secret_key"),
        ("kind: environment", "kind: hush", "credentials"),
        ("region: eu-north-1", "region: eu-north-1\n    hidden: hush", "hidden"),
        ("bucket: incoming", "bucket: incoming\n    bucket: hush", "line"),
        ("version: 1", "version: [hush", "line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, find: str, put: str, field: str) -> None:
    """The field is named, and what stands in it isn't repeated: it could be a key."""
    path = written(tmp_path, GOOD.replace(find, put))
    with pytest.raises(DestinationsError, match=field) as told:
        check_destinations(path)

    assert "hush" not in f"{told.value}{told.value.__cause__}".lower()


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    """A variable that isn't set is told by the field that names it; the list itself is fine."""
    path = written(tmp_path, GOOD.replace("FAR_ACCESS", "AKIAHUSH"))
    assert check_destinations(path) == ("new-provider",)
    with pytest.raises(DestinationsError, match=r"credentials\.access_key: names a variable") as told:
        destination_of(path, "new-provider", "acme", {"FAR_SECRET": "x"})

    assert "HUSH" not in str(told.value)


def test_the_list_that_comes_along_sends_nothing_anywhere() -> None:
    """Without a list of one's own nothing can be delivered."""
    assert check_destinations(destinations_file({})) == ()
    with pytest.raises(DestinationsError, match="OFFRAMP_DESTINATIONS"):
        check_destinations(Path("/nowhere/destinations.yaml"))
