"""What a person read off another tool is taken as that tool writes it; what we write is always the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.events.envelope import Record, Unreadable, read, write
from shared.events.event import Event

SAMPLES = Path(__file__).parents[1] / "samples"
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def arrived(name: str, *, plain: bool, **changes: str) -> Event:
    """Read the sample *name* with some fields changed, as a CloudEvent or as plain JSON."""
    envelope = json.loads((SAMPLES / name / "v1.json").read_text(encoding="utf-8"))
    envelope["data"] |= changes
    value = json.dumps(envelope["data"] if plain else envelope).encode()
    fact = read(Record(name, 0, 0, 1_700_000_000_000, None, value, ()))
    again = read(Record(name, 0, 0, 1_700_000_000_000, None, write(fact)[0], ()))
    assert again.event == fact.event
    return fact.event


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("given", [SHA, SHA.upper(), SHA[:32] + SHA[32:].upper()])
def test_a_checksum_is_confirmed_in_either_case(given: str, *, plain: bool) -> None:
    """``Get-FileHash`` of Windows writes it in upper case, and a confirmation of that is no dead letter."""
    assert arrived("ExportConfirmed", plain=plain, sha256=given).model_dump()["sha256"] == SHA


@pytest.mark.parametrize("given", [SHA[:-1], SHA + "0", "G" + SHA[1:], f"SHA256:{SHA}"])
def test_what_is_no_checksum_is_none_in_either_case(given: str) -> None:
    """Nothing else is guessed."""
    with pytest.raises(Unreadable, match="sha256: "):
        arrived("ExportConfirmed", plain=True, sha256=given)


@pytest.mark.parametrize("plain", [True, False])
def test_an_export_may_be_asked_for_in_the_language_of_the_contract(*, plain: bool) -> None:
    """A contract says ``sv-SE``; whoever passes that on gets an archive, not a dead letter."""
    assert arrived("ExportRequested", plain=plain, language="sv-SE").model_dump()["language"] == "sv-se"
