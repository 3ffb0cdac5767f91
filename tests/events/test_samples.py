"""Every event ever published stays readable: one sample for each event and version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.events.catalogue import INSTRUCTIONS
from shared.events.envelope import Record, read, read_instruction, write
from shared.events.versions import all_versions

SAMPLES = Path(__file__).parents[1] / "samples"
WRITTEN = sorted(path.relative_to(SAMPLES) for path in SAMPLES.glob("*/v*.json"))


def arrived(sample: Path) -> Record:
    value = (SAMPLES / sample).read_bytes()
    return Record(sample.parent.name, 0, 0, 1_700_000_000_000, None, value, ())


@pytest.mark.parametrize("sample", [one for one in WRITTEN if one.parent.name not in INSTRUCTIONS], ids=str)
def test_every_sample_is_readable(sample: Path) -> None:
    """Whatever was published once can be read for ever, and names its version."""
    fact = read(arrived(sample))
    envelope = json.loads((SAMPLES / sample).read_text())

    assert fact.id == envelope["id"]
    assert envelope["dataschema"] == f"urn:offramp:{sample.parent.name}:{sample.stem}"
    assert fact.event.type() == sample.parent.name


@pytest.mark.parametrize("sample", [one for one in WRITTEN if one.parent.name not in INSTRUCTIONS], ids=str)
def test_a_sample_of_the_newest_version_is_written_again_as_it_was(sample: Path) -> None:
    """No field of a sample is lost on the way through a service, so a sample shows every field that it fills."""
    fact = read(arrived(sample))
    envelope = json.loads((SAMPLES / sample).read_text())

    if envelope["dataschema"].endswith(f":v{type(fact.event).version}"):
        assert json.loads(write(fact)[0]) == envelope


@pytest.mark.parametrize("sample", [one for one in WRITTEN if one.parent.name not in INSTRUCTIONS], ids=str)
def test_the_data_alone_is_the_same_event(sample: Path) -> None:
    """A tool that writes plain JSON is understood, whichever version was the newest when it was written."""
    data = json.dumps(json.loads((SAMPLES / sample).read_text())["data"]).encode()

    assert read(replace(arrived(sample), value=data)).event == read(arrived(sample)).event


@pytest.mark.parametrize("sample", [one for one in WRITTEN if one.parent.name in INSTRUCTIONS], ids=str)
def test_every_sample_of_an_instruction_is_readable_as_operators_type_it(sample: Path) -> None:
    """An instruction is plain JSON, as a console producer sends it."""
    instruction = read_instruction(arrived(sample))

    assert instruction.model_dump(mode="json") == json.loads((SAMPLES / sample).read_text())


def test_every_event_and_version_has_its_sample() -> None:
    """An event, or a version of one, can't be added without a sample, nor a sample be left without its event."""
    events = {Path(name) / f"v{version}.json" for name, version in all_versions()}
    instructions = {Path(name) / f"v{model.version}.json" for name, model in INSTRUCTIONS.items()}

    assert set(WRITTEN) == events | instructions
