"""The declaration of the topics agrees with the catalogue of events."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from deploy.stack.topics import DECLARATION, declared_topics
from shared.errors import OperatorError
from shared.events.catalogue import EVENTS, INSTRUCTIONS
from shared.settings import read_settings

CATALOGUE = {**EVENTS, **INSTRUCTIONS}
DAY = 86_400_000


def test_every_event_has_its_topic() -> None:
    """There is one topic for each event and instruction of the catalogue, with its dead letters, and no other."""
    names = [topic.name for topic in declared_topics()]

    assert sorted(names) == sorted([*CATALOGUE, *(f"dlq.{name}" for name in CATALOGUE)])


def test_the_owner_of_an_event_may_write_it() -> None:
    """Whoever the catalogue names as an event's owner is among the topic's writers."""
    topics = {topic.name: topic for topic in declared_topics()}

    for name, event in CATALOGUE.items():
        owners = {f"User:offramp-{owner}" for owner in event.owner.split(", ")}
        assert owners <= set(topics[name].writers), name


@pytest.mark.parametrize("service", ["notice", "exporter", "retention"])
def test_a_service_may_read_what_it_reads_and_no_more(service: str) -> None:
    """A service is a reader of exactly the events that it consumes."""
    build = import_module(f"services.{service}.app").build
    principal = f"User:offramp-{service}"
    may_read = {topic.name for topic in declared_topics() if principal in topic.readers} & set(EVENTS)

    assert may_read == {event.type() for event in build(read_settings()).domain.consumes}


def test_a_customer_has_the_same_partition_everywhere() -> None:
    """All topics have the same number of partitions, and it is four."""
    assert {topic.partitions for topic in declared_topics()} == {4}


def test_readers_bury_and_operators_dig() -> None:
    """Dead letters are written by the readers of a topic and read by the operators alone."""
    topics = {topic.name: topic for topic in declared_topics()}

    for name in CATALOGUE:
        assert topics[f"dlq.{name}"].writers == topics[name].readers
        assert topics[f"dlq.{name}"].readers == ("User:offramp-operators",)


def test_a_buried_record_fits() -> None:
    """The largest record that a topic takes also fits, with its reason on top, into its dead letters."""
    topics = {topic.name: int(topic.config["max.message.bytes"]) for topic in declared_topics()}

    assert all(topics[f"dlq.{name}"] > topics[name] for name in CATALOGUE)


def test_copies_of_a_customers_history_end() -> None:
    """Only the end of a customer is kept for good; every other topic forgets within 31 days (P7)."""
    kept = {topic.name for topic in declared_topics() if topic.config["cleanup.policy"] == "compact"}
    others = [topic.config for topic in declared_topics() if topic.name not in kept]

    assert kept == {"AccountClosed"}
    assert all(int(config["retention.ms"]) + int(config["segment.ms"]) <= 31 * DAY for config in others)


def test_a_prefix_stands_before_every_name() -> None:
    """A set of topics of one's own has the prefix in the topic's name, inside that of its dead letters."""
    names = {topic.name for topic in declared_topics("t-")}

    assert {"t-ExportReady", "dlq.t-ExportReady"} <= names
    assert all("t-" in name for name in names)


@pytest.mark.parametrize("change", [("kind: fact", "kind: fiction"), ("[notice]", "[nobody]"), ("kind:", "knd:")])
def test_a_slip_in_the_declaration_is_found(tmp_path: Path, change: tuple[str, str]) -> None:
    """An unknown kind, an undeclared principal, a misspelt key: each stops with the file's name."""
    broken = tmp_path / "topics.yaml"
    broken.write_text(DECLARATION.read_text().replace(*change))

    with pytest.raises(OperatorError, match=r"topics\.yaml"):
        declared_topics(file=broken)
