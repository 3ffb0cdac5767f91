"""``offramp dead-letters`` tells what an operator needs and nothing about a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiokafka import AIOKafkaProducer
from letters import TOPIC, bury
from typer.testing import CliRunner, Result

from shared.errors import OperatorError
from shared.operations.dead_letters import app
from shared.worker import Place


@pytest.fixture
def offramp(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give the command, pointed at the test's own topics."""
    monkeypatch.setenv("OFFRAMP_TOPIC_PREFIX", place.prefix)

    async def run(*arguments: str) -> Result:
        # The command has an event loop of its own.
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    yield run
    structlog.reset_defaults()


async def test_list_counts_by_reason_and_tells_places(producer: AIOKafkaProducer, place: Place, offramp: Any) -> None:
    """The list says how many letters each service has, why, which are put back, and where the last ones lie."""
    await bury(producer, place, b"one")
    await bury(producer, place, b"two", service="retention")
    await offramp("replay", "--service", "notice")

    found = json.loads((await offramp("list", "--json")).stdout)
    assert [(one["service"], one["replayed"], one["count"]) for one in found["summary"]] == [
        ("notice", True, 1),
        ("retention", False, 1),
    ]
    text = (await offramp("list", "--service", "retention")).stdout
    assert "--partition 0 --offset 1" in text
    assert "value: not JSON" in text


async def test_more_than_anybody_counts_is_not_understood(offramp: Any) -> None:
    """A number of letters that is too large for a list is a wrong option, not a trace."""
    assert (await offramp("list", "--last", "9" * 24)).exit_code == 2


async def test_show_holds_back_what_may_be_personal(producer: AIOKafkaProducer, place: Place, offramp: Any) -> None:
    """Value, foreign headers and a key that is no id are told only when asked for."""
    await bury(producer, place, b'{"email":"ann@example.org"}', key=b"bob@example.org")
    where = ("show", "--topic", TOPIC, "--partition", "0", "--offset", "0")

    shown = (await offramp(*where)).stdout
    assert "@" not in shown
    assert "reason: value: not JSON" in shown
    whole = json.loads((await offramp(*where, "--payload", "--json")).stdout)
    assert whole["value"] == '{"email":"ann@example.org"}'
    assert whole["key"] == "bob@example.org"
    assert whole["original"] == {"topic": TOPIC, "partition": 0, "offset": 7}


async def test_replay_says_what_it_did(producer: AIOKafkaProducer, place: Place, offramp: Any) -> None:
    """A rehearsal counts and moves nothing; then every service's letters go back, and nothing is left."""
    await bury(producer, place)
    await bury(producer, place, service="retention")

    assert "would be put back" in (await offramp("replay", "--all-services", "--dry-run")).stdout
    done = json.loads((await offramp("replay", "--all-services", "--json")).stdout)
    assert [(one["service"], one["count"]) for one in done["replayed"]] == [("notice", 1), ("retention", 1)]
    assert (await offramp("replay", "--all-services")).stdout == "There is nothing to put back.\n"


async def test_one_letter_needs_its_owner(producer: AIOKafkaProducer, place: Place, offramp: Any) -> None:
    """A single letter goes back for the service that buried it, and for no other."""
    await bury(producer, place)
    where = ("--topic", TOPIC, "--partition", "0", "--offset", "0")

    refused = await offramp("replay", "--service", "retention", *where)
    assert isinstance(refused.exception, OperatorError)
    assert str(refused.exception) == "that letter was buried by notice: say so with --service."
    assert "1 put back" in (await offramp("replay", "--service", "notice", *where)).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("replay",), "say whose dead letters: --service NAME or --all-services."),
        (
            ("replay", "--service", "notice", "--offset", "3"),
            "one letter is named by --topic, --partition and --offset",
        ),
        (("list", "--service", "billing"), "there is no service billing: it is one of exporter, notice, retention."),
        (("list", "--topic", "Nothing"), "Nothing: --topic is one of ContractRegistered"),
    ],
)
async def test_a_wrong_option_is_one_sentence(arguments: tuple[str, ...], sentence: str, offramp: Any) -> None:
    """What was asked wrongly is answered by what to ask instead."""
    answer = await offramp(*arguments)

    assert isinstance(answer.exception, OperatorError)
    assert sentence in str(answer.exception)
