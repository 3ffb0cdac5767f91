"""Whom an archive is encrypted for goes from the request to the work, and is told as it was done."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.exporter.tasks import BuildArchive
from shared.events.exporter import ExportFailed, ExportReady
from shared.events.platform import ExportConfirmed, ExportRequested
from tests.exporter.language import OVER, built, in_window, not_built, performed, request

PUBLIC = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def asked(request_id: str = "r1") -> ExportRequested:
    return request(OVER, request_id).model_copy(update={"encrypt_to": (PUBLIC,)})


def test_it_is_ordered_and_told() -> None:
    """The first try and the second are for the same keys; ExportReady says for whom, and where it lies."""
    work = in_window()
    work.tell(asked())
    first = work.ordered.pop(0)[1]
    work.tell(not_built(first))
    again = work.ordered.pop(0)[1]
    assert isinstance(first, BuildArchive)
    assert isinstance(again, BuildArchive)
    work.tell(built(again))

    assert (first.encrypt_to, again.encrypt_to) == ((PUBLIC,), (PUBLIC,))
    ready = work.one(ExportReady)
    assert (ready.encrypted_to, ready.volumes[-1].place[-8:]) == ((PUBLIC,), ".zip.age")


def test_unasked_nothing_is_encrypted() -> None:
    """Whoever names no key can read what is given."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)

    assert work.one(ExportReady).encrypted_to == ()


def test_what_was_not_encrypted_is_not_given() -> None:
    """A worker of a release that knows no encryption makes none: that is no answer to who asked for it."""
    work = in_window()
    work.tell(asked())
    work.tell(built(work.ordered.pop(0)[1]).model_copy(update={"encrypted_to": (), "place": "s3://exports/acme/e.zip"}))

    assert work.one(ExportFailed).reason == "not_encrypted"
    assert work.all(ExportReady) == []
    (copy,) = work.state.known.archives
    assert not copy.announced


@pytest.mark.parametrize(
    "key",
    [
        "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyv8Fku3s0Z0m8mGZk6k1XJHq0nYc6aZJ0tqjIu0m1X ann@acme.test",
        "ann@acme.test",
        "",
    ],
)
def test_what_is_no_public_key_is_no_request(key: str) -> None:
    """A secret key or a person has no room in an event."""
    with pytest.raises(ValidationError):
        ExportRequested.model_validate(request(OVER).model_dump() | {"encrypt_to": [key]})


def test_what_lies_there_is_what_is_confirmed() -> None:
    """A confirmation names the digest of the encrypted file: the one that an outsider can compute."""
    work = in_window()
    work.tell(asked())
    work.perform(performed)
    ready = work.one(ExportReady)
    work.tell(
        ExportConfirmed(
            customer_id="acme", export_id=ready.export_id, sha256=ready.sha256, confirmed_by="head-1", confirmed_at=OVER
        )
    )

    assert work.ordered
