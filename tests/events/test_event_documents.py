"""The documents say what the models say, and are what the tools of others accept."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from event_strategies import facts
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from typer.testing import CliRunner

from shared.errors import OperatorError
from shared.events.catalogue import EVENTS
from shared.events.commands import TOPICS, app, drift, traffic_of
from shared.events.documents import Traffic, asyncapi, documents, schemas
from shared.events.envelope import write

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs/events"
# From the npm package @asyncapi/specs 6.11.1 (Apache-2.0), schemas/3.0.0-without-$id.json, unchanged but for spaces.
META_SCHEMA = json.loads(gzip.decompress((Path(__file__).parent / "asyncapi-3.0.0.schema.json.gz").read_bytes()))
TRAFFIC = Traffic({"ContractTerminated": ["notice", "platform"]}, {"ContractTerminated": ["exporter", "retention"]})


def resolved(part: Any, whole: Any) -> Any:
    """Put the files that a document refers to in their places, as its readers do."""
    if isinstance(part, list):
        return [resolved(one, whole) for one in part]
    if not isinstance(part, dict):
        return part
    target = part.get("$ref", "")
    if target.startswith("./"):
        schema = json.loads((KEPT / target).read_text())
        return resolved(schema, schema)
    if target.startswith("#/$defs/"):
        return resolved(whole["$defs"][target.removeprefix("#/$defs/")], whole)
    return {name: resolved(one, whole) for name, one in part.items() if name != "$defs"}


def test_the_kept_documents_are_what_the_models_say() -> None:
    """A changed model is committed together with its documents."""
    topics = ROOT / TOPICS

    assert drift(KEPT, documents(traffic_of(topics) if topics.exists() else Traffic())) == []


def test_the_asyncapi_document_is_one_by_asyncapis_own_schema() -> None:
    """With every referenced schema in its place, so that those are checked as well."""
    document = asyncapi(TRAFFIC)
    whole = resolved(document, document)

    assert [error.message for error in Draft7Validator(META_SCHEMA).iter_errors(whole)] == []


def test_asyncapis_own_schema_finds_a_mistake() -> None:
    """The check can fail: an operation that neither sends nor receives."""
    document = asyncapi(TRAFFIC)
    document["operations"]["notice-sends-NoticeAccepted"]["action"] = "shouts"

    assert not Draft7Validator(META_SCHEMA).is_valid(document)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """The schema of AsyncAPI doesn't follow references."""
    document = asyncapi(TRAFFIC)
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
    for name, channel in document["channels"].items():
        assert channel["messages"] == {name: {"$ref": f"#/components/messages/{name}"}}
    for message in document["components"]["messages"].values():
        assert (KEPT / message["payload"]["allOf"][1]["properties"]["data"]["$ref"]).is_file()


def test_the_operations_are_those_of_the_declared_traffic() -> None:
    """Who writes and reads is declared per topic; a topic that isn't declared is written by its event's owner."""
    operations = asyncapi(TRAFFIC)["operations"]

    assert {name for name in operations if name.endswith("-ContractTerminated")} == {
        "notice-sends-ContractTerminated",
        "platform-sends-ContractTerminated",
        "exporter-receives-ContractTerminated",
        "retention-receives-ContractTerminated",
    }
    assert "exporter-sends-ExportReady" in operations
    assert {name for name in operations if name.endswith("-sends-DeadlineApproaching")} == {
        f"{service}-sends-DeadlineApproaching" for service in ("notice", "exporter", "retention")
    }


every_schema = cache(schemas)


@cache
def published(name: str) -> Draft202012Validator:
    """Give the check by an event's published schema, which is a schema."""
    schema = every_schema()[name, EVENTS[name].version]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@settings(max_examples=20, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", sorted(EVENTS))
def test_what_is_written_fits_its_published_schema(name: str, data: st.DataObject) -> None:
    """Whoever checks our events by the JSON Schema finds them good."""
    envelope = json.loads(write(data.draw(facts(EVENTS[name])))[0])

    published(name).validate(envelope["data"])


def test_a_schema_asks_for_the_kind_that_decides_what_is_read() -> None:
    """In Python the kind has a default; on the wire an outcome without a kind is unreadable."""
    renewal = schemas()["ContractRegistered", 1]["$defs"]["NoRenewal"]

    assert renewal["required"] == ["kind"]


# The command


def run(folder: Path, *more: str) -> Any:
    topics = folder.parent / "topics.yaml"
    topics.write_text(yaml.safe_dump({"topics": {"ExportReady": {"readers": ["retention"]}}}))
    return CliRunner().invoke(app, ["document", "--folder", str(folder), "--topics", str(topics), *more])


def test_the_command_writes_what_its_check_then_accepts(tmp_path: Path) -> None:
    """Written once, nothing has drifted."""
    assert run(tmp_path / "events").exit_code == 0
    assert run(tmp_path / "events", "--check").exit_code == 0
    assert "retention-receives-ExportReady" in (tmp_path / "events/asyncapi.yaml").read_text()


def test_the_check_names_what_drifted(tmp_path: Path) -> None:
    """Missing, changed and left over documents are each named, and nothing is written."""
    folder = tmp_path / "events"
    run(folder)
    (folder / "schemas/NoticeReceived.v1.json").unlink()
    (folder / "asyncapi.yaml").write_text("asyncapi: 3.0.0\n")
    (folder / "schemas/Gossip.v1.json").write_text("{}")

    result = run(folder, "--check")

    assert isinstance(result.exception, OperatorError)
    assert "asyncapi.yaml, schemas/Gossip.v1.json, schemas/NoticeReceived.v1.json" in str(result.exception)
    assert not (folder / "schemas/NoticeReceived.v1.json").exists()


def test_a_change_against_the_rule_is_never_written(tmp_path: Path) -> None:
    """The kept schemas are the baseline, so running the command can't make a breach go away."""
    folder = tmp_path / "events"
    run(folder)
    kept = folder / "schemas/NoticeReceived.v1.json"
    schema = json.loads(kept.read_text())
    schema["properties"]["mood"] = {"type": "string"}
    kept.write_text(json.dumps(schema))

    result = run(folder)

    assert str(result.exception).splitlines()[1:] == [
        "  NoticeReceived.v1: mood: removed: a removed or renamed field needs a new version"
    ]
    assert "mood" in kept.read_text()


def test_a_wrong_place_is_said_to_be_wrong(tmp_path: Path) -> None:
    """Outside the checkout the command makes no folders, and a file that isn't the topics' is named."""
    nowhere = CliRunner().invoke(app, ["document", "--folder", str(tmp_path / "docs/events")])
    (tmp_path / "topics.yaml").write_text("[]")
    no_topics = CliRunner().invoke(app, ["document", "--topics", str(tmp_path / "topics.yaml")])

    assert isinstance(nowhere.exception, OperatorError)
    assert isinstance(no_topics.exception, OperatorError)
    assert "topics.yaml" in str(no_topics.exception)
